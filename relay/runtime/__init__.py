"""What every component needs: the clock, the log without secrets, worker processes, and the service manager."""
