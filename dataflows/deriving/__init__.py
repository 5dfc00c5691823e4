"""The flow derive in parts: its source, operator, state and rules."""
