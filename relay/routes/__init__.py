"""Routes: rules that say which incidents go to which Slack channels, and with which options.

options ............... the options of a card, one row each
match_keys ............ the keys of `match`, one row each
operators ............. the operators of `match`, one class each
match, match_budget ... a compiled `match`, and what it may cost
mute_match, mutes ..... the `match` of a mute; who may mute from Slack, and for how long
evaluate .............. which routes match an incident, and to which channels it goes
route, rulebook ....... a route, the index of routes, and a whole routes.yaml
mention, people ....... who is pinged in which state; how routes.yaml names people and groups
targets ............... channels and mentions as routes.yaml writes them
channel_template ...... channel names that are made from an incident
hours, hour_types ..... periods of the week and of the year; how routes.yaml writes them, `quiet` and `hold`
remind ................ reminders
storm ................. above which number of posts a storm begins
summary ............... the moments of summaries
parts ................. keys of small mappings, such as `quiet` or a window of hours
key_types ............. how the value of a key is read, checked by editors, and documented
json_schema ........... parts of a JSON Schema
parser ................ text to a `Rulebook`, or all its faults
yaml_reader ........... YAML to nodes with places, and nodes to plain values
"""
