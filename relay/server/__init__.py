"""The HTTP server. The endpoints translate and decide nothing; `backend.Backend` describes the functions behind them.

The pages for operators are in `board`; `relay.tools.board` reads their contents.

endpoints .......................... the addresses and what they answer: shares, /healthz, /readyz, /metrics
slack_endpoints, slack_signature ... clicks and commands from Slack
backend ............................ the functions behind the endpoints
problem ............................ an error as the sender reads it
api_keys ........................... the keys of senders and operators
body, byte_budget .................. reads a body within limits
connection, connections ............ reads HTTP within limits; how many connections are open
file_limit ......................... how many files relay may open
lifecycle .......................... opens the socket, and finishes the open requests when relay stops
board .............................. the pages for operators; `relay.tools.board` reads their contents
"""
