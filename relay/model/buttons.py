"""The buttons that a route can put on its cards: one row for each.

Everything about buttons follows this table: the words of `actions` in routes.yaml, the drawn buttons, the modals, the
tasks for BigPanda, and the messages to the person who presses one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Clicks(Enum):
    """What relay can do with a click on a card. Slack warns people who press a button that nobody acknowledges."""

    UNSEEN = "unseen"
    """Slack cannot reach relay: cards have no button at all."""

    ACKNOWLEDGED = "acknowledged"
    """Buttons that open an address work."""

    CARRIED_OUT = "carried out"
    """Relay also does in BigPanda what a button says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardButton:
    """One button. The groups in `actors` of a route decide who may press it.

    `name` is its word in routes.yaml and the kind of the task that it makes. `label` is the text on the button.
    `asks` and `effect` describe it in the documentation: what its modal asks for, and what it does in BigPanda.
    `started` and `not_done` begin what the person reads: at once, and where nothing comes of it.
    `modal_title` and `submit_label` are empty where the button opens no modal.
    """

    name: str
    label: str
    asks: str
    effect: str
    started: str
    not_done: str
    modal_title: str = ""
    submit_label: str = ""

    @property
    def opens_modal(self) -> bool:
        """Whether pressing it opens a modal first."""
        return bool(self.modal_title)


_ROWS = (
    CardButton(
        name="assign",
        label="Assign to me",
        asks="nothing",
        effect="assigns the incident to the person who pressed",
        started="Assigning to you… the card updates when BigPanda confirms.",
        not_done="Not assigned",
    ),
    CardButton(
        name="comment",
        label="Comment",
        asks="the text",
        effect="adds a comment that begins with the person's name: `Dana (Slack): failing over`",
        started="Sending your comment… it appears in the thread when BigPanda confirms.",
        not_done="Comment not sent",
        modal_title="Comment",
        submit_label="Send",
    ),
    CardButton(
        name="snooze",
        label="Snooze",
        asks="1 hour, 4 hours, or until tomorrow 09:00 in the person's own time zone",
        effect="snoozes the incident until then",
        started="Snoozing… the card updates when BigPanda confirms.",
        not_done="Not snoozed",
        modal_title="Snooze",
        submit_label="Snooze",
    ),
    CardButton(
        name="resolve",
        label="Resolve",
        asks="an optional note, with a warning",
        effect="resolves the incident **and all of its alerts**, for everyone; this cannot be undone",
        started="Resolving… the card updates when BigPanda confirms.",
        not_done="Not resolved",
        modal_title="Resolve incident",
        submit_label="Resolve",
    ),
)

BUTTONS: Final[Mapping[str, CardButton]] = {button.name: button for button in _ROWS}
"""Name -> button, in the order in which the documentation lists them."""
