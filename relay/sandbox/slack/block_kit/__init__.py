"""Checks of Block Kit: which blocks, elements and text objects Slack accepts, as tables."""
