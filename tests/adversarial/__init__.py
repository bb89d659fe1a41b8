"""Hostile input: one sender, one template, one strange answer never stops or fools relay."""
