"""History from Kafka, the edge's log or the archive into a topic."""
