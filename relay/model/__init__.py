"""What relay knows of an incident, the base of its frozen values, time zones, and every error that relay raises."""
