"""What each tag makes."""

import pytest

from relay.model.buttons import ButtonPlace
from relay.rendering.blocks.tags import BLOCK_TAGS
from relay.rendering.card import render_card
from relay.rendering.request import Button
from tests.support.rendering_samples import (
    alert,
    blocks,
    card,
    check_message,
    incident,
    library,
    made_blocks,
    render_request,
    section_text,
    shown_text,
)


def test_a_section_is_verbatim_mrkdwn():
    [block] = made_blocks("{% section %}*{{ incident.title }}*{% endsection %}")
    assert block == {"type": "section", "text": {"type": "mrkdwn", "text": "*db-117 · lag*", "verbatim": True}}


def test_a_header_is_one_unescaped_line_of_plain_text():
    [block] = made_blocks("{% header %}a & <b>\n {{ 'c' | code }}{% endheader %}")
    assert block["text"] == {"type": "plain_text", "text": "a & <b> c", "emoji": False}


def test_the_summary_appears_only_in_the_notification():
    rendered = card("{% summary %}{{ incident.title }}\n& more{% endsummary %}{% section %}x{% endsection %}")
    assert rendered.message.text == "db-117 · lag &amp; more"
    assert shown_text(rendered) == "x"


def test_without_a_summary_the_notification_has_the_state_and_the_title():
    line = "P1 Critical · db-117 · lag (3 alerts, Production)"
    assert card("{% header %}Down{% endheader %}").message.text == line
    assert card("{% section %}x{% endsection %}").message.text == line


def test_a_bar_is_beside_its_content_and_all_that_follows():
    rendered = card(
        "{% header %}top{% endheader %}{% bar incident.state | color %}{% section %}in{% endsection %}{% endbar %}after"
    )
    [attachment] = rendered.message.attachments
    assert attachment["color"] == "#d72638"
    assert [block["text"]["text"] for block in attachment["blocks"]] == ["in", "after"]
    assert [block["type"] for block in rendered.message.blocks] == ["header"]


def test_the_first_block_of_a_bar_moves_to_the_top_if_the_top_is_empty():
    rendered = card("{% bar '#00ff00' %}{% section %}a{% endsection %}{% section %}b{% endsection %}{% endbar %}")
    assert [block["text"]["text"] for block in rendered.message.blocks] == ["a"]
    assert rendered.message.attachments[0]["color"] == "#00ff00"


def test_an_invalid_colour_gives_slacks_default_bar():
    rendered = card("x{% bar 'rebeccapurple' %}y{% endbar %}")
    assert "color" not in rendered.message.attachments[0]


def test_fields_are_split_by_ten_and_a_field_without_a_value_is_left_out():
    first, second = made_blocks(
        "{% fields %}{% for n in range(12) %}{% field 'n*' ~ n %}{{ n }}{% endfield %}{% endfor %}"
        "{% field 'gone' %}{{ incident.nothing }}{% endfield %}{% endfields %}"
    )
    assert [field["text"] for field in first["fields"]][:2] == ["*n*0*\n0", "*n*1*\n1"]
    assert len(first["fields"]) == 10
    assert len(second["fields"]) == 2


def test_a_context_keeps_the_order_of_its_texts_and_images():
    [block] = made_blocks(
        "{% context %}by {{ sender }}{% image 'https://x.example/i.png', 'a face' %}late{% endcontext %}"
    )
    assert [element.get("text", element.get("alt_text")) for element in block["elements"]] == [
        "by AutoShare",
        "a face",
        "late",
    ]


def test_each_line_of_a_quote_has_a_mark_and_values_are_escaped():
    assert section_text("{% quote %}{{ 'a\n> b' }}{% endquote %}c") == "> a\n> &gt; b\nc"


def test_each_line_of_code_in_a_quote_has_a_mark():
    assert section_text("a{% quote %}b{% pre %}c\nd{% endpre %}{% endquote %}e") == "a\n> b\n> ```\n> c\n> d\n> ```\ne"


def test_pre_keeps_every_space_and_no_value_can_close_it():
    source = "{% pre %}\n  a\n    {{ 'b ``` <c>' }}\n{% endpre %}"
    assert section_text(source) == "```\n  a\n    b \u02cb\u02cb\u02cb &lt;c&gt;\n```"


def test_a_divider_and_an_image_are_blocks():
    found = made_blocks("{% divider %}{% image 'https://x.example/i.png' %}{% image 'ftp://x.example/i.png' %}")
    assert found == [
        {"type": "divider"},
        {"type": "image", "image_url": "https://x.example/i.png", "alt_text": "image"},
    ]


def test_actions_hold_link_buttons_and_relays_own_buttons():
    own = Button(action_id="relay_assign", text="Assign to me", value="5555", style="primary")
    [block] = made_blocks(
        "{% actions %}{% button links.landing_page %}Open & see{% endbutton %}{% button 'nowhere' %}No{% endbutton %}"
        "{% relay_actions %}{% endactions %}",
        buttons=(own, own),
    )
    assert [(each["text"]["text"], each["action_id"]) for each in block["elements"]] == [
        ("Open & see", "open_link_0"),
        ("Assign to me", "relay_assign"),
    ]
    assert block["elements"][0]["url"] == "https://a.example/5555"
    assert block["elements"][1]["value"] == "5555"


def relay_button(name, place=ButtonPlace.FIRST, *, value="5555", style=""):
    return Button(action_id=f"relay_{name}", text=name, value=value, place=place, style=style)


ROW = "{% actions %}{% button links.landing_page %}Open{% endbutton %}{% relay_actions %}{% endactions %}"
ASSIGN, RESOLVE = relay_button("assign", style="primary"), relay_button("resolve", ButtonPlace.LAST)


def row(*buttons):
    [block] = made_blocks(ROW, buttons=buttons)
    return [each.get("text", {}).get("text", each["type"]) for each in block["elements"]]


def test_the_menu_and_the_last_button_come_after_the_templates_own_buttons():
    menu = [relay_button(name, ButtonPlace.MENU) for name in ("unassign", "end_snooze")]
    assert row(ASSIGN, *menu, RESOLVE) == ["Open", "assign", "overflow", "resolve"]
    [block] = made_blocks(ROW, buttons=(ASSIGN, *menu))
    assert [(each["text"]["text"], each["value"]) for each in block["elements"][-1]["options"]] == [
        ("unassign", "relay_unassign:5555"),
        ("end_snooze", "relay_end_snooze:5555"),
    ]


def test_a_single_menu_entry_becomes_a_button():
    alone, snooze = relay_button("unassign", ButtonPlace.MENU), relay_button("snooze")
    assert row(ASSIGN, snooze, alone, RESOLVE) == ["Open", "assign", "snooze", "unassign", "resolve"]


def test_an_entry_that_slack_accepts_in_no_menu_becomes_a_button():
    alone, long = relay_button("unassign", ButtonPlace.MENU), relay_button("why", ButtonPlace.MENU, value="5" * 200)
    assert row(ASSIGN, alone, RESOLVE) == ["Open", "assign", "unassign", "resolve"]
    assert row(ASSIGN, alone, long, RESOLVE) == ["Open", "assign", "unassign", "why", "resolve"]


def test_too_many_buttons_for_a_row_are_split():
    rows = made_blocks(
        "{% actions %}{% for n in range(30) %}{% button 'https://x.example' %}{{ n }}{% endbutton %}{% endfor %}"
        "{% relay_actions %}{% endactions %}",
        buttons=(Button(action_id="relay_assign", text="Assign to me", value="5555"),),
    )
    assert [len(row["elements"]) for row in rows] == [25, 6]
    assert [each["text"]["text"] for row in rows for each in row["elements"]] == [*map(str, range(30)), "Assign to me"]


def test_too_much_small_print_for_a_block_is_split():
    pair = "{% image 'https://x.example/i.png', n %}t{{ n }}"
    rows = made_blocks("{% context %}{% for n in range(30) %}" + pair + "{% endfor %}{% endcontext %}")
    elements = [element for row in rows for element in row["elements"]]
    texts = [element.get("text", element.get("alt_text")) for element in elements]
    assert texts == [each for n in range(30) for each in (str(n), f"t{n}")]
    assert {len(row["elements"]) for row in rows} == {10}


def test_only_one_accessory_is_beside_a_section_and_the_others_are_below_it():
    section, *below = made_blocks(
        "{% section %}x{% accessory %}{% button 'https://x.example/1' %}1{% endbutton %}note"
        "{% image 'https://x.example/i.png', 'face' %}{% endaccessory %}{% endsection %}"
    )
    assert section["accessory"]["text"]["text"] == "1"
    assert [block["type"] for block in below] == ["image", "section"]
    assert below[1]["text"]["text"] == "note"


LONG = "{% button 'https://x.example/' ~ 'y' * 3000 %}go{% endbutton %}"


RAW_LONG = """{% blocks %}
- {type: image, image_url: "https://x.example/{{ 'y' * 3000 }}", alt_text: a}
- type: actions
  elements: [{type: button, text: {type: plain_text, text: b}, url: "https://x.example/{{ 'y' * 3000 }}"}]
{% endblocks %}"""


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("{% image 'https://x.example/' ~ 'y' * 3000, 'graph' %}", "and 1 more image"),
        ("{% image 'https://x.example/' ~ '|' * 1200, 'graph' %}", "and 1 more image"),
        ("{% context %}{% image 'https://x.example/' ~ 'y' * 3000 %}{% endcontext %}", "and 1 more image"),
        ("{% actions %}" + 2 * LONG + "{% endactions %}", "and 2 more buttons"),
        (LONG, "and 1 more button"),
        ("{% section %}{% accessory %}" + LONG + "{% endaccessory %}{% endsection %}", "and 1 more button"),
        (RAW_LONG, "and 1 more image, and 1 more button"),
    ],
)
def test_an_element_with_too_long_an_address_is_counted_in_its_place(source, note):
    assert shown_text(card("a" + source + "b")).split("\n") == ["a", note, "b"]


def test_actions_without_buttons_are_left_out():
    assert made_blocks("{% section %}x{% endsection %}{% actions %}{% relay_actions %}{% endactions %}")[1:] == []


def test_a_section_can_have_a_button_beside_it():
    [block] = made_blocks(
        "{% section %}x{% accessory %}{% button 'https://x.example' | link %}Go{% endbutton %}{% endaccessory %}"
        "{% endsection %}"
    )
    assert block["accessory"]["url"] == "https://x.example"
    assert block["text"]["text"] == "x"


def test_text_outside_of_tags_is_a_section_unless_it_is_empty():
    assert [block["text"]["text"] for block in made_blocks("\n a \n{% section %}b{% endsection %}\n\n c")] == [
        "a",
        "b",
        "c",
    ]


def test_a_block_inside_a_section_splits_it():
    assert [block["type"] for block in made_blocks("{% section %}a{% divider %}b{% endsection %}")] == [
        "section",
        "divider",
        "section",
    ]


def test_mentions_are_below_the_headline_at_any_place_in_the_template():
    for source in (
        "{% header %}h{% endheader %}{% mentions %}{% section %}x{% endsection %}",
        "{% header %}h{% endheader %}{% bar '' %}{% section %}x{% endsection %}{% mentions %}{% endbar %}",
        "{% header %}h{% endheader %}{% section %}x{% endsection %}",
    ):
        rendered = card(source, mentions=("S0A", "U0B", "here", "nobody"))
        check_message(rendered, ("S0A", "U0B", "here"))
        assert rendered.message.blocks[1]["text"]["text"] == "<!subteam^S0A> <@U0B> <!here>"


RAW_HEADER = "{% blocks %}[{type: header, text: {type: plain_text, text: '🔴 h'}}]{% endblocks %}"


HEADLINES = {
    "on top": "{% header %}🔴 h{% endheader %}{% bar '' %}BODY{% endbar %}",
    "first in the bar": "{% bar '' %}{% header %}🔴 h{% endheader %}{% mentions %}BODY{% endbar %}",
    "after the mention": "{% bar '' %}{% mentions %}{% header %}🔴 h{% endheader %}BODY{% endbar %}",
    "in the middle of the bar": "{% bar '' %}BODY{% header %}🔴 h{% endheader %}{% mentions %}{% endbar %}",
    "raw": RAW_HEADER + "{% bar '' %}BODY{% endbar %}",
    "raw in the bar": "{% bar '' %}" + RAW_HEADER + "BODY{% endbar %}",
}


BODY = "{% section %}a{% endsection %}{% header %}details{% endheader %}{% section %}b{% endsection %}"


@pytest.mark.parametrize("mentions", [(), ("S0A", "here")])
@pytest.mark.parametrize("place", HEADLINES)
def test_the_headline_is_the_first_block_and_the_mention_the_second(place, mentions):
    body = (
        BODY if place != "in the middle of the bar" else "{% section %}a{% endsection %}{% section %}b{% endsection %}"
    )
    rendered = card(HEADLINES[place].replace("BODY", body), mentions=mentions, emoji="⚪")
    check_message(rendered, mentions)
    top = [block["text"]["text"] for block in rendered.message.blocks]
    assert top == ["⚪ h", *(["<!subteam^S0A> <!here>"] if mentions else [])]
    beside = [block["text"]["text"] for block in rendered.message.attachments[0]["blocks"]]
    assert beside == [each for each in ("a", "details", "b") if each != "details" or "details" in body]


def test_headers_of_list_items_do_not_become_the_headline():
    listed = "{% for alert in incident.alerts.worst %}{% header %}{{ alert.title }}{% endheader %}{% endfor %}"
    rendered = card("{% bar '' %}{% section %}a{% endsection %}" + listed + "{% endbar %}", mentions=("S0A",))
    assert [block["type"] for block in rendered.message.attachments[0]["blocks"]] == ["section", *["header"] * 3]
    assert rendered.message.blocks[0]["text"]["text"] == "<!subteam^S0A>"


def test_notices_are_always_the_last_line():
    rendered = card(
        "{% header %}h{% endheader %}{% bar '' %}{% section %}x{% endsection %}{% endbar %}", notices=("a <b>", "c")
    )
    assert blocks(rendered)[-1]["elements"][0]["text"] == "a &lt;b&gt; · c"
    assert rendered.message.attachments[0]["blocks"][-1]["type"] == "context"


def test_macros_includes_inheritance_and_set_keep_structure_and_markup():
    made_of = library(
        base="{% block head %}{% header %}base{% endheader %}{% endblock %}{% block body %}{% endblock %}",
        parts="{% macro line(alert) %}{% section %}{{ alert.title | code }}{% endsection %}{% endmacro %}",
        piece="{% context %}{{ kept }}{% endcontext %}",
        card='{% extends "base.j2" %}{% from "parts.j2" import line %}{% block body %}'
        "{% for alert in incident.alerts.worst[:2] %}{{ line(alert) }}{% endfor %}"
        '{% set kept %}{{ "https://x.example" | link("a") }}{% endset %}{% include "piece.j2" %}{% endblock %}',
    )
    rendered = render_card(made_of, "incident", render_request())
    check_message(rendered)
    assert shown_text(rendered) == "base\n`db-117 · lag`\n`db-118 · lag`\n<https://x.example|a>"


EXAMPLE = """
{% summary %}{{ incident.state | capitalize }}: {{ incident.title }} ({{ incident.counts }}){% endsummary %}
{% header %}{{ incident.state | emoji }} {{ incident.title }}{% endheader %}
{% mentions %}
{% bar incident.state | color %}
  {% section %}*{{ incident.state | capitalize }}* · {{ incident.counts }} · {{ environment }}{% endsection %}
  {% fields %}
    {% for tag in tags.shown %}{% field tag.label %}{{ tag.value }}{% endfield %}{% endfor %}
  {% endfields %}
  {% for alert in incident.alerts.worst %}{% section %}{{ alert.description }} {{ alert.runbook | link("run-book") }}{% endsection %}{% endfor %}
  {% actions %}{% button links.landing_page %}Open in BigPanda{% endbutton %}{% relay_actions %}{% endactions %}
  {% context %}shared by {{ sender.name }}{% endcontext %}
{% endbar %}
"""  # noqa: E501  a line of the documentation


def test_a_complete_template_makes_a_complete_card():
    rendered = card(EXAMPLE, mentions=("S0A",))
    check_message(rendered, ("S0A",))
    assert rendered.message.text == "Critical: db-117 · lag (3 alerts: 2 critical, 1 warning)"
    assert (
        shown_text(rendered)
        == """🔴 db-117 · lag
<!subteam^S0A>
*Critical* · 3 alerts: 2 critical, 1 warning · Production
*Priority*
P1
*Service*
checkout
replication lag is 117 % <https://wiki.example/db-117|run-book>
replication lag is 118 % <https://wiki.example/db-118|run-book>
replication lag is 119 % <https://wiki.example/db-119|run-book>
Open in BigPanda
shared by AutoShare"""
    )


def test_a_complete_template_counts_the_alerts_that_do_not_fit():
    rendered = card(EXAMPLE, incident(alerts=tuple(alert(number) for number in range(33))))
    check_message(rendered)
    assert "and 18 more alerts, all critical" in shown_text(rendered)
    assert [block["type"] for block in blocks(rendered)][-2:] == ["actions", "context"]


def test_a_link_is_text_if_nobody_acknowledges_clicks():
    def button(number, words):
        return f"{{% button 'https://a.example/{number}' %}}{words}{{% endbutton %}}"

    raw = "{type: button, url: 'https://a.example/4', text: {type: plain_text, text: Four}}"
    source = (
        f"{{% section %}}a{{% accessory %}}{button(1, 'One|x')}{{% endaccessory %}}{{% endsection %}}"
        f"{{% actions %}}{button(5555, 'Open')}{button(2, 'Two')}{{% relay_actions %}}{{% endactions %}}"
        f"{button(3, 'Three')}"
        f"{{% blocks %}}\n- type: actions\n  elements:\n  - {raw}\n{{% endblocks %}}"
    )
    made = made_blocks(source, clickable=False)
    assert [block["text"]["text"] for block in made] == [
        "a",
        "<https://a.example/1|One¦x>",
        "<https://a.example/5555|Open> · <https://a.example/2|Two>",
        "<https://a.example/3|Three>",
        "<https://a.example/4|Four>",
    ]
    assert "button" not in str(made)


def test_the_built_in_card_has_a_text_link_if_nobody_acknowledges_clicks():
    rendered = render_card(library(card="{% broken"), "incident", render_request(clickable=False))
    assert "<https://a.example/5555|Open in BigPanda>" in shown_text(rendered)
    assert "button" not in str(rendered.message)


@pytest.mark.parametrize(
    "source",
    [
        "{% header %}h{% endheader %}{% mentions %}{% bar '' %}{% section %}x{% endsection %}{% endbar %}",
        "{% section %}x{% endsection %}{% header %}h{% endheader %}",
        "{% section %}x{% endsection %}" * 60,
        "{% broken",
    ],
)
def test_a_card_meant_for_another_channel_says_so_in_its_first_line(source):
    rendered = card(source, mentions=("S0A",), diversions=("meant for #payments, which accepts no messages",))
    check_message(rendered, ("S0A",))
    first = rendered.message.blocks[0]
    assert first["type"] == "section"
    assert first["text"]["text"] == "↪️ meant for #payments, which accepts no messages"
    assert "meant for #payments" in rendered.message.text
    assert str(rendered.message.payload()).count("which accepts no messages") == 2


@pytest.mark.parametrize("tag", BLOCK_TAGS)
def test_every_tag_of_the_table_makes_something(tag):
    """The template follows from the tag's row, so that a tag that nothing composes fails here."""
    row = BLOCK_TAGS[tag].value
    argument = {"a url": '"https://x.example/a.png"', "a colour": '"critical"', "a label": '"Label"'}.get(
        row.argument, ""
    )
    inside = "- type: divider" if tag == "blocks" else "text"
    source = f"{{% {tag} {argument} %}}" + (f"{inside}{{% end{tag} %}}" if row.has_end else "")
    for outer in row.inside[:1]:
        source = f"{{% {outer} %}}{source}{{% end{outer} %}}"
    beside = "{% section %}beside it{% endsection %}"
    request = {"mentions": ("S0A",), "buttons": (Button(action_id="relay_assign", text="Assign to me"),)}
    rendered, without = card(source + beside, **request), card(beside, **request)
    assert rendered.failures == (), "relay/rendering/blocks/compose.py has a function for each tag"
    if tag != "mentions":  # these stand below the headline, wherever the tag is
        assert rendered.message.payload() != without.message.payload()
