"""Jinja, within limits: the sandbox, the budget, the filters and the block tags that templates may use."""
