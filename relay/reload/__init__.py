"""Applies edits of routes and templates while relay runs: a valid edit goes live, an invalid one changes nothing.

watcher ..... notices that files may have changed
reloader .... reads them, waits until they are complete, checks them, and makes them live
notifier .... tells the fallback channel once about an invalid edit, and once that it is fixed
messages .... the texts of these notices
"""
