"""From what is known of an incident to a Slack message: it always fits, and nothing that it says can ping or link.

    templates -> `library` (compiled, checked) -> `sandbox` (run under a `watch`) -> one string with `marks`
    -> `tree` -> `inline`, `compose` (parts) -> `fit` -> `relay.slack.message.Message`

What a value says is text from the first step to the last: it is escaped once, in `flow`, and only marks that relay's
own tags and filters made become markup.
"""

from relay.rendering.blocks.compose import LINK_ACTION
from relay.rendering.card import render_card, render_pointer
from relay.rendering.engine.filters import FILTERS, color, emoji, slack_time
from relay.rendering.library import CARD, DEFAULT, KINDS, TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import Button, Rendered, Scene, TemplateFailure

__all__ = [
    "CARD",
    "DEFAULT",
    "FILTERS",
    "KINDS",
    "LINK_ACTION",
    "Button",
    "Rendered",
    "Scene",
    "TemplateFailure",
    "TemplateLibrary",
    "color",
    "emoji",
    "render_card",
    "render_pointer",
    "render_reply",
    "slack_time",
]
