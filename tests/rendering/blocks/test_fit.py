"""Whatever is printed fits, whole characters and whole markup remain, and the cut says what is missing."""

import re
import unicodedata
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model.incident import State, Tag
from relay.rendering.blocks.characters import TICK, safe_cut, utf16_length
from relay.rendering.blocks.marks import ItemMark
from relay.rendering.blocks.rich_text import Atom, mrkdwn, plain
from relay.rendering.card import render_card
from relay.rendering.reply import render_reply
from relay.slack import limits
from tests.support.rendering_samples import NASTY, alert, blocks, card, incident, is_sound, judge, packaged, said, scene

LISTED = "{% for alert in incident.alerts.worst %}{% section %}{{ alert.title }}{% endsection %}{% endfor %}"
AFTER = (
    "{% actions %}{% button links.landing_page %}Open{% endbutton %}{% endactions %}{% context %}end{% endcontext %}"
)


def many(number, critical=3, **more):
    return incident(
        alerts=tuple(
            alert(each, State.CRITICAL if each < critical else State.WARNING, **more) for each in range(number)
        )
    )


def test_items_that_have_no_block_left_are_counted_in_their_place():
    rendered = card("{% header %}h{% endheader %}{% bar '' %}" + LISTED + AFTER + "{% endbar %}", many(37))
    judge(rendered)
    told = blocks(rendered)
    assert len(told) == 1 + limits.ATTACHMENT_BLOCKS
    assert told[-3]["elements"][0]["text"] == "and 20 more alerts, all warning"
    assert [block["type"] for block in told[-2:]] == ["actions", "context"]


def test_the_worst_of_the_items_that_are_missing_are_named():
    rendered = card("{% header %}h{% endheader %}{% bar '' %}" + LISTED + "{% endbar %}", many(36, critical=22))
    assert said(rendered).endswith("and 17 more alerts, 3 critical")


def test_items_listed_in_one_text_are_cut_between_items():
    listed = "{% for alert in incident.alerts.worst %}\n• {{ alert.description }}\n{% endfor %}\n"
    source = "{% section %}Alerts:\n" + listed + "the end{% endsection %}"
    rendered = card(source, many(40, description="y" * 97))
    judge(rendered)
    *lines, last = said(rendered).split("\n")
    assert set(lines[1:]) == {"• " + "y" * 97}
    assert re.fullmatch(r"and \d+ more alerts, all warning … \(7 more characters\)", last)
    assert len(lines) - 1 + int(re.findall(r"\d+", last)[0]) == 40


def test_what_follows_a_list_is_cut_as_text_and_takes_no_item_with_it():
    listed = "{% for alert in incident.alerts %}\n• {{ alert.title }}\n{% endfor %}\n"
    source = "{% section %}" + listed + "{{ 'z ' * 2000 }}{% endsection %}"
    rendered = card(source, many(3))
    assert said(rendered).startswith("• db-0 · lag\n• db-1 · lag\n• db-2 · lag\nz z z")
    assert re.search(r"z … \([\d,]+ more characters\)$", said(rendered))


def test_a_set_that_lists_nothing_is_as_false_as_without_relay():
    assert (
        said(
            card(
                "{% set caught %}{% for a in incident.alerts %}{% endfor %}{% endset %}{{ 'no' if caught else 'yes' }}"
            )
        )
        == "yes"
    )


def test_a_text_that_is_cut_says_how_much_is_missing():
    rendered = card("{% section %}{{ 'word ' * 1000 }}{% endsection %}")
    judge(rendered)
    told = said(rendered)
    kept, missing = re.fullmatch(r"((?:word ?)+) … \(([\d,]+) more characters\)", told).groups()
    assert len(kept) + int(missing.replace(",", "")) == 4999 - 0
    assert utf16_length(told) <= limits.SECTION_TEXT


def test_many_long_texts_give_way_alike():
    source = "{% for n in range(12) %}{% section %}{{ n }} {{ 'word ' * 600 }}{% endsection %}{% endfor %}"
    rendered = card(source)
    judge(rendered)
    sizes = [len(block["text"]["text"]) for block in blocks(rendered)]
    assert len(sizes) == 12
    assert max(sizes) - min(sizes) < 60


def test_blocks_that_are_no_items_are_counted_as_parts():
    rendered = card("{% bar '' %}{% for n in range(60) %}{% context %}{{ n }}{% endcontext %}{% endfor %}{% endbar %}")
    judge(rendered)
    assert said(rendered).endswith("and 40 more parts")


def test_buttons_that_have_no_room_are_counted():
    button = "{% button 'https://x.example' %}{{ 'wide ' * 14 }}{% endbutton %}"
    rendered = card("{% actions %}{% for n in range(300) %}" + button + "{% endfor %}{% endactions %}")
    judge(rendered)
    shown = sum(len(block.get("elements", ())) for block in blocks(rendered) if block["type"] == "actions")
    assert said(rendered).endswith(f"and {300 - shown} more buttons")


def test_however_many_headers_there_are_the_notice_stays_and_they_are_counted():
    rendered = card(
        "{% bar '' %}{% for n in range(70) %}{% header %}{{ n }}{% endheader %}{% endfor %}{% endbar %}",
        mentions=("S0A",),
        notices=("mind this",),
    )
    judge(rendered, ("S0A",))
    told = said(rendered).split("\n")
    assert told[:4] == ["0", "<!subteam^S0A>", "1", "2"]
    assert told[-2:] == ["and 51 more parts", "mind this"]


def _template(form, numbers):
    before, each, after = FORMS[form]
    if before.startswith("{% blocks %}"):
        return before + "".join(each.replace("NAME", f"name{number}.") for number in numbers) + after
    named = each.replace("'NAME'", "'name' ~ n ~ '.'").replace("NAME", "name{{ n }}.")
    return f"{before}{{% for n in range({numbers.start}, {numbers.stop}) %}}{named}{{% endfor %}}{after}"


RAW_BUTTON = "{type: button, url: 'https://x.example', text: {type: plain_text, text: 'NAME'}},"
FORMS = {
    "section": ("", "{% section %}NAME{% endsection %}", ""),
    "long section": ("", "{% section %}NAME {{ wide }}{% endsection %}", ""),
    "header": ("", "{% header %}NAME{% endheader %}", ""),
    "field": ("{% fields %}", "{% field 'l' %}NAME{% endfield %}", "{% endfields %}"),
    "small print": ("{% context %}", "{% image 'https://x.example/i.png', 'NAME' %}small", "{% endcontext %}"),
    "button": ("{% actions %}", "{% button 'https://x.example' %}NAME{% endbutton %}", "{% endactions %}"),
    "beside": (
        "{% section %}a{% accessory %}",
        "{% button 'https://x.example' %}NAME{% endbutton %}",
        "{% endaccessory %}{% endsection %}",
    ),
    "image": ("", "{% image 'https://x.example/i.png', 'NAME' %}", ""),
    "long image": ("", "{% image long, 'NAME' %}", ""),
    "long button": (
        "{% actions %}",
        "{% button long %}NAME{% endbutton %}",
        "{% endactions %}",
    ),
    "raw button": ("{% blocks %}[{type: actions, elements: [", RAW_BUTTON, "]}]{% endblocks %}"),
    "raw text": (
        "{% blocks %}[{type: context, elements: [",
        "{type: mrkdwn, text: 'NAME'},",
        "]}]{% endblocks %}",
    ),
    "raw field": ("{% blocks %}[{type: section, fields: [", "{type: mrkdwn, text: 'NAME'},", "]}]{% endblocks %}"),
    "raw line": (
        "{% blocks %}[{type: rich_text, elements: [{type: rich_text_section, elements: [",
        "{type: text, text: 'NAME'},",
        "]}]}]{% endblocks %}",
    ),
}
rows = st.lists(
    st.tuples(st.sampled_from(list(FORMS)), st.sampled_from([1, 2, 3, 11, 26, 60])), min_size=1, max_size=12
)


@settings(max_examples=40)
@given(rows, st.booleans())
def test_whatever_is_left_out_of_any_template_is_told_and_nothing_else_is(drawn, beside_a_bar):
    ends = list(accumulate(count for _, count in drawn))
    named = [(form, range(end - count, end)) for (form, count), end in zip(drawn, ends, strict=True)]
    source = "".join(_template(form, numbers) for form, numbers in named)
    source = "it begins" + ("{% bar '' %}" + source + "{% endbar %}" if beside_a_bar else source)
    rendered = card("{% set long = 'https://x.example/' ~ 'y' * 3000 %}{% set wide = 'z ' * 1400 %}" + source)
    judge(rendered)
    assert rendered.failures == ()
    seen = {int(number) for number in re.findall(r"name(\d+)\.", str(blocks(rendered)))}
    missing = [form for form, numbers in named for number in numbers if number not in seen]
    missing += [] if "it begins" in said(rendered) else ["section"]
    told = {noun: int(count) for count, noun in re.findall(r"and (\d+) more (button|image|part)", said(rendered))}
    assert bool(told) == bool(missing)
    if "part" in told:  # each of which may have held many
        assert len(missing) >= sum(told.values())
    else:
        assert told == Counter("image" if "image" in form else "button" for form in missing)


def test_even_a_message_of_buttons_alone_fits():
    button = "{% button 'https://x.example' %}{{ 'wide ' * 20 }}{% endbutton %}"
    row = "{% actions %}{% for n in range(30) %}" + button + "{% endfor %}{% endactions %}"
    judge(card("{% for n in range(40) %}" + row + "{% endfor %}"))


def test_even_raw_blocks_fit():
    raw = (
        "{% blocks %}["
        "{type: rich_text, elements: [{type: rich_text_section, elements: [{type: text, text: '"
        + "x" * 2900
        + "'}]}]}," * 1
        + "]{% endblocks %}"
    )
    judge(card(raw * 30))


def test_a_reply_of_long_comments_still_tells_each_of_them():
    told = [{"kind": "comment", "actor": f"A{number}", "text": "so long " * 180} for number in range(20)]
    rendered = render_reply(packaged(), "incident", scene(), told)
    judge(rendered)
    assert all(f"*A{number}*" in said(rendered) for number in range(20))


@pytest.mark.parametrize("cap", [40, 100, 200, 400, 3000])
@pytest.mark.parametrize("address", [30, 90, 300, 900, 2900])
@pytest.mark.parametrize("before", ["", "b " * 20])
def test_a_long_address_costs_itself_alone_and_says_so(cap, address, before):
    linked = Atom("run-book", f"<https://x.example/{'y' * address}|", ">")
    text = mrkdwn([Atom(before), linked, Atom(" the disk of db-117 is full " + "z" * 3000)], cap)
    assert utf16_length(text) <= cap
    assert is_sound(text)
    if not before:
        assert "run-book" in text
        assert "run-book>" in text or cap < 60 or "run-book (link too long)" in text
        assert "the disk" in text or cap - address < 160
    assert mrkdwn([linked], cap) in {
        f"<https://x.example/{'y' * address}|run-book>",
        "run-book (link too long)",
    }


def test_a_date_that_has_no_room_is_told_in_universal_time():
    date = Atom(
        "", "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>", shown="2022-04-10 07:38 UTC"
    )
    assert mrkdwn([date, Atom("z" * 90)], 40).startswith("2022-04-10 07:38 UTC")


def test_a_field_has_room_for_its_value_whatever_its_label():
    told = said(card("{% fields %}{% field 'so long ' * 500 %}the value{% endfield %}{% endfields %}"))
    assert told.startswith("*so long so long")
    assert told.endswith("…*\nthe value")


def test_code_that_is_cut_is_closed():
    for opening in ("```\n", "see `"):
        told = said(card("{% section %}" + opening + "{{ 'x ' * 3000 }}{% endsection %}"))
        assert told.count("`") % 2 == 0
        assert re.search(r"(?:`|```) … \([\d,]+ more characters\)$", told)
    assert said(card("{% pre %}{{ 'x ' * 3000 }}{% endpre %}")).count("```") == 2


def test_a_value_leaves_no_code_open_behind_it():
    told = said(card("{{ incident.title }} *so*", incident(title="a ``` b")))
    assert told == f"a {3 * TICK} b *so*"
    assert said(card("{{ incident.title }} *so*", incident(title="a `b` c `d"))) == f"a `b` c {TICK}d *so*"


@pytest.mark.parametrize(
    "character", ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇮🇱", "e\u0301", "1\ufe0f\u20e3", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_no_character_that_a_reader_knows_is_cut_in_two(character):
    text = character * 30
    for end in range(len(text) + 1):
        assert safe_cut(text, end) % len(character) == 0
        assert end - safe_cut(text, end) < len(character)


atoms = st.one_of(
    st.one_of(st.text(max_size=40), st.sampled_from(NASTY[:20])).map(Atom),
    st.builds(lambda text: Atom(text, quoted=True), st.text(max_size=40)),
    st.builds(lambda text: Atom(text.replace("`", ""), "`", "`"), st.text(max_size=20)),
    st.builds(
        lambda text: Atom(text.replace("|", "").replace("\n", "") or "x", "<https://x.example|", ">"),
        st.text(min_size=1, max_size=20),
    ),
    st.just(Atom("", "<!date^1649576282^{date}|then>", shown="then")),
    st.just(ItemMark("alert", "critical")),
    st.just(ItemMark()),
)


@settings(max_examples=40)
@given(st.lists(atoms, max_size=25), st.integers(1, 400))
def test_any_text_is_cut_to_any_length_without_cutting_markup(flow, limit):
    text = mrkdwn(flow, limit)
    assert utf16_length(text) <= limit
    assert is_sound(text)
    assert utf16_length(plain(flow, limit)) <= limit


@settings(max_examples=40)
@given(st.text(st.characters(categories=["L", "M", "S"]), max_size=80), st.integers(0, 80))
def test_a_cut_never_separates_a_mark_from_its_letter(text, end):
    place = safe_cut(text, end)
    assert place <= end
    if 0 < place < len(text) and end <= 40:
        assert unicodedata.category(text[place]) not in {"Mn", "Me", "Mc"}


def test_a_card_of_any_number_of_tags_shows_six_and_counts_the_rest():
    tagged = incident(tags=tuple(Tag(id=f"t{number}", name=f"t{number}", values=("v",)) for number in range(20)))
    assert "_and 14 more tags_" in said(render_card(packaged(), "incident", scene(tagged)))


def test_the_mention_and_the_notices_are_never_cut_for_want_of_room():
    greedy = "{% for n in range(40) %}{% header %}{{ 'head ' * 30 }}{% endheader %}{% endfor %}"
    greedy += "{% bar '' %}{% for n in range(40) %}{% fields %}{% for m in range(10) %}{% field m %}{{ 'x' * 150 }}"
    greedy += "{% endfield %}{% endfor %}{% endfields %}{% endfor %}{% endbar %}"
    everybody = tuple(f"S0GROUP{number}" for number in range(40))
    rendered = card(greedy, mentions=everybody, notices=("this may be a repeat " * 4,))
    judge(rendered, everybody)
    assert said(rendered).endswith(("this may be a repeat " * 4).strip())
