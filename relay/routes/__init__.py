"""Routes: rules that say which incidents go to which Slack channels, and with which options."""
