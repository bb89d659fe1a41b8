"""Shares, cards and decisions for the tests of the store, which saves them and does not care what they mean."""

from dataclasses import dataclass
from math import inf

from sqlalchemy import text

from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardContext,
    CardState,
    CardUpdate,
    Channel,
    ChannelState,
    Due,
    Entry,
    IncidentState,
    Plan,
    ShareOutcome,
)
from relay.model.entry_kinds import EntryKind
from relay.model.record import Block, Record
from relay.model.struct import replace
from relay.routes.options import Options

NOW = 1_700_000_000.0
DAY = 86_400.0


def a_share(incident="i1", digest="h1", at=NOW, body=b'{"incident":{}}'):
    return Share(incident=incident, received=at, as_of=at, hash=digest, body=body, headers={"x-source": "nagios"})


def received(share):
    """The share as it is before it is parsed."""
    return ReceivedShare(**{name: getattr(share, name) for name in ReceivedShare.__struct_fields__})


def a_card(incident="i1", channel="#noc", **values):
    return Card(**{"incident": incident, "channel": channel, "episode": 1, "options": Options(), **values})


def posted(card, ts="1700000000.000100", **values):
    return replace(card, **{"state": CardState.POSTED, "ts": ts, "slack_channel": "C1", **values})


def due(at=NOW, deadline=None, *, urgent=False):
    return Due(at=at, deadline=at + 30 if deadline is None else deadline, urgent=urgent)


def an_attempt(key="k1", **values):
    return Attempt(**{"key": key, "kind": "root", "generation": 0, "upto_seq": 0, "started_at": NOW, **values})


def entry(seq, key=None):
    return Entry(seq=seq, key=key or f"key-{seq}", kind=EntryKind.COMMENT, at=NOW + seq, data={"text": f"entry {seq}"})


def state_after(state, share):
    """The incident after a share: its record grows by a block named after the share."""
    if state is None:
        state = IncidentState(record=Record(incident=share.incident, title="first", first_received=share.received))
    blocks = state.record.blocks | {share.hash: Block(as_of=share.as_of, value=[share.hash])}
    return replace(
        state,
        record=replace(state.record, blocks=blocks),
        version=state.version + 1,
        next_seq=state.next_seq + 1,
        last_share_at=share.received,
    )


def one_entry(context):
    """Decide: report one entry of the share, and post it in one channel."""
    state, share = context.incident_state, context.share
    cards = context.cards or (a_card(share.incident, "#noc", first_matched_at=share.received),)
    return Plan(
        incident_state=state_after(state, share),
        outcome=ShareOutcome.FIRST if state is None else ShareOutcome.UPDATE,
        entries=(entry(1 if state is None else state.next_seq, f"{share.incident}/{share.hash}"),),
        cards=tuple(replace(card, post=due(share.received)) for card in cards),
        routes=("all",),
        decision={"because": share.hash},
    )


def with_cards(*cards, entries=(), **state):
    """Decide on just these cards and entries, for any share."""

    def decide(context):
        after = replace(state_after(context.incident_state, context.share), **state)
        return Plan(
            incident_state=after,
            outcome=ShareOutcome.FIRST,
            cards=cards,
            entries=entries,
            routes=("all",),
            decision={"cards": True},
        )

    return decide


async def save(store, *cards, incident="i1", digest="h1", at=NOW, **state):
    """Accept one share that leads to these cards; return them as they are stored, with their ids."""
    await store.accept([a_share(incident, digest, at)], with_cards(*cards, **state))
    stored = {(card.channel, card.episode): card for card in (await store.incident_history(incident)).cards}
    return [stored[card.channel, card.episode] for card in cards]


async def save_attempt(store, card, attempt):
    return await store.update_card(card.id, lambda _: CardUpdate(attempt=attempt))


async def open_channel(store, ref="#noc", slack_id="C1"):
    return await store.update_channel(Channel(ref=ref, slack_id=slack_id, state=ChannelState.OPEN, facts={"name": ref}))


@dataclass
class Begun:
    """What is decided about a card in these tests: an update, and the context that it was decided on."""

    context: CardContext
    update: CardUpdate


def begin_root(context):
    """Begin a root message: its attempt is in flight when the transaction is over."""
    key = f"{context.card.incident}/{context.card.channel}/{context.card.generation}"
    attempt = an_attempt(key, tries=1 if context.attempt is None else context.attempt.tries + 1)
    return CardUpdate(cards=(replace(context.card, state=CardState.POSTING, post=None),), attempt=attempt)


def change_nothing(_context):
    return CardUpdate()


async def start(store, work="post", now=NOW, begin=begin_root, **options):
    """Start the next card; return its context, or when work will be due (None: not by time alone)."""
    result = await store.start_next_card(work, now, decide=lambda context: Begun(context, begin(context)), **options)
    return result[0] if isinstance(result, tuple) else None if result == inf else result


def delivered(ts="1700000000.000100", slack_channel="C1"):
    """Decide: Slack accepted the root message."""

    def decide(context):
        card = replace(context.card, state=CardState.POSTED, ts=ts, slack_channel=slack_channel)
        attempt = context.attempt and replace(context.attempt, state=AttemptState.DONE)
        return CardUpdate(cards=(card,), attempt=attempt)

    return decide


async def run(store, statement, **values):
    """Run a statement beside the verbs, under the same constraints; return its rows, if it has any."""

    def work(connection):
        result = connection.execute(text(statement), values)
        return result.all() if result.returns_rows else []

    return await store.database.write(work)


async def count(store, table):
    return (await run(store, f"SELECT count(*) FROM {table}"))[0][0]


async def query_plan(store, statement, **parameters):
    """How SQLite would answer a statement, step by step."""

    def explain(connection):
        compiled = statement.params(parameters).compile(connection, compile_kwargs={"literal_binds": True})
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

    return await store.database.read(explain)
