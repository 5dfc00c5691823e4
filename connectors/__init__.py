"""Where frames come from: pollers, simulator, profiles, the log's storage."""
