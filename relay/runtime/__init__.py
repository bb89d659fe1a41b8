"""What every component needs: the clock, the log, and a standard error that never blocks."""
