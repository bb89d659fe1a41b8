"""The buttons that a route can put on its cards, and those of storm cards: one row for each.

Everything about buttons follows these tables: the words of `actions` in routes.yaml, the drawn buttons, the modals, the
tasks for BigPanda, and the messages to the person who presses one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

MUTE_WORD: Final = "mute"
"""The word in `actions` that offers mutes; `mutes` in routes.yaml may say who may use it."""


class Clicks(Enum):
    """What relay can do with a click on a card. Slack warns people who press a button that nobody acknowledges."""

    UNSEEN = "unseen"
    """Slack cannot reach relay: cards have no button at all."""

    ACKNOWLEDGED = "acknowledged"
    """Buttons that open an address work."""

    CARRIED_OUT = "carried out"
    """Relay also carries out the actions in BigPanda."""


class ButtonPlace(Enum):
    """The place of a button in its row. The template's own buttons come between the two parts."""

    FIRST = "first"
    MENU = "menu"
    """In the menu (⋯), after everything except `LAST`."""

    LAST = "last"


class Offered(Enum):
    """When a card offers a button. Every card of an open incident does, unless the row says more."""

    ALWAYS = "always"
    ASSIGNED = "while somebody has the incident"
    SNOOZED = "while the incident is snoozed"
    MUTED = "while the card is muted"
    IN_MENU = "in each menu that has another entry, for every route"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardButton:
    """One button. The groups in `actors` of a route decide who may press it.

    `name` is the kind of the task that it makes, `option` the word in `actions` of routes.yaml that offers it (none for
    those that are in each menu). A button that is not `in_bigpanda` makes no task: it changes only relay.
    `label` is the text on the button, `label_if_assigned` the text if somebody has the incident. `style` is Slack's
    (`primary`, `danger`). `asks` and `effect` describe it in the documentation: what its modal asks for, and what it
    does.
    `started` is the message to the person if the action takes long; `not_done` begins the message if it fails.
    `modal_title` and `submit_label` are empty if the button opens no modal.
    """

    name: str
    label: str
    asks: str
    effect: str
    not_done: str
    started: str = ""
    option: str = ""
    place: ButtonPlace = ButtonPlace.FIRST
    offered: Offered = Offered.ALWAYS
    style: str = ""
    label_if_assigned: str = ""
    modal_title: str = ""
    submit_label: str = ""
    in_bigpanda: bool = True

    @property
    def word(self) -> str:
        """The word in `actions` that offers it; empty if none does."""
        return "" if self.offered is Offered.IN_MENU else self.option or self.name

    @property
    def opens_modal(self) -> bool:
        """Whether pressing it opens a modal first."""
        return bool(self.modal_title)


_ROWS = (
    CardButton(
        name="assign",
        label="Assign to me",
        label_if_assigned="Take over",
        asks="nothing; if somebody else has the incident, whether to take it over",
        effect="assigns the incident to the person who pressed it",
        started="Assigning to you… the card updates when BigPanda confirms.",
        not_done="Not assigned",
        style="primary",
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
        asks="1 hour, 4 hours, until the next 09:00 in the person's own time zone, or until a date and time",
        effect="snoozes the incident until then",
        started="Snoozing… the card updates when BigPanda confirms.",
        not_done="Not snoozed",
        modal_title="Snooze",
        submit_label="Snooze",
    ),
    CardButton(
        name="unassign",
        option="assign",
        label="Unassign",
        asks="nothing; if somebody else has the incident, whether to unassign it",
        effect="removes the assignment",
        started="Unassigning… the card updates when BigPanda confirms.",
        not_done="Not unassigned",
        place=ButtonPlace.MENU,
        offered=Offered.ASSIGNED,
    ),
    CardButton(
        name="end_snooze",
        option="snooze",
        label="End snooze",
        asks="nothing",
        effect="ends the snooze",
        started="Ending the snooze… the card updates when BigPanda confirms.",
        not_done="Snooze not ended",
        place=ButtonPlace.MENU,
        offered=Offered.SNOOZED,
    ),
    CardButton(
        name="mute",
        label="Mute…",
        asks="this incident, or one of its tags; for how long, why, and whether critical incidents are muted too",
        effect="mutes it in relay: no new cards and no pings until then. Nothing changes in BigPanda",
        not_done="Not muted",
        place=ButtonPlace.MENU,
        modal_title="Mute",
        submit_label="Mute",
        in_bigpanda=False,
    ),
    CardButton(
        name="end_mute",
        option="mute",
        label="End mute",
        asks="which mute, if several mutes cover the card",
        effect="ends the mute, also for other incidents that it covers",
        not_done="Mute not ended",
        place=ButtonPlace.MENU,
        offered=Offered.MUTED,
        modal_title="End mute",
        submit_label="End mute",
        in_bigpanda=False,
    ),
    CardButton(
        name="why",
        label="Why?",
        asks="nothing",
        effect="shows the person why the card is there: routes, pings, and what is held until when",
        not_done="",
        place=ButtonPlace.MENU,
        offered=Offered.IN_MENU,
        in_bigpanda=False,
    ),
    CardButton(
        name="resolve",
        label="Resolve",
        asks="an optional note, with a warning",
        effect="resolves the incident **and all of its alerts**, for everyone; this cannot be undone",
        started="Resolving… the card updates when BigPanda confirms.",
        not_done="Not resolved",
        place=ButtonPlace.LAST,
        style="danger",
        modal_title="Resolve incident",
        submit_label="Resolve",
    ),
)

BUTTONS: Final[Mapping[str, CardButton]] = {button.name: button for button in _ROWS}
"""Name -> button, in the order in which they are on a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StormButton:
    """One button of a storm card, which does for many incidents what the card's button `does` for one.

    `label` is the text on the button. `only_critical`: it is about the critical incidents only. `effect` describes it
    in the documentation.
    """

    name: str
    label: str
    does: str
    only_critical: bool = False
    effect: str


_STORM_ROWS = (
    StormButton(
        name="take",
        label="Take these",
        does="assign",
        effect="assigns the unassigned incidents of the list to the person who pressed it",
    ),
    StormButton(
        name="take_criticals",
        label="Take the criticals",
        does="assign",
        only_critical=True,
        effect="the same, but only critical ones",
    ),
)

STORM_BUTTONS: Final[Mapping[str, StormButton]] = {button.name: button for button in _STORM_ROWS}
"""Name -> button, in the order in which they are on a storm card. Each opens a modal."""

ACTION_WORDS: Final = tuple(dict.fromkeys(button.word for button in _ROWS if button.word))
"""The words that `actions` in routes.yaml takes."""
