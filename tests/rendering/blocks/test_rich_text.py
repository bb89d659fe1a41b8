"""Running text is cut between whole characters and whole markup, and the cut says what is missing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rendering.blocks.characters import TICK, utf16_length
from relay.rendering.blocks.marks import ItemMark
from relay.rendering.blocks.rich_text import Atom, mrkdwn, plain
from tests.support.rendering_samples import NASTY, card, incident, is_sound, shown_text


@pytest.mark.parametrize("cap", [40, 100, 200, 400, 3000])
@pytest.mark.parametrize("address", [30, 90, 300, 900, 2900])
@pytest.mark.parametrize("before", ["", "b " * 20])
def test_a_long_address_loses_only_its_link_and_a_note_says_so(cap, address, before):
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


def test_a_date_that_does_not_fit_is_written_in_utc():
    date = Atom(
        "", "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>", shown="2022-04-10 07:38 UTC"
    )
    assert mrkdwn([date, Atom("z" * 90)], 40).startswith("2022-04-10 07:38 UTC")


def test_cut_code_is_closed():
    for opening, end in (("```\n", "\n```"), ("see `", "`")):
        text = shown_text(card("{% section %}" + opening + "{{ 'x ' * 3000 }}" + end + "{% endsection %}"))
        assert text.count("`") % 2 == 0
        assert re.search(r"(?:`|```) … \([\d,]+ more characters\)$", text)
    assert shown_text(card("{% pre %}{{ 'x ' * 3000 }}{% endpre %}")).count("```") == 2


def test_no_value_becomes_code():
    text = shown_text(card("{{ incident.title }} *so*", incident(title="a ``` b")))
    assert text == f"a {3 * TICK} b *so*"
    shown = shown_text(card("{{ incident.title }} *so*", incident(title="a `b` c `d")))
    assert shown == f"a {TICK}b{TICK} c {TICK}d *so*"


atoms = st.one_of(
    st.one_of(st.text(max_size=40), st.sampled_from(NASTY[:20])).map(Atom),
    st.builds(lambda text: Atom(text, quoted=True), st.text(max_size=40)),
    st.builds(lambda text: Atom(text.replace("`", ""), "`", "`"), st.text(max_size=20)),
    st.builds(
        lambda text: Atom(text.replace("|", "").replace("\n", "") or "x", "<https://x.example|", ">"),
        st.text(min_size=1, max_size=20),
    ),
    st.just(Atom("", "<!date^1649576282^{date}|then>", shown="then")),
    st.just(Atom("", item=ItemMark("alert", "critical"))),
    st.just(Atom("", item=ItemMark())),
)


@given(st.lists(atoms, max_size=25), st.integers(1, 400))
def test_any_text_is_cut_to_any_length_outside_of_markup(flow, limit):
    text = mrkdwn(flow, limit)
    assert utf16_length(text) <= limit
    assert is_sound(text)
    assert utf16_length(plain(flow, limit)) <= limit
