"""A value is text: Slack finds no formatting, emoji, link, ping or quote in it, and a reader every word of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.incident import Tag
from relay.rendering.blocks.rich_text import Atom, mrkdwn, notification, plain
from relay.rendering.card import render_card
from tests.support.rendering_samples import (
    blocks,
    card,
    incident,
    library,
    packaged,
    render_request,
    shown_text,
    texts_in,
)
from tests.support.slack_reading import JOINER, read_in, words_of

VALUES = (
    "job */5 * * * * on backup host has not run since 02:00",
    "cannot delete /var/log/*.gz and /tmp/_cache_/~lock~ (user _www_)",
    "cert *.example.com and *.example.org expire; see ~/old~ and __init__.py _now_ `uptime` ```x```",
    "*** urgent *** _x_ /srv/_a_/*b*/~c~",
    "resource arn:aws:rds:eu-west-1:100:db:fire:prod at 2001:db8:100::1 took 10:30:45 :fire: :+1::skin-tone-2:",
    "> quoted\n > more\n>>> all",
    "<!channel> <@U123> <https://evil.example|click> &lt;!here&gt; a < b && c > d",
    r"C:\new\*temp*\_x_ ^\d+_[a-z]*$ a*b*c 5 < 6 R&D snake_case_name ann_b@example.com",
    "שלום *עולם* _مرحبا_ e\u0301*x* 👩\u200d👩\u200d👧 ~नमस्ते~ *日本語*",
)
PLAIN = (
    "snake_case a*b*c x~y 10:30 https://a.example/x_y",
    "R&D at 5 < 6, ann_b@example.com, C:\\new\\temp, ^\\d+$",
    "שלום עולם e\u0301 👩\u200d👩\u200d👧 नमस्ते",
)


@pytest.mark.parametrize("value", VALUES)
def test_no_value_formats_anything(value):
    [(_, text)] = texts_in(
        blocks(card("{% section %}{{ incident.alerts[0].description }}{% endsection %}", _with(value)))
    )
    assert not read_in(text)
    assert words_of(text).split() == _decoded_once(value).split()


@pytest.mark.parametrize("value", PLAIN)
def test_usual_text_can_be_copied(value):
    assert JOINER not in mrkdwn([Atom(value)], 3000)


@given(st.text(alphabet="*_~`:>< &ab1\n+-.", max_size=40))
def test_no_text_formats_anything(value):
    text = mrkdwn([Atom(value)], 3000)
    assert not read_in(text)
    assert words_of(text) == value
    assert not read_in(notification([Atom(value)], 3000))


@given(st.text(alphabet="*_~`:> ab", max_size=40), st.integers(1, 60))
def test_no_cut_text_formats_anything(value, limit):
    text = mrkdwn([Atom(value)], limit)
    assert len(text) <= limit
    assert not read_in(text)


def test_a_value_between_formatting_of_the_template_stays_inside():
    shown = shown_text(
        card("{% section %}*{{ tags.x }}* and _{{ tags.x }}_ `{{ tags.x }}`{% endsection %}", _tagged("a* _b_ :x:"))
    )
    assert (
        shown
        == f"*a{JOINER}* {JOINER}_b{JOINER}_ :{JOINER}x:* and _a{JOINER}* {JOINER}_b{JOINER}_ :{JOINER}x:_ `a* _b_ :x:`"
    )


def test_unpaired_formatting_characters_are_text():
    shown = shown_text(card("{% section %}*.example.com 5 * 3 {{ 'x' }}_{{ 'y' }}\n`open{% endsection %}"))
    assert words_of(shown) == "*.example.com 5 * 3 x_y\n`open"
    assert not read_in(shown)


def test_plain_text_has_no_stars_for_bold():
    [header] = blocks(card("{% header %}*{{ 'x*' }}* {{ '*new*' if incident.active }} 2 * 3{% endheader %}"))
    assert header["text"] == {"type": "plain_text", "text": "x* new 2 * 3", "emoji": False}


def test_a_constant_that_is_printed_may_format():
    assert shown_text(card("{% section %}{{ '*new*' if incident.active else '_old_' }}{% endsection %}")) == "*new*"


def test_a_macro_keeps_its_own_formatting_and_not_that_of_a_value():
    macro = "{% macro bold(x) %}*{{ x }}*{% endmacro %}"
    source = macro + "{% section %}{{ bold('_a_') }}{% set y %}*b*{% endset %} {{ y }}{% endsection %}"
    assert shown_text(card(source)) == f"*{JOINER}_a{JOINER}_* *b*"


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("files", [{}, {"card": "{% broken"}])
def test_every_part_of_a_card_shows_values_as_text(value, files):
    """The built-in card, too. Compared with a card whose value is one word."""
    libraries = library(**files) if files else packaged()
    marked, bare = (
        render_card(libraries, "incident", render_request(_everywhere(text)))
        for text in (value.replace("\n", " "), "word")
    )
    found = [read_in(text) for kind, text in texts_in(blocks(marked)) if kind == "mrkdwn"]
    expected = [read_in(text) for kind, text in texts_in(blocks(bare)) if kind == "mrkdwn"]
    assert set().union(*found) <= set().union(*expected)
    assert not read_in(marked.message.text)
    assert plain([Atom(value)], 3000) == " ".join(value.split())


def _with(description):
    first = incident().alerts[0]
    return incident(alerts=(type(first)(**{**_fields(first), "description": description}),))


def _fields(of):
    return {name: getattr(of, name) for name in of.__struct_fields__}


def _tagged(value):
    return incident(tags=(Tag(id="x", name="x", values=(value,)),))


def _everywhere(value):
    return incident(
        title=value,
        alerts=_with(value).alerts,
        tags=tuple(Tag(id=f"t{number}", name=f"t{number}", values=(value,)) for number in range(3)),
    )


def _decoded_once(value):
    return value.replace("&lt;", "<").replace("&gt;", ">")
