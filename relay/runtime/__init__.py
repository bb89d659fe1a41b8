"""What every component needs: the clock, the log without secrets, and a standard error that never blocks."""
