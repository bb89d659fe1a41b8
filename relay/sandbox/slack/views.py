"""Modals: what Slack takes of them, and what stands in their inputs when they are sent.

https://docs.slack.dev/reference/views/modal-views
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.sandbox.slack.block_kit import blocks as kit
from relay.sandbox.slack.block_kit.elements import plain_text
from relay.sandbox.slack.block_kit.schema import Findings, Report, boolean, record, string, unchecked, word
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.sandbox.slack.users import TEAM, Bot
from relay.slack import limits

Shape = dict[str, Any]

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


@dataclass(slots=True, kw_only=True, eq=False)
class FakeView:
    """A modal that was opened: before whom, and as what. `errors` stand beside its inputs (block id -> words)."""

    id: str
    user: str
    definition: Shape
    open: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Shape]:
        """Its input blocks by what they are called: by their element's action id."""
        return {block["element"]["action_id"]: block for block in self.definition["blocks"] if block["type"] == "input"}

    def as_json(self, bot: Bot, state: Shape | None = None) -> Shape:
        """The view object in Slack's answers and payloads."""
        return {
            "private_metadata": "",
            "callback_id": "",
            "external_id": "",
            "clear_on_close": False,
            "notify_on_close": False,
            "close": None,
            "submit": None,
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


def validate_view(shape: Shape) -> None:
    """Raise `Refused` for whatever Slack would not take."""
    findings = Findings()
    _VIEW(shape, "/view", findings)
    blocks = shape.get("blocks")
    if isinstance(blocks, list):
        kit.check_blocks(blocks, "/view/blocks", findings, at_most=limits.VIEW_BLOCKS, of=kit.IN_MODALS)
        _examine_submit(shape, blocks, findings)
        _examine_elements(blocks, findings)
    else:
        findings("must provide an array", "/view/blocks")
    if findings.messages:
        raise validation_error("invalid_arguments", findings.messages)
    if len(json.dumps(shape, ensure_ascii=False).encode(errors="surrogatepass")) > limits.VIEW_BYTES:
        raise MethodError("view_too_large")


def _examine_submit(shape: Shape, blocks: list[Any], report: Report) -> None:
    if "submit" not in shape and kit.count(blocks, "input"):
        report("missing required field: submit", "/view")


def _examine_elements(blocks: list[Any], report: Report) -> None:
    """What each element's page says beyond its shape: https://docs.slack.dev/reference/block-kit/block-elements."""
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


def add_missing_ids(shape: Shape) -> Shape:
    """Slack names what the app did not."""
    blocks = [{"block_id": f"b{index}", **block} for index, block in enumerate(shape["blocks"])]
    for index, block in enumerate(blocks):
        if block["type"] == "input":
            block["element"] = {"action_id": f"a{index}", **block["element"]}
    return {**shape, "blocks": blocks}


# --- what is filled in ---


class InvalidInput(ValueError):
    """Slack's window would not let a person send this: something is missing, too long, or not on offer."""


def submitted_state(view: FakeView, values: Mapping[str, str]) -> Shape:
    """`state.values` of a submission: `values` by the inputs' action ids, else what stands in them from the start.

    Raises NotSendable where the window would not send it.
    """
    if unknown := values.keys() - view.inputs.keys():
        raise InvalidInput(f"this modal has no input {', '.join(sorted(unknown))}")
    return {block["block_id"]: {name: _entry(block, values.get(name))} for name, block in view.inputs.items()}


def _entry(block: Shape, value: str | None) -> Shape:
    element = block["element"]
    match element["type"]:
        case "plain_text_input" | "email_text_input" | "url_text_input" | "number_input" as kind:
            return {"type": kind, "value": _written(block, element.get("initial_value") if value is None else value)}
        case "radio_buttons" | "static_select" as kind:
            return {"type": kind, "selected_option": _chosen(block, value)}
        case kind:
            raise InvalidInput(f"nobody can fill in a {kind} here")


def _written(block: Shape, value: str | None) -> str | None:
    longest = block["element"].get("max_length", limits.INPUT_TEXT)
    if not value and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    if value and len(value) > longest:
        raise InvalidInput(f"no more than {longest} characters go in there")
    return value or None


def _chosen(block: Shape, value: str | None) -> Shape | None:
    element = block["element"]
    option = element.get("initial_option")
    if value is not None:
        option = next((each for each in element["options"] if each["value"] == value), None)
        if option is None:
            raise InvalidInput(f"{value} is not on offer")
    if option is None and not block.get("optional"):
        raise InvalidInput("Please complete this required field.")
    chosen: Shape | None = option
    return chosen
