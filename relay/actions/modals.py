"""The modals behind relay's buttons, as Slack's view objects (https://docs.slack.dev/reference/views/modal-views).

    build_modal("snooze", title="db-117: lag", incident="5e7f", channel="C1", message_ts="1.2") -> {"type": "modal", …}
    validation_errors("comment", {"text": "  "}) -> the answer that makes Slack show an error beside the input

Slack returns a modal with its `private_metadata`, which names the card that the modal was opened from.
"""

from collections.abc import Mapping
from typing import Any, Final

from relay.model.buttons import BUTTONS
from relay.rendering.blocks.rich_text import Atom, plain
from relay.slack import limits
from relay.slack.interactions import ACTION_PREFIX, MOMENT_INPUT, TEXT_INPUT, UNTIL_INPUT, ModalOrigin

View = dict[str, Any]
Block = dict[str, Any]

SNOOZE_CHOICES: Final[Mapping[str, str]] = {"1h": "1 hour", "4h": "4 hours", "morning": "until the next 09:00"}
"""Value of a choice -> its label. The next 09:00 is in the person's own time zone: today's, before nine."""

LONGEST_SNOOZE: Final = 90 * 86_400 - 3600
"""Seconds. BigPanda was seen to reject a snooze of 90 days, and to accept one of 89.99
(https://github.com/frank-gallagher-jr/bigpanda_servicenow_integration_helpers)."""

_TITLE_LENGTH: Final = 300
_WARNING: Final = "⚠️ This closes the incident *and all of its alerts* in BigPanda, for everyone. It cannot be undone."


def build_modal(action: str, *, title: str, incident: str, channel: str, message_ts: str) -> View:
    """Build the modal of a button that has one.

    `title` is the incident's, in plain text of any length.
    """
    origin = ModalOrigin(action=action, incident=incident, channel=channel, message_ts=message_ts)
    row = BUTTONS[action]
    return _view(origin, row.modal_title, row.submit_label, title, _inputs(action))


def build_owner_question(origin: ModalOrigin, *, title: str, question: str) -> View:
    """Build the modal that asks whether to take an incident from the person who has it (`question`, in mrkdwn)."""
    label = owner_label(origin.action)
    return _view(origin, label, label, title, [_text_block(question)])


def owner_label(action: str) -> str:
    """Return what a button is called where somebody has the incident."""
    return BUTTONS[action].label_if_assigned or BUTTONS[action].label


def _view(origin: ModalOrigin, heading: str, submit: str, title: str, blocks: list[Block]) -> View:
    about = _shortened(title, _TITLE_LENGTH)
    return {
        "type": "modal",
        "callback_id": ACTION_PREFIX + origin.action,
        "private_metadata": origin.to_json(),
        "title": _shortened(heading, limits.VIEW_TITLE),
        "submit": _shortened(submit, limits.VIEW_BUTTON),
        "close": _shortened("Cancel", limits.VIEW_BUTTON),
        "blocks": [*([{"type": "section", "text": about}] if about["text"] else []), *blocks],
    }


def validation_errors(action: str, values: Mapping[str, str], now: float) -> dict[str, Any] | None:
    """Return the answer that shows what is wrong with a submission, or None where it is valid at that moment.

    https://docs.slack.dev/surfaces/modals#displaying_errors
    """
    if action == "comment" and not values.get(TEXT_INPUT, "").strip():
        return _errors(TEXT_INPUT, "Write something to send.")
    if action == "snooze" and MOMENT_INPUT in values:
        return _moment_errors(float(values[MOMENT_INPUT]), now)
    if action == "snooze" and values.get(UNTIL_INPUT) not in SNOOZE_CHOICES:
        return _errors(UNTIL_INPUT, "Choose for how long.")
    return None


def _moment_errors(moment: float, now: float) -> dict[str, Any] | None:
    if moment <= now:
        return _errors(MOMENT_INPUT, "This time has passed. Choose a later one.")
    if moment > now + LONGEST_SNOOZE:
        return _errors(MOMENT_INPUT, "BigPanda snoozes for less than 90 days. Choose an earlier time.")
    return None


def _inputs(action: str) -> list[Block]:
    match action:
        case "comment":
            hint = "It goes to BigPanda under your name, and appears in this thread when BigPanda confirms."
            return [{**_input(TEXT_INPUT, "Comment", _text_input()), "hint": _plain_text(hint)}]
        case "snooze":
            options = [{"text": _plain_text(label), "value": value} for value, label in SNOOZE_CHOICES.items()]
            choice = {"type": "radio_buttons", "action_id": UNTIL_INPUT, "options": options}
            picker = {"type": "datetimepicker", "action_id": MOMENT_INPUT}
            hint = "A date and time replaces the choice above. It is in your device's time zone."
            return [
                _input(UNTIL_INPUT, "For how long?", {**choice, "initial_option": options[0]}),
                {**_input(MOMENT_INPUT, "Or until", picker), "optional": True, "hint": _plain_text(hint)},
            ]
        case _:
            return [_text_block(_WARNING), {**_input(TEXT_INPUT, "Note", _text_input()), "optional": True}]


def _input(name: str, label: str, element: Block) -> Block:
    return {"type": "input", "block_id": name, "label": _plain_text(label), "element": element, "optional": False}


def _text_input() -> Block:
    return {
        "type": "plain_text_input",
        "action_id": TEXT_INPUT,
        "multiline": True,
        "max_length": limits.INPUT_TEXT,
        "focus_on_load": True,
    }


def _text_block(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _errors(block: str, text: str) -> dict[str, Any]:
    return {"response_action": "errors", "errors": {block: text}}


def _shortened(text: str, limit: int) -> Block:
    return _plain_text(plain([Atom(text)], limit))


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
