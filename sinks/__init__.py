"""Where frames go: the log, Sparkplug B over MQTT, the Parquet archive."""
