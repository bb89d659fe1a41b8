"""A strict fake of Slack: its Web API, channels, messages, users, interactivity and Socket Mode."""
