"""Slack: the client of its Web API, the outcomes of its calls, its limits, and what people do in it."""
