"""Turns the text that a template printed into Block Kit that fits."""
