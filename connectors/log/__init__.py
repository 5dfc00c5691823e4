"""The one seam between the flows: an ordered, replayable record, embedded or Kafka."""
