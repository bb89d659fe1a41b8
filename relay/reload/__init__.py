"""Applies edits of routes and templates while relay runs: a valid edit goes live, an invalid one changes nothing.

watcher ............. notices that files may have changed
reloader ............ reads them, waits until they are complete, checks them, and makes them live
notifier ............ reports what is wrong with relay itself, once for each kind, until it is over
messages ............ the kinds of these notices, and their texts
open_notices ........ which of them are open, and where they are in Slack
unusable_channels ... the channels of routes.yaml that take no messages
"""
