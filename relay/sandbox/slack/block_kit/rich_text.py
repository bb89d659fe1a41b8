"""What a rich_text block may hold: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""

from collections.abc import Mapping

from relay.sandbox.slack.block_kit.elements import typed
from relay.sandbox.slack.block_kit.schema import Check, array, boolean, link, number, record, string, tagged, unchecked
from relay.slack import limits

_STYLE = record(
    {},
    dict.fromkeys(
        ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), boolean
    ),
)
_ID = string(limits.ACTION_ID)
_TEXT = string(limits.TEXT_OBJECT)
_STYLED: Mapping[str, Check] = {"style": _STYLE}

_INLINE = tagged(
    {
        "text": typed({"text": _TEXT}, _STYLED),
        "link": typed({"url": link(limits.BUTTON_URL)}, {**_STYLED, "text": _TEXT, "unsafe": boolean}),
        "emoji": typed({"name": _ID}, {**_STYLED, "unicode": _ID, "skin_tone": number}),
        "user": typed({"user_id": _ID}, _STYLED),
        "usergroup": typed({"usergroup_id": _ID}, _STYLED),
        "channel": typed({"channel_id": _ID}, _STYLED),
        "broadcast": typed({"range": _ID}, _STYLED),
        "color": typed({"value": _ID}, _STYLED),
        "date": typed(
            {"timestamp": number, "format": _TEXT}, {**_STYLED, "url": link(limits.BUTTON_URL), "fallback": _TEXT}
        ),
    }
)

# Slack publishes no bound for these; the sum over all blocks binds first.
_PLENTY = limits.ALL_BLOCKS_REJECTED

_INLINES = array(_INLINE, at_most=_PLENTY)
_SECTION = typed({"elements": _INLINES})
_PREFORMATTED = typed({"elements": _INLINES}, {"border": number, "language": _ID})
_QUOTE = typed({"elements": _INLINES}, {"border": number})
_LIST = typed(
    {
        "elements": array(tagged({"rich_text_section": _SECTION}), at_most=_PLENTY),
        "style": unchecked,
    },
    {"indent": number, "offset": number, "border": number},
)

RICH_TEXT_ELEMENTS = array(
    tagged(
        {
            "rich_text_section": _SECTION,
            "rich_text_list": _LIST,
            "rich_text_preformatted": _PREFORMATTED,
            "rich_text_quote": _QUOTE,
        }
    ),
    at_most=_PLENTY,
)
