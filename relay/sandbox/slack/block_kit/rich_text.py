"""What a rich_text block may hold: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""

from relay.sandbox.slack.block_kit.schema import array, boolean, link, number, record, string, tagged, typed, unchecked
from relay.slack import limits

_STYLES = ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink")
_STYLED = {"style": record({}, dict.fromkeys(_STYLES, boolean))}
_ID = string(limits.ACTION_ID)
_TEXT = string(limits.TEXT_OBJECT)
_URL = link(limits.BUTTON_URL)

# Slack publishes no bound for these; the sum over all blocks is reached first.
_MANY = limits.ALL_BLOCKS_REJECTED

_INLINE = tagged(
    {
        "text": typed({"text": _TEXT}, _STYLED),
        "link": typed({"url": _URL}, {**_STYLED, "text": _TEXT, "unsafe": boolean}),
        "emoji": typed({"name": _ID}, {**_STYLED, "unicode": _ID, "skin_tone": number}),
        "user": typed({"user_id": _ID}, _STYLED),
        "usergroup": typed({"usergroup_id": _ID}, _STYLED),
        "channel": typed({"channel_id": _ID}, _STYLED),
        "broadcast": typed({"range": _ID}, _STYLED),
        "color": typed({"value": _ID}, _STYLED),
        "date": typed({"timestamp": number, "format": _TEXT}, {**_STYLED, "url": _URL, "fallback": _TEXT}),
    }
)
_INLINES = {"elements": array(_INLINE, at_most=_MANY)}
_SECTION = typed(_INLINES)
_ITEMS = array(tagged({"rich_text_section": _SECTION}), at_most=_MANY)

RICH_TEXT_ELEMENTS = array(
    tagged(
        {
            "rich_text_section": _SECTION,
            "rich_text_list": typed(
                {"elements": _ITEMS, "style": unchecked}, {"indent": number, "offset": number, "border": number}
            ),
            "rich_text_preformatted": typed(_INLINES, {"border": number, "language": _ID}),
            "rich_text_quote": typed(_INLINES, {"border": number}),
        }
    ),
    at_most=_MANY,
)
