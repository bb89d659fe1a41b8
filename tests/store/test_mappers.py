"""A value comes back from its row as it was, whatever it holds, and no field is forgotten."""

import zlib
from inspect import signature

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.cards.holds import HeldPing, Hold, Ping, Reason
from relay.cards.model import (
    Attempt,
    AttemptState,
    Broadcast,
    Card,
    CardState,
    Channel,
    ChannelState,
    Due,
    Entry,
    IncidentState,
    PreviousCard,
)
from relay.cards.notices import Notice, NoticeKind
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Environment, Person, State
from relay.model.record import Block, Record
from relay.model.struct import replace
from relay.routes.mention import Mention, MentionPart
from relay.routes.options import Options
from relay.store import mappers, schema
from relay.store.types import SlackCall

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(0, 2**31 - 1)
times = st.floats(0, 1e11)
maybe_moments = st.none() | times
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, json, max_size=4)
several = st.lists(texts, max_size=3).map(tuple)
environments = st.builds(Environment, name=texts, id=texts)
people = st.builds(Person, name=texts, email=texts, id=texts)
records = st.builds(
    Record,
    incident=texts,
    blocks=st.dictionaries(texts, st.builds(Block, as_of=times, value=json), max_size=4),
    environments=st.lists(environments, max_size=2).map(tuple),
    headers=st.dictionaries(texts, several, max_size=2),
    title=texts,
    title_provisional=st.booleans(),
    environment=st.none() | environments,
    sender=st.none() | people,
    first_received=times,
    comments=st.lists(st.tuples(texts, times), max_size=3).map(tuple),
    episodes=st.lists(st.tuples(numbers, times), max_size=3).map(tuple),
)
dues = st.none() | st.builds(Due, at=times, deadline=times, urgent=st.booleans())
options = st.builds(
    Options, template=texts, thread=several, gather=times, show_tags=several, sync_replies=st.booleans()
)
parts = st.builds(MentionPart, targets=st.dictionaries(texts, several, max_size=2), route=texts)
mentions = st.builds(Mention, parts=st.lists(parts, max_size=2).map(tuple))
notices = st.builds(Notice, kind=st.sampled_from(NoticeKind), channel=texts, name=texts, reason=texts, at=numbers)
broadcasts = st.builds(
    Broadcast,
    ts=texts,
    kind=st.sampled_from(EntryKind),
    at=times,
    data=st.dictionaries(texts, texts, max_size=2),
    over_at=maybe_moments,
    became=st.none() | st.sampled_from(State),
)
holds = st.builds(Hold, reason=st.sampled_from(Reason), until=maybe_moments)
held_pings = st.builds(
    HeldPing,
    target=texts,
    ping=st.sampled_from(Ping),
    since=times,
    hold=holds,
    state=st.sampled_from(State),
    caught_up=st.booleans(),
)
cards = st.builds(
    Card,
    incident=texts,
    channel=texts,
    episode=numbers,
    options=options,
    mention=mentions,
    id=numbers,
    state=st.sampled_from(CardState).filter(lambda state: state is not CardState.SUPERSEDED),
    reason=texts,
    route=texts,
    matched=st.booleans(),
    first_matched_at=times,
    generation=numbers,
    ts=st.none() | texts,
    slack_channel=st.none() | texts,
    shown_hash=texts,
    reported_seq=numbers,
    worst=st.none() | st.sampled_from(State),
    episode_worst=st.none() | st.sampled_from(State),
    shown_ended_at=maybe_moments,
    pinged=several,
    reopening_reported_at=maybe_moments,
    reopening_pinged_at=maybe_moments,
    previous=st.none() | st.builds(PreviousCard, at=times, channel=texts, ts=texts),
    notices=st.lists(notices, max_size=3).map(tuple),
    broadcasts=st.lists(broadcasts, max_size=3).map(tuple),
    held=st.none() | holds,
    held_pings=st.lists(held_pings, max_size=3).map(tuple),
    catch_up_due=maybe_moments,
    edited_at=maybe_moments,
    pending_since=maybe_moments,
    tries=numbers,
    post=dues,
    edit=dues,
)
quick = settings(max_examples=60)


@quick
@given(records)
def test_a_record_is_read_back_unchanged(record):
    assert mappers.to_record(mappers.record_text(record)) == record


@quick
@given(
    st.builds(
        IncidentState,
        record=records,
        version=numbers,
        episode=numbers,
        ended_at=maybe_moments,
        next_seq=numbers,
        last_share_at=times,
        stale_at=maybe_moments,
    )
)
def test_an_incident_is_read_back_unchanged(state):
    assert mappers.to_incident_state(mappers.incident_row(state)) == state


@quick
@given(st.builds(Entry, seq=numbers, key=texts, kind=st.sampled_from(EntryKind), at=times, data=objects))
def test_an_entry_is_read_back_unchanged(entry):
    assert mappers.to_entry(mappers.entry_row("i1", entry)) == entry


@quick
@given(cards)
def test_a_card_is_read_back_unchanged(card):
    assert mappers.to_card(mappers.card_row(card) | {"id": card.id}) == card


@quick
@given(
    st.builds(
        Attempt,
        key=texts,
        kind=texts,
        generation=numbers,
        upto_seq=numbers,
        started_at=times,
        state=st.sampled_from(AttemptState),
        tries=numbers,
        targets=several,
        data=objects,
        searches=numbers,
        next_search_at=maybe_moments,
    )
)
def test_an_attempt_is_read_back_unchanged(attempt):
    assert mappers.to_attempt(mappers.attempt_row(7, attempt)) == attempt


@quick
@given(
    st.builds(
        Channel,
        ref=texts,
        slack_id=st.none() | texts,
        canonical_ref=st.none() | texts,
        facts=objects,
        state=st.sampled_from(ChannelState),
        reason=texts,
        retry_at=maybe_moments,
    )
)
def test_a_channel_is_read_back_unchanged(channel):
    assert mappers.to_channel(mappers.channel_row(channel)) == channel


@quick
@given(st.builds(SlackCall, method=texts, at=times, answer=objects))
def test_a_call_is_read_back_unchanged(call):
    assert mappers.to_call(mappers.call_row(7, call)) == call


@quick
@given(json)
def test_json_text_contains_no_nul(value):
    assert "\x00" not in mappers.dumps(value)
    assert orjson.loads(mappers.dumps(value)) == value


@quick
@given(st.binary(max_size=2000))
def test_a_body_is_read_back_unchanged(body):
    assert zlib.decompress(mappers.compress(body)) == body


_STORED_AS = {
    "post": {"post_due", "post_deadline", "post_urgent"},
    "edit": {"edit_due", "edit_deadline", "edit_urgent"},
    "held": {"held_by", "held_until"},
    "milestones": {"shared_at", "assigned_at", "resolved_at"},
}


@pytest.mark.parametrize(
    ("type_", "table"),
    [
        (Card, schema.card),
        (Entry, schema.entry),
        (Attempt, schema.attempt),
        (Channel, schema.channel),
        (SlackCall, schema.call),
        (IncidentState, schema.incident),
    ],
)
def test_every_field_has_a_column(type_, table):
    for name in signature(type_).parameters:
        assert _STORED_AS.get(name, {name}) <= set(table.c.keys()), name


def test_every_field_of_a_record_is_saved():
    saved = orjson.loads(mappers.record_text(Record(incident="i1")))
    assert set(saved) == set(signature(Record).parameters)


def test_waiting_time_counts_from_pending_since_or_else_from_the_due_time():
    card = Card(incident="i1", channel="#noc", episode=1, options=Options(), post=Due(at=5.0, deadline=9.0))
    assert mappers.card_row(card)["post_since"] == 5.0
    assert mappers.card_row(replace(card, pending_since=3.0))["post_since"] == 3.0


def test_a_record_that_was_just_written_is_not_parsed_again():
    state = IncidentState(record=Record(incident="i1", title="the disk is full"), version=1)
    row = mappers.incident_row(state)
    row["record"] = "".join(list(row["record"]))  # the database returns another object
    assert mappers.to_incident_state(row).record is state.record
    changed = row | {"record": row["record"].replace("full", "empty")}
    assert mappers.to_incident_state(changed).record.title == "the disk is empty"
