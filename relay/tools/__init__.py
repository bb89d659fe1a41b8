"""What operators run, each a function: the command line prints what it returns, and the board shows it.

Some tools work on files alone, before a configuration is live: check, explain, render, test, backtest. Others read
the database of a running relay, and some change it: incident, incidents, letters, mutes, shadow, adopt.
"""
