"""The rows that several verbs read and write: stories, cards, entries, attempts."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from relay.cards.model import Card, CardState, Due, Entry, IncidentState
from relay.store import schema
from relay.store.channels import want
from relay.store.mappers import card_of, card_row, entry_of, entry_row, story_of
from relay.store.upsert import insert_or_keep

_IDENTITY = ("incident", "channel", "episode")

_INTAKES = ("options", "mention", "route", "matched", "first_matched_at", "notices", "pending_since")
"""What a card that is made anew says of the routes; the rest of it is delivery's."""

_STORIES = (
    select(schema.incident)
    .where(schema.incident.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(schema.incident.c.id)
    .with_for_update()
)
_FOLLOWED = (
    select(schema.card)
    .where(schema.card.c.incident.in_(bindparam("ids", expanding=True)), schema.card.c.state != CardState.SUPERSEDED)
    .order_by(schema.card.c.id)
)
_SAME_CARD = select(schema.card).where(*(schema.card.c[name] == bindparam(name) for name in _IDENTITY))
_CHANGING = [column.name for column in schema.card.c if column.name not in {"id", *_IDENTITY}]
_UPDATE_CARD = (
    update(schema.card)
    .where(schema.card.c.id == bindparam("card_id"))
    .values({name: bindparam(name) for name in _CHANGING})
)
_UNTOLD = (
    select(schema.entry)
    .where(schema.entry.c.incident == bindparam("incident"), schema.entry.c.seq > bindparam("seq"))
    .order_by(schema.entry.c.seq)
)


def stories(connection: Connection, ids: Sequence[str]) -> dict[str, IncidentState]:
    """The stories of these incidents, which nobody else changes until this transaction ends."""
    return {row["id"]: story_of(row) for row in connection.execute(_STORIES, {"ids": ids}).mappings()}


def followed(connection: Connection, ids: Sequence[str]) -> list[Card]:
    """The cards of these incidents that later shares still concern, in the order in which they were made."""
    return [card_of(row) for row in connection.execute(_FOLLOWED, {"ids": ids}).mappings()]


def untold(connection: Connection, incident: str, seq: int) -> tuple[Entry, ...]:
    """The entries after that one, in order."""
    rows = connection.execute(_UNTOLD, {"incident": incident, "seq": seq}).mappings()
    return tuple(entry_of(row) for row in rows)


def write_entries(connection: Connection, entries: Iterable[tuple[str, Entry]]) -> None:
    """Add entries, each with its incident; one whose key is there already is told already, and is left out."""
    if rows := [entry_row(incident, entry) for incident, entry in entries]:
        connection.execute(insert_or_keep(connection, schema.entry, ("incident", "key")), rows)


def write_cards(connection: Connection, cards: Iterable[Card]) -> list[Card]:
    """Write cards down: those with a number as they are now, those without as new ones. Returns all with numbers."""
    every = list(cards)
    if old := [card_row(card) | {"card_id": card.id} for card in every if card.id]:
        connection.execute(_UPDATE_CARD, old)
    numbers = _insert(connection, [card for card in every if not card.id])
    return [card if card.id else numbers[_identity(card)] for card in every]


def _insert(connection: Connection, cards: Sequence[Card]) -> dict[tuple[str, str, int], Card]:
    if not cards:
        return {}
    want(connection, {card.channel for card in cards})
    statement = insert_or_keep(connection, schema.card, _IDENTITY, returning=("id", *_IDENTITY))
    made = {
        (row[1], row[2], row[3]): row[0] for row in connection.execute(statement, [card_row(card) for card in cards])
    }
    return {
        key: replace(card, id=made[key]) if key in made else _taken_up(connection, card)
        for card in cards
        for key in [_identity(card)]
    }


def _taken_up(connection: Connection, card: Card) -> Card:
    """A card of that episode and channel is there, but was left: there can be one only, so it is followed again.

    What Slack shows of it is kept, and edited rather than posted anew.
    """
    kept = card_of(connection.execute(_SAME_CARD, dict(zip(_IDENTITY, _identity(card), strict=True))).mappings().one())
    wanted = {name: getattr(card, name) for name in _INTAKES} | {
        "reported_seq": max(kept.reported_seq, card.reported_seq)
    }
    if kept.ts is None:
        revived = replace(kept, **wanted, state=card.state, post=card.post, edit=card.edit)
    else:
        revived = replace(kept, **wanted, state=CardState.POSTED, post=None, edit=_sooner(card.edit, card.post))
    write_cards(connection, [revived])
    return revived


def _sooner(one: Due | None, other: Due | None) -> Due | None:
    return one.sooner(other) if one else other


def _identity(card: Card) -> tuple[str, str, int]:
    return card.incident, card.channel, card.episode
