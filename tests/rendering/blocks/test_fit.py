"""A message fits, and says what was left out."""

import re
from collections import Counter
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.incident import State, Tag
from relay.rendering.blocks.characters import utf16_length
from relay.rendering.card import render_card
from relay.rendering.reply import render_reply
from relay.slack import limits
from tests.support.rendering_samples import (
    alert,
    blocks,
    card,
    check_message,
    incident,
    packaged,
    render_request,
    shown_text,
)

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


def test_items_that_do_not_fit_are_counted_in_their_place():
    rendered = card("{% header %}h{% endheader %}{% bar '' %}" + LISTED + AFTER + "{% endbar %}", many(37))
    check_message(rendered)
    found = blocks(rendered)
    assert len(found) == 1 + limits.ATTACHMENT_BLOCKS
    assert found[-3]["elements"][0]["text"] == "and 20 more alerts, all warning"
    assert [block["type"] for block in found[-2:]] == ["actions", "context"]


def test_the_count_names_the_worst_state_of_the_missing_items():
    rendered = card("{% header %}h{% endheader %}{% bar '' %}" + LISTED + "{% endbar %}", many(36, critical=22))
    assert shown_text(rendered).endswith("and 17 more alerts, 3 critical")


def test_items_in_one_text_are_cut_between_items():
    listed = "{% for alert in incident.alerts.worst %}\n• {{ alert.description }}\n{% endfor %}\n"
    source = "{% section %}Alerts:\n" + listed + "the end{% endsection %}"
    rendered = card(source, many(40, description="y" * 97))
    check_message(rendered)
    *lines, last = shown_text(rendered).split("\n")
    assert set(lines[1:]) == {"• " + "y" * 97}
    assert re.fullmatch(r"and \d+ more alerts, all warning … \(7 more characters\)", last)
    assert len(lines) - 1 + int(re.findall(r"\d+", last)[0]) == 40


def test_text_after_a_list_is_cut_without_cutting_items():
    listed = "{% for alert in incident.alerts %}\n• {{ alert.title }}\n{% endfor %}\n"
    source = "{% section %}" + listed + "{{ 'z ' * 2000 }}{% endsection %}"
    rendered = card(source, many(3))
    assert shown_text(rendered).startswith("• db-0 · lag\n• db-1 · lag\n• db-2 · lag\nz z z")
    assert re.search(r"z … \([\d,]+ more characters\)$", shown_text(rendered))


def test_a_set_block_with_an_empty_list_is_false():
    assert (
        shown_text(
            card(
                "{% set caught %}{% for a in incident.alerts %}{% endfor %}{% endset %}{{ 'no' if caught else 'yes' }}"
            )
        )
        == "yes"
    )


def test_a_text_that_is_cut_says_how_much_is_missing():
    rendered = card("{% section %}{{ 'word ' * 1000 }}{% endsection %}")
    check_message(rendered)
    text = shown_text(rendered)
    kept, missing = re.fullmatch(r"((?:word ?)+) … \(([\d,]+) more characters\)", text).groups()
    assert len(kept) + int(missing.replace(",", "")) == 4999 - 0
    assert utf16_length(text) <= limits.SECTION_TEXT


def test_long_texts_are_shortened_equally():
    source = "{% for n in range(12) %}{% section %}{{ n }} {{ 'word ' * 600 }}{% endsection %}{% endfor %}"
    rendered = card(source)
    check_message(rendered)
    sizes = [len(block["text"]["text"]) for block in blocks(rendered)]
    assert len(sizes) == 12
    assert max(sizes) - min(sizes) < 60


def test_blocks_outside_of_lists_are_counted_as_parts():
    rendered = card("{% bar '' %}{% for n in range(60) %}{% context %}{{ n }}{% endcontext %}{% endfor %}{% endbar %}")
    check_message(rendered)
    assert shown_text(rendered).endswith("and 40 more parts")


def test_buttons_that_do_not_fit_are_counted():
    button = "{% button 'https://x.example' %}{{ 'wide ' * 14 }}{% endbutton %}"
    rendered = card("{% actions %}{% for n in range(300) %}" + button + "{% endfor %}{% endactions %}")
    check_message(rendered)
    shown = sum(len(block.get("elements", ())) for block in blocks(rendered) if block["type"] == "actions")
    assert shown_text(rendered).endswith(f"and {300 - shown} more buttons")


def test_headers_that_do_not_fit_are_counted_and_the_notice_stays():
    rendered = card(
        "{% bar '' %}{% for n in range(70) %}{% header %}{{ n }}{% endheader %}{% endfor %}{% endbar %}",
        mentions=("S0A",),
        notices=("mind this",),
    )
    check_message(rendered, ("S0A",))
    text = shown_text(rendered).split("\n")
    assert text[:4] == ["0", "<!subteam^S0A>", "1", "2"]
    assert text[-2:] == ["and 51 more parts", "mind this"]


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


@pytest.mark.slow
@given(rows, st.booleans())
def test_exactly_the_omitted_items_are_counted(drawn, beside_a_bar):
    ends = list(accumulate(count for _, count in drawn))
    named = [(form, range(end - count, end)) for (form, count), end in zip(drawn, ends, strict=True)]
    source = "".join(_template(form, numbers) for form, numbers in named)
    source = "it begins" + ("{% bar '' %}" + source + "{% endbar %}" if beside_a_bar else source)
    rendered = card("{% set long = 'https://x.example/' ~ 'y' * 3000 %}{% set wide = 'z ' * 1400 %}" + source)
    check_message(rendered)
    assert rendered.failures == ()
    seen = {int(number) for number in re.findall(r"name(\d+)\.", str(blocks(rendered)))}
    missing = [form for form, numbers in named for number in numbers if number not in seen]
    missing += [] if "it begins" in shown_text(rendered) else ["section"]
    counted = {
        noun: int(count) for count, noun in re.findall(r"and (\d+) more (button|image|part)", shown_text(rendered))
    }
    assert bool(counted) == bool(missing)
    if "part" in counted:  # each of which may have held many
        assert len(missing) >= sum(counted.values())
    else:
        assert counted == Counter("image" if "image" in form else "button" for form in missing)


def test_a_message_of_buttons_fits():
    button = "{% button 'https://x.example' %}{{ 'wide ' * 20 }}{% endbutton %}"
    row = "{% actions %}{% for n in range(30) %}" + button + "{% endfor %}{% endactions %}"
    check_message(card("{% for n in range(40) %}" + row + "{% endfor %}"))


def test_a_message_of_raw_blocks_fits():
    raw = (
        "{% blocks %}["
        "{type: rich_text, elements: [{type: rich_text_section, elements: [{type: text, text: '"
        + "x" * 2900
        + "'}]}]}," * 1
        + "]{% endblocks %}"
    )
    check_message(card(raw * 30))


def test_a_reply_of_long_comments_keeps_each_of_them():
    entries = [{"kind": "comment", "actor": f"A{number}", "text": "so long " * 180} for number in range(20)]
    rendered = render_reply(packaged(), "incident", render_request(), entries)
    check_message(rendered)
    assert all(f"*A{number}*" in shown_text(rendered) for number in range(20))


def test_a_long_label_leaves_space_for_the_value_of_its_field():
    text = shown_text(card("{% fields %}{% field 'so long ' * 500 %}the value{% endfield %}{% endfields %}"))
    assert text.startswith("*so long so long")
    assert text.endswith("…*\nthe value")


def test_a_card_shows_six_tags_and_counts_the_rest():
    tagged = incident(tags=tuple(Tag(id=f"t{number}", name=f"t{number}", values=("v",)) for number in range(20)))
    assert "_and 14 more tags_" in shown_text(render_card(packaged(), "incident", render_request(tagged)))


def test_mentions_and_notices_are_never_cut():
    greedy = "{% for n in range(40) %}{% header %}{{ 'head ' * 30 }}{% endheader %}{% endfor %}"
    greedy += "{% bar '' %}{% for n in range(40) %}{% fields %}{% for m in range(10) %}{% field m %}{{ 'x' * 150 }}"
    greedy += "{% endfield %}{% endfor %}{% endfields %}{% endfor %}{% endbar %}"
    everybody = tuple(f"S0GROUP{number}" for number in range(40))
    rendered = card(greedy, mentions=everybody, notices=("this may be a repeat " * 4,))
    check_message(rendered, everybody)
    assert shown_text(rendered).endswith(("this may be a repeat " * 4).strip())
