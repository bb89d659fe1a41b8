"""What operators run, each a function: the command line prints what it returns, and the board shows it.

Some tools work on files alone, before a configuration is live: check, explain, render, test, backtest. Others read
the database of a running relay, and some change it: incident, incidents, letters, mutes, shadow, adopt.

For files
check ............................... all faults of routes.yaml and the templates
explain, hours ...................... which routes match, and why; the week of all hours
render .............................. the cards and threads of shares
testing ............................. the operators' own tests
backtest, compare, storms, speech ... replays recorded shares, and says what would change, also in storms and pings
route_tree, schema, manifest ........ the tree of routes, the JSON Schemas, the manifest of the Slack app

For a running relay
doctor .............................. looks at everything that relay depends on
incident, incidents ................. everything about one incident; the list of incidents
letters ............................. dead letters, failed shares, quarantined bodies
mutes, shadow, adopt ................ mutes; what routes in shadow would have done; unknown cards in Slack
board ............................... what the board shows

What several of them use
simulate ............................ shares in virtual time
share_files, share_source ........... where the shares come from
live_slack, live_store .............. Slack and the database of a running relay
message_text, mrkdwn ................ messages as text, and for a terminal
permalink ........................... the address of a message instead of an id
"""
