"""How often relay may call Slack and BigPanda: budgets as values, and a throttle that waits for them.

budgets .... how many calls Slack and BigPanda allow; how long a pause or a failure lasts (`backoff`)
throttle ... waits until a call is allowed, and pauses what was rate-limited
"""
