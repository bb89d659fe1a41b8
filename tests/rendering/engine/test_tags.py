"""What each tag and each filter makes."""

import pytest

from relay.model.incident import State, Tag
from relay.rendering.card import render_card
from relay.rendering.request import Button
from tests.support.rendering_samples import alert, blocks, card, incident, judge, library, said, scene


def made(source, of=None, **more):
    """The blocks of a card that did not fail."""
    rendered = card(source, of, **more)
    judge(rendered, more.get("mentions", ()))
    assert rendered.failures == ()
    return blocks(rendered)


def text_of(source, of=None, **more):
    """The text of the only block."""
    [block] = made("{% section %}" + source + "{% endsection %}", of, **more)
    return block["text"]["text"]


def test_a_section_is_mrkdwn_in_which_slack_looks_for_nothing_of_its_own_accord():
    [block] = made("{% section %}*{{ incident.title }}*{% endsection %}")
    assert block == {"type": "section", "text": {"type": "mrkdwn", "text": "*db-117 · lag*", "verbatim": True}}


def test_a_header_is_one_line_of_plain_text_and_is_not_escaped():
    [block] = made("{% header %}a & <b>\n {{ 'c' | code }}{% endheader %}")
    assert block["text"] == {"type": "plain_text", "text": "a & <b> c", "emoji": True}


def test_the_summary_is_the_notification_and_nothing_else():
    rendered = card("{% summary %}{{ incident.title }}\n& more{% endsummary %}{% section %}x{% endsection %}")
    assert rendered.message.text == "db-117 · lag &amp; more"
    assert said(rendered) == "x"


def test_without_a_summary_the_headline_is_the_notification():
    assert card("{% header %}Down{% endheader %}").message.text == "Down"
    assert card("{% section %}x{% endsection %}").message.text == "db-117 · lag"


def test_a_bar_colours_what_stands_in_it_and_what_follows():
    rendered = card(
        "{% header %}top{% endheader %}{% bar incident.state | color %}{% section %}in{% endsection %}{% endbar %}after"
    )
    [attachment] = rendered.message.attachments
    assert attachment["color"] == "#d72638"
    assert [block["text"]["text"] for block in attachment["blocks"]] == ["in", "after"]
    assert [block["type"] for block in rendered.message.blocks] == ["header"]


def test_a_bar_without_anything_above_it_gives_its_first_block_to_the_top():
    rendered = card("{% bar '#00ff00' %}{% section %}a{% endsection %}{% section %}b{% endsection %}{% endbar %}")
    assert [block["text"]["text"] for block in rendered.message.blocks] == ["a"]
    assert rendered.message.attachments[0]["color"] == "#00ff00"


def test_a_colour_that_is_none_leaves_the_bar_as_slack_draws_it():
    rendered = card("x{% bar 'rebeccapurple' %}y{% endbar %}")
    assert "color" not in rendered.message.attachments[0]


def test_fields_stand_by_ten_and_one_without_a_value_is_left_out():
    first, second = made(
        "{% fields %}{% for n in range(12) %}{% field 'n*' ~ n %}{{ n }}{% endfield %}{% endfor %}"
        "{% field 'gone' %}{{ incident.nothing }}{% endfield %}{% endfields %}"
    )
    assert [field["text"] for field in first["fields"]][:2] == ["*n0*\n0", "*n1*\n1"]
    assert len(first["fields"]) == 10
    assert len(second["fields"]) == 2


def test_a_context_holds_texts_and_pictures_in_their_order():
    [block] = made("{% context %}by {{ sender }}{% image 'https://x.example/i.png', 'a face' %}late{% endcontext %}")
    assert [element.get("text", element.get("alt_text")) for element in block["elements"]] == [
        "by AutoShare",
        "a face",
        "late",
    ]


def test_a_quote_begins_every_line_of_it_and_none_of_the_value_itself():
    assert text_of("{% quote %}{{ 'a\n> b' }}{% endquote %}c") == "> a\n> &gt; b\nc"


def test_code_in_a_quote_is_quoted_line_by_line():
    assert text_of("a{% quote %}b{% pre %}c\nd{% endpre %}{% endquote %}e") == "a\n> b\n> ```\n> c\n> d\n> ```\ne"


def test_pre_keeps_every_blank_and_cannot_be_closed_from_inside():
    source = "{% pre %}\n  a\n    {{ 'b ``` <c>' }}\n{% endpre %}"
    assert text_of(source) == "```\n  a\n    b \u02cb\u02cb\u02cb &lt;c&gt;\n```"


def test_a_divider_and_a_picture_are_blocks():
    found = made("{% divider %}{% image 'https://x.example/i.png' %}{% image 'ftp://x.example/i.png' %}")
    assert found == [
        {"type": "divider"},
        {"type": "image", "image_url": "https://x.example/i.png", "alt_text": "image"},
    ]


def test_actions_hold_link_buttons_and_relays_own():
    own = Button(action_id="relay_assign", text="Assign to me", value="5555", style="primary")
    [block] = made(
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


def test_more_buttons_than_a_row_holds_stand_in_several():
    rows = made(
        "{% actions %}{% for n in range(30) %}{% button 'https://x.example' %}{{ n }}{% endbutton %}{% endfor %}"
        "{% relay_actions %}{% endactions %}",
        buttons=(Button(action_id="relay_assign", text="Assign to me", value="5555"),),
    )
    assert [len(row["elements"]) for row in rows] == [25, 6]
    assert [each["text"]["text"] for row in rows for each in row["elements"]] == [*map(str, range(30)), "Assign to me"]


def test_more_small_print_than_a_block_holds_stands_in_several():
    pair = "{% image 'https://x.example/i.png', n %}t{{ n }}"
    rows = made("{% context %}{% for n in range(30) %}" + pair + "{% endfor %}{% endcontext %}")
    elements = [element for row in rows for element in row["elements"]]
    told = [element.get("text", element.get("alt_text")) for element in elements]
    assert told == [each for n in range(30) for each in (str(n), f"t{n}")]
    assert {len(row["elements"]) for row in rows} == {10}


def test_what_finds_no_room_beside_a_section_stands_below_it():
    section, *below = made(
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
    ("source", "told"),
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
def test_what_has_too_long_an_address_is_told_in_its_place(source, told):
    assert said(card("a" + source + "b")).split("\n") == ["a", told, "b"]


def test_actions_without_any_button_are_left_out():
    assert made("{% section %}x{% endsection %}{% actions %}{% relay_actions %}{% endactions %}")[1:] == []


def test_a_section_may_have_one_thing_beside_it():
    [block] = made(
        "{% section %}x{% accessory %}{% button 'https://x.example' | link %}Go{% endbutton %}{% endaccessory %}"
        "{% endsection %}"
    )
    assert block["accessory"]["url"] == "https://x.example"
    assert block["text"]["text"] == "x"


def test_text_outside_of_any_tag_is_a_section_unless_it_is_blank():
    assert [block["text"]["text"] for block in made("\n a \n{% section %}b{% endsection %}\n\n c")] == ["a", "b", "c"]


def test_a_block_inside_of_a_text_becomes_a_block_of_its_own():
    assert [block["type"] for block in made("{% section %}a{% divider %}b{% endsection %}")] == [
        "section",
        "divider",
        "section",
    ]


def test_mentions_stand_under_the_headline_wherever_the_template_has_them_or_not():
    for source in (
        "{% header %}h{% endheader %}{% mentions %}{% section %}x{% endsection %}",
        "{% header %}h{% endheader %}{% bar '' %}{% section %}x{% endsection %}{% mentions %}{% endbar %}",
        "{% header %}h{% endheader %}{% section %}x{% endsection %}",
    ):
        rendered = card(source, mentions=("S0A", "U0B", "here", "nobody"))
        judge(rendered, ("S0A", "U0B", "here"))
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
def test_the_headline_is_the_first_block_on_top_and_the_mention_the_second(place, mentions):
    body = (
        BODY if place != "in the middle of the bar" else "{% section %}a{% endsection %}{% section %}b{% endsection %}"
    )
    rendered = card(HEADLINES[place].replace("BODY", body), mentions=mentions, emoji="⚪")
    judge(rendered, mentions)
    top = [block["text"]["text"] for block in rendered.message.blocks]
    assert top == ["⚪ h", *(["<!subteam^S0A> <!here>"] if mentions else [])]
    beside = [block["text"]["text"] for block in rendered.message.attachments[0]["blocks"]]
    assert beside == [each for each in ("a", "details", "b") if each != "details" or "details" in body]


def test_headings_of_the_items_of_a_list_are_no_headline():
    listed = "{% for alert in incident.alerts.worst %}{% header %}{{ alert.title }}{% endheader %}{% endfor %}"
    rendered = card("{% bar '' %}{% section %}a{% endsection %}" + listed + "{% endbar %}", mentions=("S0A",))
    assert [block["type"] for block in rendered.message.attachments[0]["blocks"]] == ["section", *["header"] * 3]
    assert rendered.message.blocks[0]["text"]["text"] == "<!subteam^S0A>"


def test_notices_are_the_last_line_whatever_the_template_does():
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
    rendered = render_card(made_of, "incident", scene())
    judge(rendered)
    assert said(rendered) == "base\n`db-117 · lag`\n`db-118 · lag`\n<https://x.example|a>"


def test_layout_of_the_file_is_not_layout_of_the_message():
    condition = "  {% if incident.active %}\n    b\n  {% endif %}\n"
    source = "{# why #}\n  *a*\n" + condition + "  {% for n in range(2) %}\n  • {{ n }}\n  {% endfor %}\n"
    assert text_of(source) == "*a*\nb\n• 0\n• 1"


RAW = """
{% blocks %}
- type: section
  text: {type: mrkdwn, text: "*{{ incident.title }}* {{ links.landing_page | link('open') }} <!here>"}
  fields:
    - {type: plain_text, text: "{{ incident.nothing }}"}
    - {type: plain_text, text: "a & b"}
- type: header
  text: {type: plain_text, text: "{{ incident.title }}", colour: red}
- type: rich_text
  elements:
    - type: rich_text_section
      elements:
        - {type: text, text: "{{ incident.title }} ", style: {bold: true}}
        - {type: user, user_id: U0123}
        - {type: usergroup, usergroup_id: S0123}
        - {type: broadcast, range: here}
        - {type: link, url: "{{ links.landing_page }}", text: open}
- type: image
  image_url: "{{ incident.title }}"
  alt_text: none
{% endblocks %}
"""


def test_raw_blocks_are_parsed_before_jinja_runs_in_their_strings():
    bad = incident(title='x", "type": "divider"}\n- type: divider')
    section, header, rich = made(RAW, bad)
    assert section["text"]["text"].startswith(
        '*x", "type": "divider"} - type: divider* <https://a.example/5555|open> &lt;!here'
    )
    assert [field["text"] for field in section["fields"]] == ["a & b"]
    assert header == {
        "type": "header",
        "text": {"type": "plain_text", "text": 'x", "type": "divider"} - type: divider', "emoji": True},
    }
    assert [element["type"] for element in rich["elements"][0]["elements"]] == ["text", "link"]


@pytest.mark.parametrize(
    ("printing", "expected"),
    [
        ("{{ 'https://x.example/?a=1&b=2' | link('a <b> | c') }}", "<https://x.example/?a=1&amp;b=2|a &lt;b&gt; ¦ c>"),
        ("{{ 'javascript:alert(1)' | link('x') }}", "javascript:alert(1)"),
        ("{{ 'https://x.example/a b|c>d' | link('x') }}", "<https://x.example/a%20b%7Cc%3Ed|x>"),
        ("{{ 'https://x.example' | link }}", "<https://x.example|https://x.example>"),
        ("x{{ incident.nothing | link('y') }}", "x"),
        ("{{ 'http://' | link('x') }}", "http://"),
        (
            "{{ 'see https://x.example/a(b). <http://y.example>' | linkify }}",
            "see <https://x.example/a(b)|https://x.example/a(b)>. &lt;<http://y.example|http://y.example>&gt;",
        ),
        ("{{ 'https://x.example <!here>' }}", "https://x.example &lt;!here&gt;"),
        ("{{ 'a`b\nc' | code }}", "`a\u02cbb c`"),
        ("{{ 1649576282 | slack_time }}", "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>"),
        ("{{ 1649576282 | slack_time('ago') }}", "<!date^1649576282^{ago}|2022-04-10 07:38 UTC>"),
        ("{{ 1649576282 | slack_time('on {date_num}') }}", "<!date^1649576282^on {date_num}|2022-04-10 07:38 UTC>"),
        ("x{{ 1649576282 | slack_time('{date}^https://evil.example') }}", "x"),
        ("x{{ 1649576282000 | slack_time }}{{ 'soon' | slack_time }}{{ none | slack_time }}", "x"),
        ("{{ 'critical' | emoji }}{{ 'resolved' | emoji }}{{ 'odd' | emoji }}", "🔴✅"),
        ("{{ 'warning' | color }} {{ 'odd' | color }} {{ '#ABCDEF' | color }}", "#f0a202 #8d99ae #abcdef"),
        (
            "{{ 4320 | duration }}, {{ 42 | duration }}, {{ 0 | duration }}, {{ 266400 | duration }}",
            "1 h 12 min, 42 s, 0 s, 3 d 2 h",
        ),
        (
            "{{ 599 | duration }}, {{ 600 | duration }}, {{ 2215 | duration }}, {{ 3599 | duration }}",
            "9 min 59 s, 10 min, 37 min, 1 h",
        ),
        ("{{ 'a\n b  c' | oneline }}, {{ 'one two three' | oneline(9) }}", "a b c, one two…"),
        ("{{ 'one\ntwo\nthree' | shorten(100, 2) }}", "one\ntwo … (6 more characters)"),
        ("{{ incident.alerts.worst[1:] | more }}", "and 2 more alerts, 1 critical"),
        ("{{ incident.alerts.worst[2:] | more }}{{ incident.alerts.worst[9:] | more }}", "and 1 more alert (warning)"),
        ("{{ ['a', 'b'] | more('tag') }}", "and 2 more tags"),
        ("{{ none }}{{ incident.nothing.at.all }}{{ range }}{{ ['a', none, 'b'] }}", "a, , b"),
        ("{{ incident.assignee.email }}{{ incident.snooze.until }}{{ tags.team }}x", "x"),
    ],
)
def test_filters_and_absent_values_print_what_is_expected(printing, expected):
    assert text_of(printing) == expected


def test_tags_are_found_by_name_or_id_in_any_case_and_compare_as_their_text():
    source = "{{ tags.priority }} {{ tags['PRIORITY'].label }} {{ tags.itd_priority_1 == 'P1' }}"
    source += " {{ 'P1' in tags.priority.values }}"
    assert text_of(source) == "P1 Priority True True"


def test_a_tag_may_be_called_like_what_tags_have():
    odd = incident(tags=tuple(Tag(id=name, name=name, values=(f"<{name}>",)) for name in ("shown", "items", "rest")))
    assert text_of(
        "{{ tags['shown'] }} {{ tags['items'] }} {{ tags.shown | length }} {{ tags.rest | length }}", odd
    ) == ("&lt;shown&gt; &lt;items&gt; 3 0")


def test_alerts_are_listed_worst_first_and_know_their_run_book():
    mixed = incident(alerts=(alert(1, State.WARNING), alert(2), alert(3, State.RESOLVED)))
    source = "{% for alert in incident.alerts.worst %}{{ alert.tags.HOST }} {{ alert.runbook }} {% endfor %}"
    source += "{{ incident.alerts.active | length }}"
    assert text_of(source, mixed) == "db-2 https://wiki.example/db-2 db-1 https://wiki.example/db-1 2"


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


def test_the_template_of_the_documentation_makes_what_it_shows():
    rendered = card(EXAMPLE, mentions=("S0A",))
    judge(rendered, ("S0A",))
    assert rendered.message.text == "Critical: db-117 · lag (3 alerts: 2 critical, 1 warning)"
    assert (
        said(rendered)
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


def test_the_template_of_the_documentation_counts_what_has_no_room():
    rendered = card(EXAMPLE, incident(alerts=tuple(alert(number) for number in range(33))))
    judge(rendered)
    assert "and 18 more alerts, all critical" in said(rendered)
    assert [block["type"] for block in blocks(rendered)][-2:] == ["actions", "context"]
