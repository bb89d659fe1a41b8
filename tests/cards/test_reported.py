"""Another database recognises what a thread has already reported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.model import Card, Entry
from relay.cards.replies import WorstShown, worst_shown
from relay.cards.reported import ReportedFacts, entries_digest, entries_text
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.struct import replace
from relay.routes.options import Options
from relay.slack.message import MAX_ENTRIES


def entry(kind, seq=1, at=1_700_000_000.0, **data):
    return Entry(seq=seq, key=f"{kind}:{seq}", kind=EntryKind(kind), at=at, data=data)


ENTRIES = st.builds(
    lambda kind, state, text, at, seq: entry(
        kind, seq, at, **{"new": state} if kind in {"status", "resolved", "reopened"} else {"text": text, "new": text}
    ),
    st.sampled_from([str(kind) for kind in EntryKind]),
    st.sampled_from([str(state) for state in State]),
    st.text(max_size=20),
    st.floats(0, 2e9),
    st.integers(1, 99),
)


@given(st.lists(ENTRIES, max_size=12))
def test_an_entry_that_repeats_the_last_report_is_recognised_in_any_share(entries):
    reported = ReportedFacts.of([(1.0, entries_text(entries))])
    if entries:
        last = entries[-1]
        again = Entry(seq=last.seq + 7, key="another share", kind=last.kind, at=last.at, data=last.data)
        assert reported.is_reported(again)


@given(st.lists(ENTRIES, max_size=400))
def test_the_facts_of_a_reply_fit_into_the_metadata_and_contain_no_text_of_anybody(entries):
    text = entries_text(entries)
    assert len(text) <= MAX_ENTRIES
    assert text.isascii()
    assert not any(character in text for character in "\n<>\"'")


def test_a_state_counts_as_reported_only_if_the_thread_still_shows_it():
    reported = ReportedFacts.of([(1.0, "state=critical"), (2.0, "state=warning")])
    assert reported.is_reported(entry("status", new="warning"))
    assert not reported.is_reported(entry("status", new="critical"))
    assert reported.is_reported(entry("status", new="critical"))
    assert not reported.is_reported(entry("resolved", new="resolved"))


def test_an_entry_older_than_an_equal_reply_counts_as_reported():
    reported = ReportedFacts.of([(1000.0, "state=critical"), (2000.0, "state=warning")])
    assert reported.is_reported(entry("status", new="critical", at=990.0))
    assert not reported.is_reported(entry("status", new="critical", at=2010.0))


def test_the_same_words_an_hour_later_are_another_comment():
    said = entry("comment", text="looking", at=1_700_000_000.0)
    reported = ReportedFacts.of([(said.at, entries_text([said]))])
    assert reported.is_reported(entry("comment", text=" looking ", at=1_700_000_300.0))
    assert not reported.is_reported(entry("comment", text="looking", at=1_700_003_600.0))
    assert not reported.is_reported(entry("comment", text="found it", at=1_700_000_000.0))


def test_two_replies_with_the_same_number_have_different_digests():
    assert entries_digest([entry("comment", text="one")]) != entries_digest([entry("comment", text="two")])
    assert entries_digest([entry("comment", text="one", seq=4)]) == entries_digest([entry("comment", text="one")])


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([], WorstShown()),
        (["warning", "critical", "warning"], WorstShown(recent=State.CRITICAL, episode=State.CRITICAL)),
        (["critical", "resolved", "warning"], WorstShown(recent=State.WARNING, episode=State.CRITICAL)),
        (["junk"], WorstShown()),
    ],
)
def test_the_worst_state_of_a_thread_starts_again_with_a_reopening(states, worst):
    assert ReportedFacts.of((1.0, f"state={state}") for state in states).worst == worst


@given(st.text())
def test_arbitrary_metadata_raises_no_error(text):
    ReportedFacts.of([(1.0, text)]).is_reported(entry("comment", text="x"))


def test_an_already_reported_state_does_not_hide_a_later_rise():
    card = Card(incident="i1", channel="C1", episode=1, options=Options(), worst=State.WARNING)
    before = entry("status", seq=2, old="warning", new="critical", posted_in=["C1"])
    assert worst_shown(card, [before]).recent is State.WARNING
    assert worst_shown(replace(card, channel="C2"), [before]).recent is State.CRITICAL
