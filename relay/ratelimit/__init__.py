"""How often relay may call Slack and BigPanda: budgets as values, and a throttle that waits for them."""
