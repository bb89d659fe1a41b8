"""The modals behind relay's buttons, as Slack's view objects; pure (https://docs.slack.dev/reference/views/modal-views).

    modal("snooze", title="db-117: lag", incident="5e7f", channel="C1", message_ts="1.2") -> {"type": "modal", ...}
    problem("comment", {"text": "  "}) -> what Slack shows beside the input, instead of closing the modal

Slack sends a modal back with its `private_metadata`, from which `relay.slack.interactions` knows what it is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.rendering.blocks.rich_text import Atom, plain
from relay.slack import limits
from relay.slack.interactions import ACTION_PREFIX, TEXT_INPUT, UNTIL_INPUT, ModalOrigin

View = dict[str, Any]
Block = dict[str, Any]

SNOOZE_CHOICES: Final[Mapping[str, str]] = {"1h": "1 hour", "4h": "4 hours", "tomorrow": "until tomorrow 09:00"}
"""What an incident can be snoozed for: the value that comes back -> how it reads. Tomorrow is the person's own."""

_TITLE_SHOWN: Final = 300
_WARNING: Final = "⚠️ This closes the incident *and all of its alerts* in BigPanda, for everyone. It cannot be undone."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What distinguishes one modal from the others."""

    title: str
    submit: str


_KINDS: Final[Mapping[str, _Kind]] = {
    "comment": _Kind(title="Comment", submit="Send"),
    "snooze": _Kind(title="Snooze", submit="Snooze"),
    "resolve": _Kind(title="Resolve incident", submit="Resolve"),
}

WITH_MODAL: Final = frozenset(_KINDS)
"""The actions that ask something first."""


def build_modal(action: str, *, title: str, incident: str, channel: str, message_ts: str, first: str = "") -> View:  # noqa: PLR0913  what it is about, each by its name
    """The modal for `comment`, `snooze` or `resolve` (`KeyError` for anything else).

    `title` is the incident's, in plain text of any length; `first` is what stands in the text input already.
    """
    kind = _KINDS[action]
    origin = ModalOrigin(action=action, incident=incident, channel=channel, message_ts=message_ts)
    return {
        "type": "modal",
        "callback_id": ACTION_PREFIX + action,
        "private_metadata": origin.to_json(),
        "title": _plain(kind.title, limits.VIEW_TITLE),
        "submit": _plain(kind.submit, limits.VIEW_BUTTON),
        "close": _plain("Cancel", limits.VIEW_BUTTON),
        "blocks": [*_about(title), *_asked(action, first)],
    }


def validation_errors(action: str, values: Mapping[str, str]) -> dict[str, Any] | None:
    """What is wrong with what was filled in, as the answer to a submission; None where it is fine.

    https://docs.slack.dev/surfaces/modals#displaying_errors
    """
    if action == "comment" and not values.get(TEXT_INPUT, "").strip():
        return _errors(TEXT_INPUT, "Write something to send.")
    if action == "snooze" and values.get(UNTIL_INPUT) not in SNOOZE_CHOICES:
        return _errors(UNTIL_INPUT, "Choose for how long.")
    return None


def _about(title: str) -> list[Block]:
    shown = plain([Atom(title)], _TITLE_SHOWN)
    return [{"type": "section", "text": _text(shown)}] if shown else []


def _asked(action: str, first: str) -> list[Block]:
    match action:
        case "comment":
            hint = "It goes to BigPanda under your name, and comes back into this thread from there."
            return [_input(TEXT_INPUT, "Comment", _writing(first), hint=hint)]
        case "snooze":
            return [_input(UNTIL_INPUT, "For how long?", _choosing())]
        case _:
            warning = {"type": "section", "text": {"type": "mrkdwn", "text": _WARNING}}
            return [warning, _input(TEXT_INPUT, "Note", _writing(first), optional=True)]


def _input(name: str, label: str, element: Block, *, hint: str = "", optional: bool = False) -> Block:
    block = {"type": "input", "block_id": name, "label": _text(label), "element": element, "optional": optional}
    return {**block, "hint": _text(hint)} if hint else block


def _writing(first: str) -> Block:
    element = {
        "type": "plain_text_input",
        "action_id": TEXT_INPUT,
        "multiline": True,
        "max_length": limits.INPUT_TEXT,
        "focus_on_load": True,
    }
    return {**element, "initial_value": first[: limits.INPUT_TEXT]} if first.strip() else element


def _choosing() -> Block:
    options = [{"text": _text(words), "value": value} for value, words in SNOOZE_CHOICES.items()]
    return {"type": "radio_buttons", "action_id": UNTIL_INPUT, "options": options, "initial_option": options[0]}


def _errors(block: str, words: str) -> dict[str, Any]:
    return {"response_action": "errors", "errors": {block: words}}


def _plain(words: str, at_most: int) -> Block:
    return _text(plain([Atom(words)], at_most))


def _text(words: str) -> Block:
    return {"type": "plain_text", "text": words, "emoji": False}
