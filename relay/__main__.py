"""`python -m relay` is `relay`."""

from relay.cli import main

if __name__ == "__main__":  # the worker processes of a backtest import this module too, and must not start relay
    main()
