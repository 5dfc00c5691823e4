"""Frames and what is derived from them as InfluxDB line protocol."""
