"""Slack as a strict stand-in: its methods, its messages, its people and its Socket Mode."""
