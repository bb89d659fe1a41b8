"""Which content Slack accepts, and which errors it reports for invalid content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.slack import limits


def plain(text: str = "x") -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Open"), **more}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def context(*elements: Any) -> dict[str, Any]:
    return {"type": "context", "elements": list(elements)}


def image(**more: Any) -> dict[str, Any]:
    return {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a", **more}


def option(value: str = "v", **more: Any) -> dict[str, Any]:
    return {"text": plain("o"), "value": value, **more}


def rich(*elements: Any) -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def table(*rows: list[str]) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows]}


def answer(*blocks: Any, attachments: tuple[Any, ...] = ()) -> dict[str, Any]:
    with pytest.raises(MethodError) as caught:
        validate_content(MessageContent(text="x", blocks=blocks, attachments=attachments))
    return caught.value.answer


def code(content: MessageContent) -> str | None:
    try:
        validate_content(content)
    except MethodError as rejection:
        return rejection.code
    return None


VALID_BLOCKS = {
    "section": section(),
    "section with everything": section(block_id="b", accessory=button(), fields=[plain(), mrkdwn()], expand=True),
    "section of fields": {"type": "section", "fields": [mrkdwn("x" * 2_000)] * 6 + [mrkdwn()] * 4},
    "section at its limit": section("x" * 3_000),
    "header at its limit": {"type": "header", "text": {**plain("x" * 150), "emoji": True}},
    "verbatim": {"type": "section", "text": {**mrkdwn(), "verbatim": True}},
    "context": context(*[mrkdwn()] * 9, image()),
    "actions": actions(*[button(action_id=str(n)) for n in range(25)]),
    "a whole button": actions(
        button(
            action_id="a" * 255,
            url="https://example.com/?q=1#x",
            value="v" * 2_000,
            style="primary",
            accessibility_label="Open it",
            confirm={"title": plain(), "text": mrkdwn(), "confirm": plain(), "deny": plain(), "style": "danger"},
        )
    ),
    "menus": actions(
        {"type": "static_select", "placeholder": plain(), "options": [option()], "action_id": "a"},
        {"type": "static_select", "option_groups": [{"label": plain(), "options": [option()]}]},
        {"type": "users_select", "placeholder": plain(), "action_id": "b", "initial_user": "U1"},
        {"type": "overflow", "options": [option(url="https://example.com")] * 5},
        {"type": "radio_buttons", "options": [{"text": mrkdwn(), "value": "v"}]},
        {"type": "datepicker", "initial_date": "2026-01-01"},
    ),
    "divider": {"type": "divider", "block_id": "b"},
    "image": image(title=plain()),
    "image from Slack": {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "a"},
    "rich text": rich({"type": "text", "text": "x", "style": {"bold": True}}, {"type": "user", "user_id": "U1"}),
    "rich list": {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": " "}]}],
            }
        ],
    },
    "markdown": {"type": "markdown", "text": "# x"},
    "table": {**table(["a", "b"], ["1", "2"]), "column_settings": [{"align": "right", "is_wrapped": True}]},
    "input": {"type": "input", "label": plain(), "element": {"type": "plain_text_input", "multiline": True}},
    "a newer block": {"type": "card", "title": plain(), "body": mrkdwn()},
}


@pytest.mark.parametrize("block", VALID_BLOCKS.values(), ids=VALID_BLOCKS.keys())
def test_a_valid_block_is_accepted(block):
    validate_content(MessageContent(blocks=(block,)))
    validate_content(MessageContent(attachments=({"color": "#00aa00", "blocks": [block]},)))


B = "/blocks/0"
INVALID_BLOCKS = [
    (section("x" * 3_001), f"{B}/text/text", "must be less than 3001 characters"),
    (section(""), f"{B}/text/text", "must be more than 0 characters"),
    (section(" \n"), f"{B}/text/text", "must be more than 0 characters"),
    (section(accessory=None), f"{B}/accessory", "must provide an object"),
    (section(block_id=""), f"{B}/block_id", "must be more than 0 characters"),
    (section(block_id="b" * 256), f"{B}/block_id", "must be less than 256 characters"),
    (section(colour="red"), B, "invalid additional property: colour"),
    (section(fields=[]), f"{B}/fields", "no less than 1 items allowed"),
    (section(fields=[mrkdwn()] * 11), f"{B}/fields", "no more than 10 items allowed"),
    (section(fields=[mrkdwn("x" * 2_001)]), f"{B}/fields/0/text", "must be less than 2001 characters"),
    (section(accessory={"type": "datetimepicker"}), f"{B}/accessory/type", "unsupported type: datetimepicker"),
    (section(expand="yes"), f"{B}/expand", "must provide a boolean"),
    ({"type": "section"}, B, "must define either `text` or `fields`"),
    ({"type": "section", "text": "x"}, f"{B}/text", "must provide an object"),
    ({"type": "section", "text": {"text": "x"}}, f"{B}/text", "missing required field: type"),
    ({"type": "section", "text": {"type": "mrkdwn"}}, f"{B}/text", "missing required field: text"),
    ({"type": "section", "text": {"type": "html", "text": "x"}}, f"{B}/text/type", "unsupported type: html"),
    ({"type": "section", "text": mrkdwn(None)}, f"{B}/text/text", "must provide a string"),
    (
        {"type": "section", "text": {**mrkdwn(), "emoji": True}},
        f"{B}/text",
        "invalid additional property: emoji",
    ),
    (
        {"type": "section", "text": {**plain(), "verbatim": True}},
        f"{B}/text",
        "invalid additional property: verbatim",
    ),
    ({"type": "header", "text": plain("x" * 151)}, f"{B}/text/text", "must be less than 151 characters"),
    ({"type": "header", "text": mrkdwn()}, f"{B}/text/type", "unsupported type: mrkdwn"),
    ({"type": "header"}, B, "missing required field: text"),
    (context(), f"{B}/elements", "no less than 1 items allowed"),
    (context(*[mrkdwn()] * 11), f"{B}/elements", "no more than 10 items allowed"),
    (context(button()), f"{B}/elements/0/type", "unsupported type: button"),
    (context(image(alt_text="")), f"{B}/elements/0/alt_text", "must be more than 0 characters"),
    (actions(), f"{B}/elements", "no less than 1 items allowed"),
    (actions(*[button()] * 26), f"{B}/elements", "no more than 25 items allowed"),
    (actions(image()), f"{B}/elements/0/type", "unsupported type: image"),
    (actions(button(text=plain("x" * 76))), f"{B}/elements/0/text/text", "must be less than 76 characters"),
    (actions(button(text=mrkdwn())), f"{B}/elements/0/text/type", "unsupported type: mrkdwn"),
    (actions(button(value="x" * 2_001)), f"{B}/elements/0/value", "must be less than 2001 characters"),
    (actions(button(value="")), f"{B}/elements/0/value", "must be more than 0 characters"),
    (actions(button(action_id="x" * 256)), f"{B}/elements/0/action_id", "must be less than 256 characters"),
    (actions(button(url="https://e.com/" + "x" * 3_000)), f"{B}/elements/0/url", "must be less than 3001 characters"),
    (actions(button(url="javascript:alert(1)")), f"{B}/elements/0/url", "invalid url"),
    (actions(button(url="https://exa mple.com")), f"{B}/elements/0/url", "invalid url"),
    (actions(button(style="default")), f"{B}/elements/0/style", "must be one of: danger, primary"),
    (actions(button(disabled=True)), f"{B}/elements/0", "invalid additional property: disabled"),
    (
        actions(button(action_id="same"), button(action_id="same")),
        f"{B}/elements/1/action_id",
        '`action_id` "same" already exists',
    ),
    (
        actions({"type": "overflow", "options": [option()] * 6}),
        f"{B}/elements/0/options",
        "no more than 5 items allowed",
    ),
    (
        actions({"type": "static_select", "options": [option()] * 101}),
        f"{B}/elements/0/options",
        "no more than 100 items allowed",
    ),
    (
        actions({"type": "static_select"}),
        f"{B}/elements/0",
        "must define either `options` or `option_groups`",
    ),
    (
        actions({"type": "static_select", "options": [option("v" * 151)]}),
        f"{B}/elements/0/options/0/value",
        "must be less than 151 characters",
    ),
    (image(image_url="x"), f"{B}/image_url", "invalid url"),
    (image(slack_file={"id": "F1"}), B, "must define either `image_url` or `slack_file`"),
    (image(alt_text="x" * 2_001), f"{B}/alt_text", "must be less than 2001 characters"),
    (image(title=plain("x" * 2_001)), f"{B}/title/text", "must be less than 2001 characters"),
    ({"type": "markdown", "text": ""}, f"{B}/text", "must be more than 0 characters"),
    ({"type": "markdown", "text": "x" * 12_001}, f"{B}/text", "must be less than 12001 characters"),
    ({"type": "rich_text", "elements": []}, f"{B}/elements", "no less than 1 items allowed"),
    (rich(), f"{B}/elements/0/elements", "no less than 1 items allowed"),
    (rich({"type": "text", "text": ""}), f"{B}/elements/0/elements/0/text", "must be more than 0 characters"),
    (
        rich({"type": "emoji", "name": "x", "skin_tone": True}),
        f"{B}/elements/0/elements/0/skin_tone",
        "must provide a number",
    ),
    (table([""]), f"{B}/rows/0/0/text", "must be more than 0 characters"),
    (table(*[["x"]] * 101), f"{B}/rows", "no more than 100 items allowed"),
    (table(["x"] * 21), f"{B}/rows/0", "no more than 20 items allowed"),
    ({"type": "card", "title": None}, f"{B}/title", "must not be empty"),
    ({"type": "alert", "text": mrkdwn()}, f"{B}/type", "unsupported type: alert"),
    ({"type": "file", "external_id": "x"}, f"{B}/type", "unsupported type: file"),
    ({"type": "sparkles"}, f"{B}/type", "unsupported type: sparkles"),
    ({"type": ["section"]}, f"{B}/type", "unsupported type: ['section']"),
    ({}, B, "missing required field: type"),
    (None, B, "must provide an object"),
    ("text", B, "must provide an object"),
    (actions("x"), f"{B}/elements/0", "must provide an object"),
    ({"type": "actions", "elements": "x"}, f"{B}/elements", "must provide an array"),
]


@pytest.mark.parametrize(
    ("block", "at", "finding"), INVALID_BLOCKS, ids=[f"{finding} at {at}" for _, at, finding in INVALID_BLOCKS]
)
def test_an_invalid_block_is_rejected_with_the_error_and_its_place(block, at, finding):
    rejection = answer(block)
    assert rejection["error"] == "invalid_blocks"
    assert f"[ERROR] {finding} [json-pointer:{at}]" in rejection["response_metadata"]["messages"]
    assert f"{finding} [json-pointer:{at}]" in rejection["errors"]


@pytest.mark.parametrize(("block", "at", "finding"), INVALID_BLOCKS[:3], ids=["long", "empty", "blank"])
def test_an_invalid_block_in_an_attachment_is_rejected_there(block, at, finding):
    rejection = answer(attachments=({"blocks": [section(), block]},))
    assert rejection["error"] == "invalid_attachments"
    there = at.replace(B, "/attachments/0/blocks/1")
    assert f"{finding} [json-pointer:{there}]" in rejection["errors"]


def test_a_field_for_two_kinds_of_text_reports_first_that_no_schema_matches():
    assert answer(section("x" * 3_001))["response_metadata"]["messages"] == [
        "[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ]


def test_all_errors_are_reported_at_once():
    assert len(answer(section(""), {"type": "header"}, {"type": "sparkles"})["errors"]) == 4


def test_fifty_blocks_are_accepted_and_one_more_is_not():
    validate_content(MessageContent(blocks=tuple([section()] * 50)))
    assert answer(*[section()] * 51)["errors"] == ["no more than 50 items allowed [json-pointer:/blocks]"]


def test_twenty_blocks_in_an_attachment_are_accepted_and_one_more_is_not():
    validate_content(MessageContent(attachments=({"blocks": [section()] * 20},)))
    rejection = answer(attachments=({"blocks": [section()] * 21},))
    assert rejection["errors"] == ["no more than 20 items allowed [json-pointer:/attachments/0/blocks]"]


def test_a_hundred_attachments_are_accepted_and_one_more_is_not():
    validate_content(MessageContent(attachments=tuple([{"text": "x"}] * 100)))
    assert answer(attachments=tuple([{"text": "x"}] * 101))["error"] == "too_many_attachments"


@pytest.mark.parametrize(
    ("attachment", "finding"),
    [
        ({"blocks": [section()], "title": "x", "indent": False}, "invalid_keys: indent, title"),
        ({"text": "x", "colour": "red"}, "invalid_keys: colour"),
        ({"text": "x", "color": "red"}, "invalid color"),
        ({"text": "x", "color": "#f00"}, "invalid color"),
        ({"blocks": []}, "must provide a non-empty array"),
        ({"blocks": None}, "must provide a non-empty array"),
        ({"text": "x", "footer": "x" * 301}, "must be less than 301 characters"),
        ({}, "must provide an object"),
        ("x", "must provide an object"),
    ],
)
def test_an_invalid_attachment_is_rejected(attachment, finding):
    rejection = answer(attachments=(attachment,))
    assert rejection["error"] == "invalid_attachments"
    assert rejection["errors"][0].startswith(f"{finding} [json-pointer:/attachments/0")


@pytest.mark.parametrize("color", ["good", "warning", "danger", "#a0B1c2"])
def test_a_color_is_a_name_or_six_hexadecimal_digits(color):
    validate_content(MessageContent(attachments=({"color": color, "fallback": "x", "blocks": [section()]},)))


def test_a_block_id_is_used_once_in_a_message_and_its_attachments():
    assert answer(section(block_id="a"), section(block_id="a"))["errors"] == [
        '`block_id` "a" already exists [json-pointer:/blocks/1/block_id]'
    ]
    rejection = answer(section(block_id="a"), attachments=({"blocks": [section(block_id="a")]},))
    assert rejection["errors"] == ['`block_id` "a" already exists [json-pointer:/attachments/0/blocks/0/block_id]']


def test_an_action_id_may_be_in_several_blocks():
    validate_content(MessageContent(blocks=(actions(button(action_id="a")), actions(button(action_id="a")))))


def test_all_markdown_of_a_message_shares_one_limit():
    assert answer(*[{"type": "markdown", "text": "x" * 6_001}] * 2)["error"] == "invalid_blocks"


def test_a_message_has_one_table_at_most():
    assert answer(table(["x"]), attachments=({"blocks": [table(["x"])]},))["errors"] == ["only_one_table_allowed"]


def test_all_cells_of_a_table_share_one_limit():
    assert answer(table(*[["x" * 101]] * 100))["error"] == "invalid_blocks"


def test_the_characters_of_all_blocks_and_attachments_share_one_limit():
    full = section("x" * 2_600)
    validate_content(MessageContent(blocks=(full,) * 3, attachments=({"blocks": [full] * 2},)))
    assert answer(full, full, full, attachments=({"blocks": [full] * 2}, {"blocks": [section()]})) == {
        "ok": False,
        "error": "msg_blocks_too_long",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "elements", "blocks", "fields", "url"]), inner, max_size=4)
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["section", "actions", "context", "header", "image", "rich_text", "table", "markdown", "input"])


@given(st.builds(lambda kind, block: {**block, "type": kind}, KINDS, st.dictionaries(st.text(max_size=5), JSON)) | JSON)
def test_the_validation_handles_any_json(block):
    assert code(MessageContent(text="x", blocks=(block,))) in {None, "invalid_blocks"}
    assert code(MessageContent(text="x", attachments=({"blocks": [block]}, block))) in {None, "invalid_attachments"}


# --- the table of limits ---


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com", True),
        ("HTTP://example.com:8080/a?b#c", True),
        ("https://", False),
        ("https:///path", False),
        ("//example.com", False),
        ("ftp://example.com", False),
        ("https://example.com/a b", False),
        ("https://example.com/a\nb", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_a_link_has_a_scheme_a_host_and_no_blanks(url, expected):
    assert limits.is_link(url) is expected


def test_only_characters_that_a_reader_sees_are_counted():
    button_ = button(action_id="hidden", value="hidden", url="https://example.com")
    blocks = [section("12345", block_id="hidden", accessory=button_), image(alt_text="123", title=plain("12"))]
    assert limits.visible_characters(blocks) == 5 + len("Open") + 3 + 2


def test_the_limits_of_relay_are_below_the_sizes_that_slack_rejects():
    assert limits.ALL_BLOCKS < 11_300 < limits.ALL_BLOCKS_REJECTED
    assert limits.TEXT < limits.POSTED_TEXT
    assert limits.ATTACHMENT_BLOCKS < limits.BLOCKS
