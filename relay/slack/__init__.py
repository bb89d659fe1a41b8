"""Slack's answers as a closed set: `judge` makes of whatever came back one value, which says what follows."""
