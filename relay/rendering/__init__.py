"""Turns what relay knows of an incident into a Slack message that fits and in which no value can ping or link.

    templates -> `library` (compiled, checked) -> `engine.sandbox` (run within a budget)
    -> one string with `blocks.marks` -> `blocks.tree` -> `blocks.inline`, `blocks.compose` (parts) -> `blocks.fit`
    -> `relay.slack.message.Message`

A value stays text from the first step to the last. It is escaped once, in `blocks.rich_text`. Only the marks that
relay's own tags and filters write become markup.
"""
