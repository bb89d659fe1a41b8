"""Jinja within limits: the sandbox, the budget of a run, and the filters and block tags that templates use."""
