"""Real processes and a real broker, killed and cut off at random."""
