"""What stands inside blocks: text objects, buttons, menus, pictures.

The shapes are those of https://docs.slack.dev/reference/block-kit, the sizes those of `relay.slack.limits`.
"""

from collections.abc import Callable, Mapping

from relay.sandbox.slack.block_kit.schema import (
    NOTHING,
    Check,
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
    unchecked,
    word,
)
from relay.slack import limits


def typed(required: Mapping[str, Check], optional: Mapping[str, Check] = NOTHING) -> Check:
    """An object whose `type` has been looked at already."""
    return record({"type": unchecked, **required}, optional)


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
_WORD = string(limits.ACTION_ID)  # ids, dates and times: Slack publishes no length of their own

CONFIRM = record(
    {
        "title": plain_text(limits.CONFIRM_TITLE),
        "text": any_text(limits.CONFIRM_TEXT),
        "confirm": plain_text(limits.CONFIRM_BUTTON),
        "deny": plain_text(limits.CONFIRM_BUTTON),
    },
    {"style": _STYLE},
)

_PLAIN_OPTION = _option(plain_text(limits.OPTION_TEXT), plain_text(limits.OPTION_DESCRIPTION))
_RICH_OPTION = _option(any_text(limits.OPTION_TEXT), any_text(limits.OPTION_DESCRIPTION))
_LINKED_OPTION = _option(
    plain_text(limits.OPTION_TEXT), plain_text(limits.OPTION_DESCRIPTION), url=link(limits.OPTION_URL)
)
_OPTIONS = array(_PLAIN_OPTION, at_most=limits.SELECT_OPTIONS)
_OPTION_GROUP = record({"label": plain_text(limits.OPTION_GROUP_LABEL), "options": _OPTIONS})
_OPTION_GROUPS = array(_OPTION_GROUP, at_most=limits.SELECT_OPTIONS)
_SOME_OPTIONS = array(_RICH_OPTION, at_most=limits.CHOICES)
_SOME_IDS = array(_WORD, at_most=limits.SELECT_OPTIONS)

_ACTION: Mapping[str, Check] = {"action_id": string(limits.ACTION_ID), "confirm": CONFIRM}
_CHOICE: Mapping[str, Check] = {**_ACTION, "focus_on_load": boolean}
_MENU: Mapping[str, Check] = {**_CHOICE, "placeholder": plain_text(limits.PLACEHOLDER)}
_MENU_OF_MANY: Mapping[str, Check] = {**_MENU, "max_selected_items": number}

_SLACK_FILE = one_or_other(record({}, {"id": _WORD, "url": link(limits.IMAGE_URL)}), "id", "url")
PICTURE: Mapping[str, Check] = {"image_url": link(limits.IMAGE_URL), "slack_file": _SLACK_FILE}
ALT_TEXT = string(limits.ALT_TEXT)

IMAGE = one_or_other(typed({"alt_text": ALT_TEXT}, PICTURE), "image_url", "slack_file")

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

_STATIC = {"options": _OPTIONS, "option_groups": _OPTION_GROUPS}
_CONVERSATIONS: Mapping[str, Check] = {"default_to_current_conversation": boolean, "filter": unchecked}

_MENUS: Mapping[str, Check] = {
    "static_select": one_or_other(
        typed({}, {**_MENU, **_STATIC, "initial_option": _PLAIN_OPTION}), "options", "option_groups"
    ),
    "external_select": typed({}, {**_MENU, "initial_option": _PLAIN_OPTION, "min_query_length": number}),
    "users_select": typed({}, {**_MENU, "initial_user": _WORD}),
    "conversations_select": typed({}, {**_MENU, **_CONVERSATIONS, "initial_conversation": _WORD}),
    "channels_select": typed({}, {**_MENU, "initial_channel": _WORD}),
}

_MENUS_OF_MANY: Mapping[str, Check] = {
    "multi_static_select": one_or_other(
        typed({}, {**_MENU_OF_MANY, **_STATIC, "initial_options": _OPTIONS}), "options", "option_groups"
    ),
    "multi_external_select": typed({}, {**_MENU_OF_MANY, "initial_options": _OPTIONS, "min_query_length": number}),
    "multi_users_select": typed({}, {**_MENU_OF_MANY, "initial_users": _SOME_IDS}),
    "multi_conversations_select": typed({}, {**_MENU_OF_MANY, **_CONVERSATIONS, "initial_conversations": _SOME_IDS}),
    "multi_channels_select": typed({}, {**_MENU_OF_MANY, "initial_channels": _SOME_IDS}),
}

_PICKERS: Mapping[str, Check] = {
    "overflow": typed({"options": array(_LINKED_OPTION, at_most=limits.OVERFLOW_OPTIONS)}, _ACTION),
    "radio_buttons": typed({"options": _SOME_OPTIONS}, {**_CHOICE, "initial_option": _RICH_OPTION}),
    "checkboxes": typed({"options": _SOME_OPTIONS}, {**_CHOICE, "initial_options": _SOME_OPTIONS}),
    "datepicker": typed({}, {**_MENU, "initial_date": _WORD}),
    "timepicker": typed({}, {**_MENU, "initial_time": _WORD, "timezone": _WORD}),
}

_DATETIME: Mapping[str, Check] = {"datetimepicker": typed({}, {**_CHOICE, "initial_date_time": number})}
_WORKFLOW: Mapping[str, Check] = {
    "workflow_button": typed({"text": plain_text(limits.BUTTON_TEXT), "workflow": unchecked}, _ACTION)
}

_FIELD: Mapping[str, Check] = {**_CHOICE, "placeholder": plain_text(limits.PLACEHOLDER), "initial_value": unchecked}
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
IN_ACTIONS = tagged({"button": _BUTTON, **_MENUS, **_PICKERS, **_DATETIME, **_WORKFLOW})
IN_SECTION = tagged({"button": _BUTTON, "image": IMAGE, **_MENUS, **_MENUS_OF_MANY, **_PICKERS, **_WORKFLOW})
IN_INPUT = tagged(
    {**_MENUS, **_MENUS_OF_MANY, **{k: v for k, v in _PICKERS.items() if k != "overflow"}, **_DATETIME, **_FIELDS}
)


def in_context(value: object, at: str, report: Callable[[str, str], None]) -> None:
    """A picture or a text object."""
    is_image = isinstance(value, dict) and value.get("type") == "image"
    (IMAGE if is_image else _CONTEXT_TEXT)(value, at, report)


_CONTEXT_TEXT = any_text(limits.TEXT_OBJECT)
