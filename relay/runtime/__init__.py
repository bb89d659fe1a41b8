"""What any service runs on: the clock and the log."""
