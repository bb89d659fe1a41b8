"""`relay doctor`: looks at the configuration, the database, Slack and BigPanda before they are needed."""
