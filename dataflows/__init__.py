"""The programs: configuration, wiring and the command line. Nobody imports this."""
