"""The HTTP server. The endpoints translate and decide nothing; `backend.Backend` says what stands behind them.

The pages for operators are in `board`; what they show is read by `relay.tools.board`.
"""
