"""Shares come in: each one is parsed, planned and stored in a group commit before it is answered."""
