"""A noun comes back from its row as it went, whatever it holds; and no field of a noun is forgotten."""

import zlib
from dataclasses import fields

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.cards.model import (
    Attempt,
    AttemptState,
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
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.store import SlackCall, mappers, schema

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(0, 2**31 - 1)
moments = st.floats(0, 1e11)
maybe_moments = st.none() | moments
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(words, json, max_size=4)
several = st.lists(words, max_size=3).map(tuple)
environments = st.builds(Environment, name=words, id=words)
people = st.builds(Person, name=words, email=words, id=words)
records = st.builds(
    Record,
    incident=words,
    blocks=st.dictionaries(words, st.builds(Block, as_of=moments, value=json), max_size=4),
    environments=st.lists(environments, max_size=2).map(tuple),
    headers=st.dictionaries(words, several, max_size=2),
    title=words,
    title_provisional=st.booleans(),
    environment=st.none() | environments,
    sender=st.none() | people,
    first_received=moments,
    comments=st.lists(st.tuples(words, moments), max_size=3).map(tuple),
    episodes=st.lists(st.tuples(numbers, moments), max_size=3).map(tuple),
)
dues = st.none() | st.builds(Due, at=moments, deadline=moments, urgent=st.booleans())
options = st.builds(
    Options, template=words, thread=several, gather=moments, show_tags=several, sync_replies=st.booleans()
)
mentions = st.builds(Mention, parts=st.lists(st.dictionaries(words, several, max_size=2), max_size=2).map(tuple))
notices = st.builds(Notice, kind=st.sampled_from(NoticeKind), channel=words, name=words, reason=words, at=numbers)
cards = st.builds(
    Card,
    incident=words,
    channel=words,
    episode=numbers,
    options=options,
    mention=mentions,
    id=numbers,
    state=st.sampled_from(CardState).filter(lambda state: state is not CardState.SUPERSEDED),
    reason=words,
    route=words,
    matched=st.booleans(),
    first_matched_at=moments,
    generation=numbers,
    ts=st.none() | words,
    slack_channel=st.none() | words,
    shown_hash=words,
    reported_seq=numbers,
    worst=st.none() | st.sampled_from(State),
    episode_worst=st.none() | st.sampled_from(State),
    shown_ended_at=maybe_moments,
    pinged=several,
    reopening_reported_at=maybe_moments,
    reopening_pinged_at=maybe_moments,
    previous=st.none() | st.builds(PreviousCard, at=moments, channel=words, ts=words),
    notices=st.lists(notices, max_size=3).map(tuple),
    edited_at=maybe_moments,
    pending_since=maybe_moments,
    tries=numbers,
    post=dues,
    edit=dues,
)
quick = settings(max_examples=60)


@quick
@given(records)
def test_a_record_comes_back_as_it_went(record):
    assert mappers.record_of(mappers.record_text(record)) == record


@quick
@given(
    st.builds(
        IncidentState,
        record=records,
        version=numbers,
        episode=numbers,
        ended_at=maybe_moments,
        next_seq=numbers,
        last_share_at=moments,
        stale_at=maybe_moments,
    )
)
def test_a_story_comes_back_as_it_went(story):
    assert mappers.story_of(mappers.story_row(story)) == story


@quick
@given(st.builds(Entry, seq=numbers, key=words, kind=st.sampled_from(EntryKind), at=moments, data=objects))
def test_an_entry_comes_back_as_it_went(entry):
    assert mappers.entry_of(mappers.entry_row("i1", entry)) == entry


@quick
@given(cards)
def test_a_card_comes_back_as_it_went(card):
    assert mappers.card_of(mappers.card_row(card) | {"id": card.id}) == card


@quick
@given(
    st.builds(
        Attempt,
        key=words,
        kind=words,
        generation=numbers,
        upto_seq=numbers,
        started_at=moments,
        state=st.sampled_from(AttemptState),
        tries=numbers,
        targets=several,
        data=objects,
        searches=numbers,
        next_search_at=maybe_moments,
    )
)
def test_an_attempt_comes_back_as_it_went(attempt):
    assert mappers.attempt_of(mappers.attempt_row(7, attempt)) == attempt


@quick
@given(
    st.builds(
        Channel,
        ref=words,
        slack_id=st.none() | words,
        canonical_ref=st.none() | words,
        facts=objects,
        state=st.sampled_from(ChannelState),
        reason=words,
        retry_at=maybe_moments,
    )
)
def test_a_channel_comes_back_as_it_went(channel):
    assert mappers.channel_of(mappers.channel_row(channel)) == channel


@quick
@given(st.builds(SlackCall, method=words, at=moments, answer=objects))
def test_a_call_comes_back_as_it_went(call):
    assert mappers.call_of(mappers.call_row(7, call)) == call


@quick
@given(json)
def test_json_as_text_holds_no_nul_which_postgresql_would_refuse(value):
    assert "\x00" not in mappers.dumps(value)
    assert orjson.loads(mappers.dumps(value)) == value


@quick
@given(st.binary(max_size=2000))
def test_a_body_comes_back_as_it_went(body):
    assert zlib.decompress(mappers.packed(body)) == body


_STORED_AS = {
    "post": {"post_due", "post_deadline", "post_urgent"},
    "edit": {"edit_due", "edit_deadline", "edit_urgent"},
}


@pytest.mark.parametrize(
    ("noun", "table"),
    [
        (Card, schema.card),
        (Entry, schema.entry),
        (Attempt, schema.attempt),
        (Channel, schema.channel),
        (SlackCall, schema.call),
        (IncidentState, schema.incident),
    ],
)
def test_every_field_of_a_noun_has_its_column(noun, table):
    for field in fields(noun):
        assert _STORED_AS.get(field.name, {field.name}) <= set(table.c.keys()), field.name


@pytest.mark.parametrize("noun", [Record])
def test_every_field_of_a_record_is_written(noun):
    written = orjson.loads(mappers.record_text(Record(incident="i1")))
    assert set(written) == {field.name for field in fields(noun)}


def test_what_waits_since_is_when_it_was_wanted_or_else_due():
    card = Card(incident="i1", channel="#noc", episode=1, options=Options(), post=Due(at=5.0, deadline=9.0))
    assert mappers.card_row(card)["post_since"] == 5.0
    assert (
        mappers.card_row(Card(**{f.name: getattr(card, f.name) for f in fields(card)} | {"pending_since": 3.0}))[
            "post_since"
        ]
        == 3.0
    )
