"""A broadcast that calls people is followed until its state is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.broadcasts import (
    GIVE_UP_AFTER,
    MAX_BROADCASTS,
    mark_over,
    next_over,
    track,
    with_broadcast_edit,
    without,
)
from relay.cards.model import Attempt, Card, Due, Entry
from relay.cards.notices import NO_EDITS
from relay.cards.steps import REPLY
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.struct import replace
from relay.routes.options import Options

CARD = Card(incident="i1", channel="C1", episode=1, options=Options(), ts="1.1")


def entry(seq, kind, old, new, **data):
    return Entry(seq=seq, key=str(seq), kind=kind, at=seq * 60.0, data={"old": old, "new": new, **data})


REOPENED = entry(1, EntryKind.REOPENED, "resolved", "warning")
RISE = entry(1, EntryKind.STATUS, "warning", "critical")
BETTER = entry(2, EntryKind.STATUS, "critical", "warning")
WORSE = entry(2, EntryKind.STATUS, "warning", "critical")
RESOLVED = entry(3, EntryKind.RESOLVED, "warning", "resolved")
REOPENED_AGAIN = entry(4, EntryKind.REOPENED, "resolved", "critical")
FLAPPING = Entry(seq=2, key="f", kind=EntryKind.STATUS, at=120.0, data={"text": "started flapping", "flapping": True})


def tracked(first, *later, broadcast=True, card=CARD):
    attempt = Attempt(
        key="k", kind=REPLY, generation=0, upto_seq=first.seq, started_at=0, data={"broadcast": broadcast}
    )
    return track(card, attempt, [first, *later], "2.2")


@pytest.mark.parametrize(
    ("first", "later", "over_at", "became"),
    [
        (REOPENED, [], None, None),
        (REOPENED, [WORSE], None, None),
        (REOPENED, [FLAPPING], None, None),
        (REOPENED, [RESOLVED], 180.0, State.RESOLVED),
        (REOPENED, [WORSE, RESOLVED, REOPENED_AGAIN], 180.0, State.RESOLVED),
        (RISE, [FLAPPING], None, None),
        (RISE, [BETTER, RESOLVED], 120.0, State.WARNING),
        (RISE, [RESOLVED], 180.0, State.RESOLVED),
    ],
)
def test_a_reopening_is_over_when_it_is_resolved_and_a_rise_as_soon_as_it_is_better(first, later, over_at, became):
    for card in (mark_over(tracked(first), later), tracked(first, *later)):
        [broadcast] = card.broadcasts
        assert (broadcast.ts, broadcast.over_at, broadcast.became) == ("2.2", over_at, became)


@pytest.mark.parametrize("quiet", [BETTER, RESOLVED, FLAPPING, Entry(seq=1, key="c", kind=EntryKind.COMMENT, at=0)])
def test_a_reply_that_pings_nobody_is_not_edited_later(quiet):
    assert tracked(quiet).broadcasts == ()
    assert tracked(REOPENED, broadcast=False).broadcasts == ()


@given(st.lists(st.sampled_from([BETTER, WORSE, RESOLVED, REOPENED_AGAIN, FLAPPING])))
def test_the_grouping_of_entries_into_shares_does_not_matter(later):
    one_by_one = tracked(REOPENED)
    for each in later:
        one_by_one = mark_over(one_by_one, [each])
    assert one_by_one == mark_over(tracked(REOPENED), later)


def test_an_edit_of_a_broadcast_comes_after_all_others():
    over = tracked(REOPENED, RESOLVED)
    edited = with_broadcast_edit(over, 200.0)
    assert edited.edit is not None
    assert edited.edit.is_reply_edit
    ordinary = Due(at=900.0, deadline=930.0)
    assert with_broadcast_edit(replace(over, edit=ordinary), 200.0).edit == ordinary
    assert not ordinary.sooner(edited.edit).is_reply_edit


def test_a_broadcast_is_not_edited_if_that_is_impossible_or_too_late():
    over = tracked(REOPENED, RESOLVED)
    assert with_broadcast_edit(replace(over, notices=(NO_EDITS,)), 200.0).edit is None
    assert with_broadcast_edit(over, 180.0 + GIVE_UP_AFTER).edit is None
    assert with_broadcast_edit(tracked(REOPENED), 200.0).edit is None
    assert with_broadcast_edit(without(over, "2.2"), 200.0).edit is None


def test_a_card_edits_a_limited_number_of_broadcasts():
    card = CARD
    for _ in range(MAX_BROADCASTS + 5):
        card = tracked(REOPENED, card=card)
    assert len(card.broadcasts) == MAX_BROADCASTS
    assert next_over(card, 0.0) is None
