"""From what is known of an incident to a Slack message: it always fits, and nothing that it says can ping or link.

    templates -> `library` (compiled, checked) -> `sandbox` (run under a `watch`) -> one string with `marks`
    -> `tree` -> `inline`, `compose` (parts) -> `fit` -> `relay.slack.message.Message`

What a value says is text from the first step to the last: it is escaped once, in `flow`, and only marks that relay's
own tags and filters made become markup.
"""
