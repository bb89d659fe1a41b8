"""Modals: what Slack accepts as a view, the triggers that open one, and the input that a user submits.

https://docs.slack.dev/reference/views/modal-views
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.sandbox.slack.apps import TEAM, Bot
from relay.sandbox.slack.block_kit.blocks import IN_MODALS, check_blocks, of_type
from relay.sandbox.slack.block_kit.elements import plain_text
from relay.sandbox.slack.block_kit.schema import ErrorMessages, Report, boolean, record, string, unchecked, word
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.sandbox.slack.objects import with_block_ids
from relay.slack import limits

Definition = dict[str, Any]

TRIGGER_LIFETIME: Final = 3.0
"""Seconds for which a trigger is valid."""

_VIEW: Final = record(
    {"type": word("modal"), "title": plain_text(limits.VIEW_TITLE), "blocks": unchecked},
    {
        "submit": plain_text(limits.VIEW_BUTTON),
        "close": plain_text(limits.VIEW_BUTTON),
        "private_metadata": string(limits.PRIVATE_METADATA, at_least=0),
        "callback_id": string(limits.CALLBACK_ID),
        "external_id": string(limits.EXTERNAL_ID, at_least=0),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)


@dataclass(slots=True)
class _Trigger:
    user: str
    at: float
    used: bool = False


class TriggerIds:
    """The trigger ids of clicks; each opens one modal (https://docs.slack.dev/surfaces/modals#triggers)."""

    def __init__(self) -> None:
        self._issued: dict[str, _Trigger] = {}

    def issue(self, user: str, now: float) -> str:
        """Make one for a user."""
        number = len(self._issued) + 1
        trigger = f"{number}.{int(now)}.{number:032x}"
        self._issued[trigger] = _Trigger(user, now)
        return trigger

    def exchange(self, trigger_id: str, now: float) -> str:
        """Use a trigger up and return its user. Raises `MethodError` if it is unknown, expired, or used already."""
        trigger = self._issued.get(trigger_id)
        if trigger is None:
            raise MethodError("invalid_trigger_id")
        if trigger.used:
            raise MethodError("exchanged_trigger_id")
        if now - trigger.at > TRIGGER_LIFETIME:
            raise MethodError("expired_trigger_id")
        trigger.used = True
        return trigger.user


@dataclass(slots=True, kw_only=True, eq=False)
class FakeView:
    """A modal that was opened for a user. `errors` are shown beside its inputs (block id -> text)."""

    id: str
    user: str
    definition: Definition
    open: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Definition]:
        """Its input blocks by their element's action id."""
        return {block["element"]["action_id"]: block for block in of_type(self.definition["blocks"], "input")}

    def as_json(self, bot: Bot, state: Definition | None = None) -> Definition:
        """The view object in Slack's answers and payloads."""
        return {
            **dict.fromkeys(("private_metadata", "callback_id", "external_id"), ""),
            **dict.fromkeys(("clear_on_close", "notify_on_close"), False),
            **dict.fromkeys(("close", "submit")),
            **self.definition,
            "id": self.id,
            "team_id": TEAM,
            "app_id": bot.app_id,
            "bot_id": bot.bot_id,
            "root_view_id": self.id,
            "previous_view_id": None,
            "hash": f"{self.id}.1",
            "state": {"values": state or {}},
        }


def validate_view(definition: Definition) -> None:
    """Raise `MethodError` for whatever Slack would reject."""
    errors = ErrorMessages()
    _VIEW(definition, "/view", errors)
    blocks = definition.get("blocks")
    if isinstance(blocks, list):
        check_blocks(blocks, "/view/blocks", errors, at_most=limits.VIEW_BLOCKS, of=IN_MODALS)
        if "submit" not in definition and of_type(blocks, "input"):
            errors("missing required field: submit", "/view")
        _check_elements(blocks, errors)
    else:
        errors("must provide an array", "/view/blocks")
    if errors.messages:
        raise validation_error("invalid_arguments", errors.messages)
    if len(json.dumps(definition, ensure_ascii=False).encode(errors="surrogatepass")) > limits.VIEW_BYTES:
        raise MethodError("view_too_large")


def _check_elements(blocks: list[Any], report: Report) -> None:
    """The rules on each element's page beyond its keys: https://docs.slack.dev/reference/block-kit/block-elements."""
    focused = 0
    for index, block in enumerate(blocks):
        element = block.get("element") if isinstance(block, dict) else None
        if not isinstance(element, dict):
            continue
        at = f"/view/blocks/{index}/element"
        if "initial_option" in element and element["initial_option"] not in (element.get("options") or ()):
            report("initial_option must match one of the options", f"{at}/initial_option")
        focused += element.get("focus_on_load") is True
        if focused > 1:
            report("only one element may focus_on_load", at)


def add_missing_ids(definition: Definition) -> Definition:
    """The view with the block and action ids that Slack makes for those without one."""
    blocks = with_block_ids(definition["blocks"])
    for index, block in enumerate(blocks):
        if block["type"] == "input":
            block["element"] = {"action_id": f"a{index}", **block["element"]}
    return {**definition, "blocks": blocks}


# --- what a user submits ---


class InvalidInput(ValueError):
    """Slack's window would not submit this: something is missing, too long, or not an option."""


def submitted_state(view: FakeView, values: Mapping[str, str]) -> Definition:
    """`state.values` of a submission: `values` by the inputs' action ids, else the initial values.

    Raises InvalidInput where Slack's window would not submit it.
    """
    if unknown := values.keys() - view.inputs.keys():
        raise InvalidInput(f"this modal has no input {', '.join(sorted(unknown))}")
    return {block["block_id"]: {name: _entry(block, values.get(name))} for name, block in view.inputs.items()}


def _entry(block: Definition, value: str | None) -> Definition:
    element = block["element"]
    match element["type"]:
        case "plain_text_input" | "email_text_input" | "url_text_input" | "number_input" as kind:
            return {"type": kind, "value": _text(block, element.get("initial_value") if value is None else value)}
        case "radio_buttons" | "static_select" as kind:
            return {"type": kind, "selected_option": _option(block, value)}
        case "checkboxes" as kind:
            return {"type": kind, "selected_options": _ticked(block, value)}
        case "datetimepicker" as kind:
            return {"type": kind, "selected_date_time": _moment(block, value)}
        case kind:
            raise InvalidInput(f"this sandbox cannot fill in a {kind}")


def _text(block: Definition, value: str | None) -> str | None:
    longest = block["element"].get("max_length", limits.INPUT_TEXT)
    if not value and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    if value and len(value) > longest:
        raise InvalidInput(f"at most {longest} characters are allowed")
    return value or None


def _moment(block: Definition, value: str | None) -> int | None:
    """Unix seconds, of a whole minute: https://docs.slack.dev/reference/block-kit/block-elements/datetime-picker-element."""
    initial: int | None = block["element"].get("initial_date_time")
    if value and not value.isdecimal():
        raise InvalidInput(f"{value} is not a date and time")
    moment = int(value) // 60 * 60 if value else initial
    if moment is None and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    return moment


def _option(block: Definition, value: str | None) -> Definition | None:
    element = block["element"]
    option: Definition | None = element.get("initial_option")
    if value is not None:
        option = next((each for each in element["options"] if each["value"] == value), None)
        if option is None:
            raise InvalidInput(f"{value} is not an option")
    if option is None and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    return option


def _ticked(block: Definition, value: str | None) -> list[Definition]:
    """The options that are ticked: `value` are their values, separated by blanks."""
    element = block["element"]
    if value is None:
        ticked: list[Definition] = element.get("initial_options") or []
    else:
        wanted = value.split()
        ticked = [each for each in element["options"] if each["value"] in wanted]
        if len(ticked) != len(set(wanted)):
            raise InvalidInput(f"{value} are not all options")
    if not ticked and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    return ticked
