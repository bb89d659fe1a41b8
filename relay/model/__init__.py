"""What relay knows of an incident, and every error that relay raises."""
