"""The HTTP server. The endpoints translate and decide nothing; `backend.Backend` says what stands behind them."""
