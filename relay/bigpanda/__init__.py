"""BigPanda: the share parser (`webhook`), and the client of its API with the outcomes of its calls.

webhook .............. parses a share
gateway .............. the one way to call BigPanda: budget, pauses, log and metrics
client ............... one function for each call
calls ................ the calls with their rate limits, one row each
classify, outcomes ... whatever BigPanda answers becomes one of these outcomes
responses ............ the values in an answer
"""
