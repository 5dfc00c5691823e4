"""Demand as the meter counts it: by blocks or sliding, its forecast and its peaks."""
