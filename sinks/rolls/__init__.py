"""Sinks that collect records and deliver them in rolls, one roll under way."""
