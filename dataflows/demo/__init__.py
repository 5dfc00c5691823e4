"""What ``pm500 demo`` shows: a simulated plant, the real flows, a table that lives."""
