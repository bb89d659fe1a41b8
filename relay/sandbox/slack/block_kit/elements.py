"""What is inside blocks: text objects, buttons, menus, inputs, images.

The tables follow https://docs.slack.dev/reference/block-kit, the sizes are those of `relay.slack.limits`.
"""

from collections.abc import Mapping
from typing import Any

from relay.sandbox.slack.block_kit.schema import (
    Check,
    Report,
    alternatives,
    array,
    between,
    boolean,
    link,
    number,
    one_or_other,
    record,
    string,
    tagged,
    typed,
    unchecked,
    word,
)
from relay.slack import limits


def plain_text(at_most: int) -> Check:
    """A text object that is shown as it is."""
    return tagged({"plain_text": typed({"text": string(at_most, blank=False)}, {"emoji": boolean})})


def any_text(at_most: int) -> Check:
    """A text object of either kind; `emoji` belongs to plain_text alone, `verbatim` to mrkdwn alone."""
    text = {"text": string(at_most, blank=False)}
    kinds = {"plain_text": typed(text, {"emoji": boolean}), "mrkdwn": typed(text, {"verbatim": boolean})}
    return alternatives(tagged(kinds))


def _option(text: Check, description: Check, **more: Check) -> Check:
    return record({"text": text, "value": string(limits.OPTION_VALUE)}, {"description": description, **more})


_STYLE = word(*limits.BUTTON_STYLES)
_WORD = string(limits.ACTION_ID)  # ids, dates and times: Slack publishes no length for them

_CONFIRM = record(
    {
        "title": plain_text(limits.CONFIRM_TITLE),
        "text": any_text(limits.CONFIRM_TEXT),
        "confirm": plain_text(limits.CONFIRM_BUTTON),
        "deny": plain_text(limits.CONFIRM_BUTTON),
    },
    {"style": _STYLE},
)

_OPTION_TEXTS = plain_text(limits.OPTION_TEXT), plain_text(limits.OPTION_DESCRIPTION)
_PLAIN_OPTION = _option(*_OPTION_TEXTS)
_LINKED_OPTION = _option(*_OPTION_TEXTS, url=link(limits.OPTION_URL))
_RICH_OPTION = _option(any_text(limits.OPTION_TEXT), any_text(limits.OPTION_DESCRIPTION))
_OPTIONS = array(_PLAIN_OPTION, at_most=limits.SELECT_OPTIONS)
_OPTION_GROUP = record({"label": plain_text(limits.OPTION_GROUP_LABEL), "options": _OPTIONS})
_CHOICES = array(_RICH_OPTION, at_most=limits.CHOICES)
_IDS = array(_WORD, at_most=limits.SELECT_OPTIONS)

_ACTION: Mapping[str, Check] = {"action_id": string(limits.ACTION_ID), "confirm": _CONFIRM}
_FOCUSABLE: Mapping[str, Check] = {**_ACTION, "focus_on_load": boolean}
_MENU: Mapping[str, Check] = {**_FOCUSABLE, "placeholder": plain_text(limits.PLACEHOLDER)}
_MULTI_MENU: Mapping[str, Check] = {**_MENU, "max_selected_items": number}

_SLACK_FILE = one_or_other(record({}, {"id": _WORD, "url": link(limits.IMAGE_URL)}), "id", "url")
IMAGE_SOURCE: Mapping[str, Check] = {"image_url": link(limits.IMAGE_URL), "slack_file": _SLACK_FILE}
ALT_TEXT = string(limits.ALT_TEXT)

_IMAGE = one_or_other(typed({"alt_text": ALT_TEXT}, IMAGE_SOURCE), "image_url", "slack_file")

_BUTTON = typed(
    {"text": plain_text(limits.BUTTON_TEXT)},
    {
        **_ACTION,
        "url": link(limits.BUTTON_URL),
        "value": string(limits.BUTTON_VALUE),
        "style": _STYLE,
        "accessibility_label": string(limits.ACCESSIBILITY_LABEL),
    },
)

_STATIC: Mapping[str, Check] = {
    "options": _OPTIONS,
    "option_groups": array(_OPTION_GROUP, at_most=limits.SELECT_OPTIONS),
}
_CONVERSATIONS: Mapping[str, Check] = {"default_to_current_conversation": boolean, "filter": unchecked}


def _static_menu(optional: Mapping[str, Check]) -> Check:
    return one_or_other(typed({}, {**_STATIC, **optional}), "options", "option_groups")


_MENUS: Mapping[str, Check] = {
    "static_select": _static_menu({**_MENU, "initial_option": _PLAIN_OPTION}),
    "external_select": typed({}, {**_MENU, "initial_option": _PLAIN_OPTION, "min_query_length": number}),
    "users_select": typed({}, {**_MENU, "initial_user": _WORD}),
    "conversations_select": typed({}, {**_MENU, **_CONVERSATIONS, "initial_conversation": _WORD}),
    "channels_select": typed({}, {**_MENU, "initial_channel": _WORD}),
}

_MULTI_MENUS: Mapping[str, Check] = {
    "multi_static_select": _static_menu({**_MULTI_MENU, "initial_options": _OPTIONS}),
    "multi_external_select": typed({}, {**_MULTI_MENU, "initial_options": _OPTIONS, "min_query_length": number}),
    "multi_users_select": typed({}, {**_MULTI_MENU, "initial_users": _IDS}),
    "multi_conversations_select": typed({}, {**_MULTI_MENU, **_CONVERSATIONS, "initial_conversations": _IDS}),
    "multi_channels_select": typed({}, {**_MULTI_MENU, "initial_channels": _IDS}),
}

_PICKERS: Mapping[str, Check] = {
    "radio_buttons": typed({"options": _CHOICES}, {**_FOCUSABLE, "initial_option": _RICH_OPTION}),
    "checkboxes": typed({"options": _CHOICES}, {**_FOCUSABLE, "initial_options": _CHOICES}),
    "datepicker": typed({}, {**_MENU, "initial_date": _WORD}),
    "timepicker": typed({}, {**_MENU, "initial_time": _WORD, "timezone": _WORD}),
}

_OVERFLOW_OPTIONS = array(_LINKED_OPTION, at_most=limits.OVERFLOW_OPTIONS, at_least=limits.FEWEST_OVERFLOW_OPTIONS)
_OVERFLOW = typed({"options": _OVERFLOW_OPTIONS}, _ACTION)
# "a UNIX timestamp of 10 digits": https://docs.slack.dev/reference/block-kit/block-elements/datetime-picker-element
_DATETIME = typed({}, {**_FOCUSABLE, "initial_date_time": between(10**9, 10**10 - 1)})
_WORKFLOW = typed({"text": plain_text(limits.BUTTON_TEXT), "workflow": unchecked}, _ACTION)

_FIELD: Mapping[str, Check] = {**_MENU, "initial_value": unchecked}
_FIELDS: Mapping[str, Check] = {
    "plain_text_input": typed(
        {},
        {
            **_FIELD,
            "initial_value": string(limits.INPUT_TEXT),
            "multiline": boolean,
            "min_length": between(0, limits.INPUT_TEXT),
            "max_length": between(1, limits.INPUT_TEXT),
        },
    ),
    "email_text_input": typed({}, _FIELD),
    "url_text_input": typed({}, _FIELD),
    "number_input": typed({"is_decimal_allowed": boolean}, {**_FIELD, "min_value": unchecked, "max_value": unchecked}),
    "rich_text_input": typed({}, _FIELD),
    "file_input": typed({}, {"action_id": _WORD, "filetypes": unchecked, "max_files": number}),
}

# Which elements go where: https://docs.slack.dev/reference/block-kit/block-elements
_ANYWHERE: Mapping[str, Check] = {**_MENUS, **_PICKERS}
_CLICKABLE: Mapping[str, Check] = {"button": _BUTTON, "overflow": _OVERFLOW, "workflow_button": _WORKFLOW}
IN_ACTIONS = tagged({**_ANYWHERE, **_CLICKABLE, "datetimepicker": _DATETIME})
IN_SECTION = tagged({**_ANYWHERE, **_CLICKABLE, **_MULTI_MENUS, "image": _IMAGE})
IN_INPUT = tagged({**_ANYWHERE, **_MULTI_MENUS, **_FIELDS, "datetimepicker": _DATETIME})
_CONTEXT_TEXT = any_text(limits.TEXT_OBJECT)


def in_context(value: Any, at: str, report: Report) -> None:
    """An image or a text object."""
    is_image = isinstance(value, dict) and value.get("type") == "image"
    (_IMAGE if is_image else _CONTEXT_TEXT)(value, at, report)
