"""What relay does with a card that it finds in Slack, but not in its database."""

from hypothesis import given
from hypothesis import strategies as st

from relay.cards.adoption import AdoptionContext, AdoptionOutcome, FoundCard, adopt
from relay.cards.model import Card, CardState, IncidentState
from relay.model.incident import State
from relay.model.record import Block, Record
from relay.model.struct import replace
from relay.routes.options import Options
from relay.slack.message import Marker

NOW, HOUR = 1_700_000_000.0, 3600.0
OPTIONS = Options(reopen_within=HOUR)
MARKER = Marker(
    event_type="relay_card",
    incident="i1",
    key="k",
    route="all",
    state="warning",
    worst="critical",
    environment="e1",
    as_of=int(NOW - HOUR),
    episode=2,
    generation=3,
)
FOUND = FoundCard(slack_channel="C1", ts="1699990000.000100", marker=MARKER)


def shared(state, as_of, *, episode=1):
    value = {"status": str(state), "resolved": None, "active": None}
    record = Record(incident="i1", blocks={"state": Block(as_of=as_of, value=value)})
    return IncidentState(record=record, state=state, version=1, episode=episode, next_seq=1)


def pending(**values):
    return Card(incident="i1", channel="#noc", episode=1, options=OPTIONS, id=7, **values)


def test_a_lost_incident_is_restored_from_its_card():
    update = adopt(AdoptionContext(channel="#noc"), FOUND, OPTIONS, NOW)
    [card] = update.cards
    state = update.incident_state
    assert (state.was_shared, state.episode, state.state) == (False, 2, State.WARNING)
    assert (state.record.environment_id, state.stale_at) == ("e1", NOW + OPTIONS.stale_after)
    assert (card.state, card.ts, card.route, card.generation) == (CardState.POSTED, FOUND.ts, "all", 4)
    assert (card.worst, card.thread_unread, card.post, card.edit) == (State.CRITICAL, True, None, None)
    assert update.entries == ()


def test_a_waiting_card_becomes_the_found_card_and_reports_only_the_new_state():
    context = AdoptionContext(channel="#noc", incident_state=shared(State.CRITICAL, NOW), card=pending())
    update = adopt(context, FOUND, OPTIONS, NOW)
    [card], [entry] = update.cards, update.entries
    assert (card.id, card.episode, card.ts) == (7, 2, FOUND.ts)
    assert (card.edit.at, card.post.at) == (NOW, NOW)
    assert (entry.data["old"], entry.data["new"]) == ("warning", "critical")


def test_a_share_that_is_older_than_the_card_does_not_roll_it_back():
    context = AdoptionContext(channel="#noc", incident_state=shared(State.CRITICAL, NOW - 2 * HOUR), card=pending())
    update = adopt(context, FOUND, OPTIONS, NOW)
    assert (update.incident_state.state, update.entries) == (State.WARNING, ())


@given(st.floats(1, 3 * HOUR), st.booleans())
def test_only_a_late_reopening_gets_a_new_card(later, waits):
    ended = FoundCard(
        slack_channel="C1", ts=FOUND.ts, marker=replace(MARKER, state="resolved", ended=int(NOW - 4 * HOUR))
    )
    state = shared(State.WARNING, NOW - 4 * HOUR + later)
    ended = replace(ended, marker=replace(ended.marker, as_of=int(NOW - 4 * HOUR)))
    context = AdoptionContext(channel="#noc", incident_state=state, card=pending() if waits else None)
    update = adopt(context, ended, OPTIONS, NOW)
    late = later > HOUR
    assert update.outcome is (AdoptionOutcome.OLDER_EPISODE if late else AdoptionOutcome.ADOPTED)
    assert update.incident_state.episode == (3 if late else 2)
    if late:
        assert [(card.ts, card.episode, card.previous.ts) for card in update.cards] == [(None, 3, FOUND.ts)] * waits
    else:
        assert [card.ts for card in update.cards] == [FOUND.ts]
        assert [str(entry.kind) for entry in update.entries] == ["reopened"]


@given(st.sampled_from(CardState), st.sampled_from([None, FOUND.ts, "1699999999.000100"]), st.integers(1, 4))
def test_a_posted_card_or_one_being_posted_is_never_replaced(state, ts, episode):
    posted = state not in {CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT, CardState.CANCELLED}
    ts = ts if posted else None
    card = replace(pending(), state=state, ts=ts, slack_channel=ts and "C1", episode=episode)
    context = AdoptionContext(channel="#noc", incident_state=shared(State.CRITICAL, NOW, episode=episode), card=card)
    update = adopt(context, FOUND, OPTIONS, NOW)
    adopted = update.outcome is AdoptionOutcome.ADOPTED
    assert adopted == (ts is None and state not in {CardState.POSTING, CardState.IN_DOUBT} and episode <= FOUND.episode)
    assert (update.incident_state is not None) == adopted
