"""How often relay may call Slack and BigPanda: budgets as values, and a throttle that waits for them.

budgets .... how many calls Slack and BigPanda allow, and `backoff`: how long a failure waits for its next try
throttle ... waits until a call is allowed, and pauses what was rate-limited
"""
