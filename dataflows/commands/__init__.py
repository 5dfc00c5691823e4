"""One module per command of ``pm500``."""
