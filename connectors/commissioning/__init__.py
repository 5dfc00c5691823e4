"""The commissioning check: ask a meter once, hold it to its profile, keep the result."""
