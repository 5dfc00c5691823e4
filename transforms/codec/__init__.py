"""Records as bytes: Avro single-object encoding, one frame at a time or by the batch."""
