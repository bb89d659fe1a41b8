"""`python -m relay` is `relay`."""

from relay.cli import main

if __name__ == "__main__":  # a process that helps with a backtest imports this module, and is not to be another relay
    main()
