"""Shares, cards and plans for the tests of the store, which cares for what is kept and not for what it means."""

from dataclasses import replace

from sqlalchemy import text

from relay.bigpanda.webhook.share import Share
from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardState,
    CardUpdate,
    ChannelState,
    Due,
    Entry,
    IncidentState,
    Plan,
    ShareOutcome,
)
from relay.model.entry_kinds import EntryKind
from relay.model.record import Block, Record
from relay.routes.options import Options

NOW = 1_700_000_000.0
DAY = 86_400.0


def a_share(incident="i1", digest="h1", at=NOW, body=b'{"incident":{}}'):
    return Share(incident=incident, received=at, as_of=at, hash=digest, body=body, headers={"x-source": "nagios"})


def a_card(incident="i1", channel="#noc", **values):
    return Card(**{"incident": incident, "channel": channel, "episode": 1, "options": Options(), **values})


def shown(card, ts="1700000000.000100", **values):
    return replace(card, **{"state": CardState.POSTED, "ts": ts, "slack_channel": "C1", **values})


def due(at=NOW, deadline=None, *, urgent=False):
    return Due(at=at, deadline=at + 30 if deadline is None else deadline, urgent=urgent)


def an_attempt(key="k1", **values):
    return Attempt(**{"key": key, "kind": "root", "generation": 0, "upto_seq": 0, "started_at": NOW, **values})


def told(story, share):
    """The story after a share: its record grows by a block named after the share."""
    if story is None:
        story = IncidentState(record=Record(incident=share.incident, title="first", first_received=share.received))
    blocks = story.record.blocks | {share.hash: Block(as_of=share.as_of, value=[share.hash])}
    return replace(
        story,
        record=replace(story.record, blocks=blocks),
        version=story.version + 1,
        next_seq=story.next_seq + 1,
        last_share_at=share.received,
    )


def entry(seq, key=None):
    return Entry(seq=seq, key=key or f"key-{seq}", kind=EntryKind.COMMENT, at=NOW + seq, data={"text": f"entry {seq}"})


def plain(story, cards, share, same):
    """Tell one entry of each share, and post what there is to say in one channel."""
    seq = 1 if story is None else story.next_seq
    made = cards or (a_card(share.incident, "#noc", first_matched_at=share.received),)
    return Plan(
        incident_state=told(story, share),
        outcome=ShareOutcome.FIRST if story is None else ShareOutcome.UPDATE,
        entries=(entry(seq, f"{share.incident}/{share.hash}"),),
        cards=tuple(replace(card, post=due(share.received)) for card in made),
        routes=("all",),
        decided={"because": share.hash},
    )


def with_cards(*cards, entries=(), **story):
    """A plan of just these cards, for any share."""

    def plan(known, _cards, share, _same):
        after = replace(told(known, share), **story)
        return Plan(
            incident_state=after,
            outcome=ShareOutcome.FIRST,
            cards=cards,
            entries=entries,
            routes=("all",),
            decided={"cards": True},
        )

    return plan


async def keep(store, *cards, incident="i1", digest="h1", at=NOW, **story):
    """Keep one share that makes these cards; returns them as they are kept, with their numbers."""
    await store.accept([a_share(incident, digest, at)], with_cards(*cards, **story))
    kept = (await store.incident_history(incident)).cards
    places = {(card.channel, card.episode): card for card in kept}
    return [places[card.channel, card.episode] for card in cards]


async def open_channel(store, ref="#noc", slack_id="C1"):
    return await store.update_channel(ref, slack_id=slack_id, state=ChannelState.OPEN, facts={"name": ref})


def begun(case):
    """Begin a root: its attempt is under way when the transaction is over."""
    key = f"{case.card.incident}/{case.card.channel}/{case.card.generation}"
    return CardUpdate(
        cards=(replace(case.card, state=CardState.POSTING, post=None),),
        attempt=an_attempt(key, tries=1 if case.attempt is None else case.attempt.tries + 1),
    )


async def pick(store, track="post", now=NOW, change=begun, **how):
    """Pick a card and begin its root; returns the case, or when the next work is due."""
    found = await store.start_next_card(track, now, begin=lambda case: case, change=change, **how)
    return found[0] if isinstance(found, tuple) else found


def look(_case):
    """Begin nothing."""
    return CardUpdate()


def delivered(ts="1700000000.000100", slack_channel="C1"):
    """What follows when Slack took the root."""

    def finish(case):
        card = replace(case.card, state=CardState.POSTED, ts=ts, slack_channel=slack_channel)
        attempt = case.attempt and replace(case.attempt, state=AttemptState.DONE)
        return CardUpdate(cards=(card,), attempt=attempt)

    return finish


async def run(store, statement, **values):
    """Run a statement beside the verbs, under the same constraints; returns its rows, where it has any."""

    def work(connection):
        result = connection.execute(text(statement), values)
        return result.all() if result.returns_rows else []

    return await store._database.write(work)


async def count(store, table):
    return (await run(store, f"SELECT count(*) FROM {table}"))[0][0]
