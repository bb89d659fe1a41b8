"""The modals behind relay's buttons, as Slack's view objects (https://docs.slack.dev/reference/views/modal-views).

    build_modal("snooze", title="db-117: lag", incident="5e7f", channel="C1", message_ts="1.2") -> {"type": "modal", …}
    validation_errors("comment", {"text": "  "}) -> the answer that makes Slack show an error beside the input

Slack returns a modal with its `private_metadata`, which names the card that the modal was opened from.
"""

from collections.abc import Mapping
from typing import Any, Final

from relay.actions.modal_parts import LENGTHS, Block, input_block, option, radio_buttons, shortened
from relay.actions.mute_modal import end_mute_inputs, mute_inputs
from relay.model.buttons import BUTTONS
from relay.model.counting import counted
from relay.slack import limits
from relay.slack.interactions import ACTION_PREFIX, MOMENT_INPUT, TEXT_INPUT, UNTIL_INPUT, BatchOrigin, ModalOrigin

View = dict[str, Any]

LONGEST_SNOOZE: Final = 90 * 86_400 - 3600
"""Seconds. BigPanda was seen to reject a snooze of 90 days, and to accept one of 89.99
(https://github.com/frank-gallagher-jr/bigpanda_servicenow_integration_helpers)."""

_TITLE_LENGTH: Final = 300
_WARNING: Final = "⚠️ This closes the incident *and all of its alerts* in BigPanda, for everyone. It cannot be undone."


def build_modal(  # noqa: PLR0913  each has a name
    action: str, *, title: str, incident: str, channel: str, message_ts: str, inputs: list[Block] | None = None
) -> View:
    """Build the modal of a button that has one.

    `title` is the incident's, in plain text of any length. `inputs` replace those that the button always has.
    """
    origin = ModalOrigin(action=action, incident=incident, channel=channel, message_ts=message_ts)
    row, blocks = BUTTONS[action], _inputs(action) if inputs is None else inputs
    return _view(origin, row.modal_title, row.submit_label, title, blocks)


def build_owner_question(origin: ModalOrigin, *, title: str, question: str) -> View:
    """Build the modal that asks whether to take an incident from the person who has it (`question`, in mrkdwn)."""
    label = owner_label(origin.action)
    return _view(origin, label, label, title, [_text_block(question)])


def build_take_question(origin: BatchOrigin, *, question: str) -> View:
    """Build the modal that asks whether to take many incidents (`question`, in mrkdwn)."""
    number = len(origin.lines)
    heading = f"Take {counted(number, 'incident')}"
    return _modal(origin, heading, f"Take {number}" if number > 1 else "Take it", [_text_block(question)])


def owner_label(action: str) -> str:
    """Return the name of a button if somebody has the incident."""
    return BUTTONS[action].label_if_assigned or BUTTONS[action].label


def _view(origin: ModalOrigin, heading: str, submit: str, title: str, blocks: list[Block]) -> View:
    title_text = shortened(title, _TITLE_LENGTH)
    return _modal(
        origin, heading, submit, [*([{"type": "section", "text": title_text}] if title_text["text"] else []), *blocks]
    )


def _modal(origin: ModalOrigin | BatchOrigin, heading: str, submit: str, blocks: list[Block]) -> View:
    return {
        "type": "modal",
        "callback_id": ACTION_PREFIX + origin.action,
        "private_metadata": origin.to_json(),
        "title": shortened(heading, limits.VIEW_TITLE),
        "submit": shortened(submit, limits.VIEW_BUTTON),
        "close": shortened("Cancel", limits.VIEW_BUTTON),
        "blocks": blocks,
    }


def validation_errors(action: str, values: Mapping[str, str], now: float) -> dict[str, Any] | None:
    """Return the answer that shows what is wrong with a submission, or None if it is valid at that moment.

    https://docs.slack.dev/surfaces/modals#displaying_errors
    """
    if action == "comment" and not values.get(TEXT_INPUT, "").strip():
        return input_error(TEXT_INPUT, "Write something to send.")
    if action == "snooze" and MOMENT_INPUT in values:
        return _moment_errors(float(values[MOMENT_INPUT]), now)
    if action == "mute" and not values.get(TEXT_INPUT, "").strip():
        return input_error(TEXT_INPUT, "Say why: everybody who misses a ping will ask.")
    if action == "snooze" and values.get(UNTIL_INPUT) not in LENGTHS:
        return input_error(UNTIL_INPUT, "Choose for how long.")
    return None


def _moment_errors(moment: float, now: float) -> dict[str, Any] | None:
    if moment <= now:
        return input_error(MOMENT_INPUT, "This time has passed. Choose a later one.")
    if moment > now + LONGEST_SNOOZE:
        return input_error(MOMENT_INPUT, "BigPanda snoozes for less than 90 days. Choose an earlier time.")
    return None


def _inputs(action: str) -> list[Block]:
    match action:
        case "comment":
            hint = "It goes to BigPanda under your name, and appears in this thread when BigPanda confirms."
            return [input_block(TEXT_INPUT, "Comment", _TEXT_INPUT, hint)]
        case "snooze":
            choice = radio_buttons([option(value, label) for value, label in LENGTHS.items()])
            hint = "A date and time replaces the choice above. It is in your device's time zone."
            return [
                input_block(UNTIL_INPUT, "For how long?", choice),
                input_block(MOMENT_INPUT, "Or until", {"type": "datetimepicker"}, hint, optional=True),
            ]
        case "mute":
            return mute_inputs()
        case "end_mute":
            return end_mute_inputs()
        case _:
            return [_text_block(_WARNING), input_block(TEXT_INPUT, "Note", _TEXT_INPUT, optional=True)]


_TEXT_INPUT: Final = {
    "type": "plain_text_input",
    "multiline": True,
    "max_length": limits.INPUT_TEXT,
    "focus_on_load": True,
}


def _text_block(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def input_error(block: str, text: str) -> dict[str, Any]:
    """The answer that shows what is wrong beside an input (its block's id); the text is plain."""
    return {"response_action": "errors", "errors": {block: text}}
