"""What operators run, each a function: the command line prints what it returns, and the board shows it.

Some tools work on files alone, before a configuration is live: check, explain, render, test, backtest. The others ask
the database of a running relay: incident, incidents, letters, mutes, shadow, adopt.
"""
