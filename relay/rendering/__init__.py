"""Turns an incident into a Slack message that fits, and in which no value can ping or link.

    templates -> `library` (compiled, checked) -> `engine.sandbox` (run within a budget)
    -> one string with `blocks.marks` -> `blocks.tree` -> `blocks.inline`, `blocks.compose` (parts) -> `blocks.fit`
    -> `relay.slack.message.Message`

A value stays text from the first step to the last. It is escaped once, in `blocks.rich_text`. Only the marks that
relay's own tags and filters write become markup.

card, reply, bulletin ... the three kinds of messages
request ................. what a rendering takes and returns
context ................. the variables that templates see
wording ................. signs, colours and words: of states, of durations
headline ................ the first line of a card, and the words on a lock screen
fallback ................ the built-in texts, which replace a template that fails
library ................. the templates of a configuration, compiled once
blocks .................. the printed text to Block Kit that fits
engine .................. Jinja within limits, with relay's filters and tags
lint .................... faults of templates, found without running them
"""
