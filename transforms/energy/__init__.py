"""Energy of intervals from counters, and what to think of it."""
