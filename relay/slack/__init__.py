"""Slack: the client of its Web API, the outcomes of its calls, its limits, and what people do in it.

gateway .............. the one way to call Slack: budget, pauses, circuit breaker, log and metrics
client ............... one function for each method
methods .............. the methods with their rate limits and scopes, one row each
error_codes .......... Slack's error codes, one row each
classify, outcomes ... whatever Slack answers becomes one of these outcomes
responses ............ the values in an answer
pages ................ reads lists to their end
circuit_breaker ...... stops the calls while the token is invalid or Slack is away
message .............. a message and its metadata
limits ............... the sizes that Slack accepts
interactions ......... clicks, modals, commands and replies, as values
socket_mode .......... receives them over a connection that relay opens
workspace ............ the workspace and the bot of a token
"""
