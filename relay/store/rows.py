"""Rows that several verbs read and write: incidents, cards and entries."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Exists, bindparam, exists, select, update

from relay.cards.eligibility import work_of
from relay.cards.model import Card, CardState, Entry, IncidentState
from relay.model.record import Record
from relay.model.struct import replace
from relay.store import schema
from relay.store.channels import add_channels
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import postgresql
from relay.store.mappers import card_row, dumps, entry_row, incident_row, to_card, to_entry, to_incident_state
from relay.store.upsert import insert_or_keep

_card, _entry, _incident = schema.card, schema.entry, schema.incident
_IDENTITY = ("incident", "channel", "episode")
_BULLETIN_IDENTITY = ("bulletin", "channel", "episode")
_ROUTING = ("options", "mention", "route", "matched", "first_matched_at", "notices", "pending_since")
"""What a new card takes from the routes; everything else in a card belongs to delivery."""

_INCIDENTS = (
    select(_incident)
    .where(_incident.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_incident.c.id)
    .with_for_update()
)
_CURRENT_CARDS = (
    select(_card)
    .where(_card.c.incident.in_(bindparam("ids", expanding=True)), _card.c.state != CardState.SUPERSEDED)
    .order_by(_card.c.id)
)
_SAME_CARD = select(_card).where(*(_card.c[name] == bindparam(name) for name in _IDENTITY))
_SAME_BULLETIN_CARD = select(_card).where(*(_card.c[name] == bindparam(name) for name in _BULLETIN_IDENTITY))
_CHANGING = [column.name for column in _card.c if column.name not in {"id", "bulletin", *_IDENTITY}]
_UPDATE_CARD = (
    update(_card).where(_card.c.id == bindparam("card_id")).values({name: bindparam(name) for name in _CHANGING})
)
_SAVE_ENTRY_DATA = (
    update(_entry)
    .where(_entry.c.incident == bindparam("of"), _entry.c.seq == bindparam("number"))
    .values(data=bindparam("new"))
)
_ENTRIES_AFTER = (
    select(_entry)
    .where(_entry.c.incident == bindparam("incident"), _entry.c.seq > bindparam("seq"))
    .order_by(_entry.c.seq)
    .limit(bindparam("most", type_=BigInteger))
)
ALL: Final = 2**62
"""As many rows as there are."""


def claim_incidents(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Lock the new incidents with placeholder rows; return them. Known incidents are locked when they are read."""
    if not postgresql(connection):
        return set()
    # If two relays accept the first shares of one incident at once, the later one waits here for the earlier one's row.
    statement = insert_or_keep(connection, _incident, ("id",), returning=("id",))
    placeholders = [incident_row(IncidentState(record=Record(incident=key))) for key in ids]
    return {row.id for row in execute(connection, statement, placeholders)}


def load_incident_states(connection: Connection, ids: Sequence[str]) -> dict[str, IncidentState]:
    """Load and lock incidents: nobody else changes them until this transaction ends."""
    return {row["id"]: to_incident_state(row) for row in execute(connection, _INCIDENTS, {"ids": ids}).mappings()}


def load_current_cards(connection: Connection, ids: Sequence[str]) -> list[Card]:
    """Load the cards of these incidents that later shares still concern, in the order of their creation."""
    return [to_card(row) for row in execute(connection, _CURRENT_CARDS, {"ids": ids}).mappings()]


def current_cards_of(connection: Connection, ids: Sequence[str]) -> defaultdict[str, list[Card]]:
    """Load the same cards by incident; an empty list for one without any."""
    cards: defaultdict[str, list[Card]] = defaultdict(list)
    for card in load_current_cards(connection, ids):
        cards[card.incident].append(card)
    return cards


def has_current_card(*conditions: ColumnElement[bool]) -> Exists:
    """Whether the incident of the row has a card that later shares still concern, and that fulfils the conditions."""
    return exists().where(_card.c.incident == _incident.c.id, _card.c.state != CardState.SUPERSEDED, *conditions)


def current_cards(connection: Connection, incident: str) -> tuple[Card, ...]:
    """Return the cards of an incident that later shares still concern."""
    return tuple(load_current_cards(connection, [incident]))


def load_entries_after(
    connection: Connection, incident: str, seq: int, most: int | None = None
) -> tuple[tuple[Entry, ...], bool]:
    """Load the first entries after that number, in order: `most`, or all. Return also whether there are more."""
    query = {"incident": incident, "seq": seq, "most": ALL if most is None else most + 1}
    rows = execute(connection, _ENTRIES_AFTER, query).mappings()
    return tuple(to_entry(row) for row in rows[:most]), most is not None and len(rows) > most


def save_entries(connection: Connection, entries: Iterable[tuple[str, Entry]]) -> None:
    """Add entries, each with its incident; skip an entry whose key is stored already."""
    if rows := [entry_row(incident, entry) for incident, entry in entries]:
        execute(connection, insert_or_keep(connection, _entry, ("incident", "key")), rows)


def change_entries(connection: Connection, state: IncidentState, entries: Iterable[Entry]) -> IncidentState:
    """Change the data of known entries, and add new ones; return the incident as it is then."""
    incident, every = state.record.incident, list(entries)
    new = [entry for entry in every if entry.seq >= state.next_seq]
    if rows := [{"of": incident, "number": entry.seq, "new": dumps(entry.data)} for entry in every if entry not in new]:
        execute(connection, _SAVE_ENTRY_DATA, rows)
    if not new:
        return state
    save_entries(connection, [(incident, entry) for entry in new])
    after = replace(state, next_seq=max(entry.seq for entry in new) + 1)
    connection.execute(update(_incident).where(_incident.c.id == incident).values(next_seq=after.next_seq))
    return after


def save_cards(connection: Connection, cards: Iterable[Card]) -> list[Card]:
    """Update the cards that have an id, and insert the others; return all with their ids."""
    every = list(cards)
    leave(connection, work_of(every))
    if known := [card_row(card) | {"card_id": card.id} for card in every if card.id]:
        execute(connection, _UPDATE_CARD, known)
    new = [card for card in every if not card.id]
    inserted = _insert(connection, [card for card in new if card.incident])
    inserted |= {_identity(card): card for card in _insert_of_bulletins(connection, new)}
    return [card if card.id else inserted[_identity(card)] for card in every]


def _insert_of_bulletins(connection: Connection, cards: Iterable[Card]) -> Iterator[Card]:
    """Insert the cards of bulletins; each is locked, so that nobody else does."""
    for card in cards:
        if card.bulletin is not None:
            add_channels(connection, {card.channel})
            statement = insert_or_keep(connection, _card, _BULLETIN_IDENTITY, returning=("id",))
            row = execute(connection, statement, card_row(card)).first()
            yield _revive(connection, card) if row is None else replace(card, id=row.id)


def _insert(connection: Connection, cards: Sequence[Card]) -> dict[tuple[str | int, str, int], Card]:
    if not cards:
        return {}
    add_channels(connection, {card.channel for card in cards})
    statement = insert_or_keep(connection, _card, _IDENTITY, returning=("id", *_IDENTITY))
    rows = execute(connection, statement, [card_row(card) for card in cards])
    ids = {(row.incident, row.channel, row.episode): row.id for row in rows}
    return {
        key: replace(card, id=ids[key]) if key in ids else _revive(connection, card)
        for card in cards
        for key in [_identity(card)]
    }


def _revive(connection: Connection, card: Card) -> Card:
    """Use the superseded card of the same episode and channel again, since there can be only one.

    If it is in Slack, it is edited rather than posted again.
    """
    statement, names = (_SAME_CARD, _IDENTITY) if card.incident else (_SAME_BULLETIN_CARD, _BULLETIN_IDENTITY)
    query = {name: getattr(card, name) for name in names}
    old = to_card(connection.execute(statement, query).mappings().one())
    changes = {name: getattr(card, name) for name in _ROUTING}
    changes["reported_seq"] = max(old.reported_seq, card.reported_seq)
    if old.ts is None:
        revived = replace(old, **changes, state=card.state, post=card.post, edit=card.edit)
    else:
        sooner = card.edit.sooner(card.post) if card.edit else card.post
        revived = replace(old, **changes, state=CardState.POSTED, post=None, edit=sooner)
    save_cards(connection, [revived])
    return revived


def _identity(card: Card) -> tuple[str | int, str, int]:
    return card.bulletin or card.incident, card.channel, card.episode
