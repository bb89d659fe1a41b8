"""Cards that relay finds in Slack enter the database, and channels are marked whose history was read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, select, update

from relay.cards.adoption import AdoptionContext, AdoptionOutcome, AdoptionUpdate, BulletinAdoption, FoundCard
from relay.cards.bulletins import Bulletin
from relay.cards.model import Attempt, Card, Channel, ChannelState, IncidentState
from relay.store import schema
from relay.store.bulletins import find_newest_bulletin, load_bulletin_cards, save_adopted_bulletin
from relay.store.channels import canonical_channel
from relay.store.dead_letters import close_dead_letter
from relay.store.execution import execute
from relay.store.locks import check_lease, share_channel_references
from relay.store.mappers import incident_row, to_attempt, to_channel
from relay.store.rows import (
    change_entries,
    claim_incidents,
    current_cards_of,
    load_entries_after,
    load_incident_states,
    save_cards,
)
from relay.store.types import Lease
from relay.store.upsert import insert_or_update

_card, _channel, _incident = schema.card, schema.channel, schema.incident
_IS_UNREAD = (_channel.c.unread_since.is_not(None), _channel.c.canonical_ref.is_(None))
_UNREAD = (
    select(_channel)
    .where(*_IS_UNREAD, _channel.c.state == ChannelState.OPEN)
    .order_by(~exists().where(_card.c.channel == _channel.c.ref, _card.c.post_due.is_not(None)), _channel.c.ref)
)
_READ = update(_channel).where(_channel.c.ref == bindparam("which")).values(unread_since=None)
_OPEN_ATTEMPTS = (
    select(schema.attempt)
    .join(_card, _card.c.id == schema.attempt.c.card)
    .where(_card.c.incident.in_(bindparam("ids", expanding=True)), schema.IS_OPEN)
)
_OPEN_ATTEMPT = select(schema.attempt).where(schema.attempt.c.card == bindparam("of"), schema.IS_OPEN)
_TS = select(_card.c.ts).where(
    _card.c.slack_channel == bindparam("slack_channel"), _card.c.ts.in_(bindparam("ts", expanding=True))
)
_RENUMBER = update(_card).where(_card.c.id == bindparam("which")).values(episode=bindparam("number"))


@dataclass(frozen=True, slots=True)
class _StoredCards:
    """The data of the incidents whose cards were found."""

    new: set[str]
    ts: frozenset[str]
    cards: dict[str, list[Card]]
    attempts: dict[int, Attempt]


def unread_channels(connection: Connection) -> tuple[Channel, ...]:
    """Return the open channels whose history is to be read first, those with waiting cards before others."""
    return tuple(to_channel(row) for row in execute(connection, _UNREAD).mappings())


def mark_read(connection: Connection, ref: str, lease: Lease | None = None) -> None:
    """From now on relay posts in the channel: its history was read, or cannot be.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    connection.execute(_READ, {"which": canonical_channel(connection, ref).ref})


def adopt_cards(  # noqa: PLR0913  each has a name
    connection: Connection,
    ref: str,
    found: Sequence[FoundCard],
    decide: Callable[[AdoptionContext, FoundCard], AdoptionUpdate],
    *,
    now: float,
    lease: Lease | None = None,
) -> list[AdoptionOutcome]:
    """Take over these cards of one channel, at most one of each incident, as `decide` says; return the result for each.

    Done again, it changes nothing.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    share_channel_references(connection)
    channel = canonical_channel(connection, ref).ref
    ids = sorted({each.marker.incident for each in found})
    known = _load(connection, ids, found)
    states = load_incident_states(connection, ids)
    outcomes = []
    for each in found:
        incident = each.marker.incident
        state = None if incident in known.new else states.get(incident)
        context = _context(connection, channel, incident, known, state)
        if each.ts in known.ts:
            outcomes.append(AdoptionOutcome.KNOWN)
            continue
        decided = decide(context, each)
        _save(connection, context, decided, now)
        if decided.incident_state is not None:
            known.new.discard(incident)
        outcomes.append(decided.outcome)
    if known.new:  # the placeholders of those that are left alone go
        connection.execute(delete(_incident).where(_incident.c.id.in_(sorted(known.new))))
    return outcomes


def adopt_bulletins(  # noqa: PLR0913  each has a name
    connection: Connection,
    ref: str,
    found: Sequence[FoundCard],
    decide: Callable[[BulletinAdoption, FoundCard, float], tuple[AdoptionOutcome, Bulletin | None, Card | None]],
    *,
    now: float,
    lease: Lease | None = None,
) -> list[AdoptionOutcome]:
    """Take over these bulletins of one channel, at most one of each key, as `decide` says; return the result for each.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    share_channel_references(connection)
    channel = canonical_channel(connection, ref).ref
    outcomes = []
    for each in found:
        if each.ts in connection.execute(_TS, {"slack_channel": each.slack_channel, "ts": [each.ts]}).scalars().all():
            outcomes.append(AdoptionOutcome.KNOWN)
            continue
        known = _known_bulletin(connection, channel, each)
        outcome, bulletin, card = decide(known, each, now)
        if bulletin is not None and card is not None:
            save_adopted_bulletin(connection, bulletin, card)
            close_dead_letter(connection, card.id, now)
        outcomes.append(outcome)
    return outcomes


def _known_bulletin(connection: Connection, channel: str, found: FoundCard) -> BulletinAdoption:
    bulletin = find_newest_bulletin(connection, found.marker.kind, channel, found.marker.series)
    cards = load_bulletin_cards(connection, bulletin.id) if bulletin else ()
    card = next((each for each in cards if each.channel == channel), None)
    row = connection.execute(_OPEN_ATTEMPT, {"of": card.id}).mappings().one_or_none() if card else None
    return BulletinAdoption(
        channel=channel, bulletin=bulletin, card=card, attempt=None if row is None else to_attempt(row)
    )


def _load(connection: Connection, ids: Sequence[str], found: Iterable[FoundCard]) -> _StoredCards:
    new = claim_incidents(connection, ids)
    by_channel: dict[str, list[str]] = {}
    for each in found:
        by_channel.setdefault(each.slack_channel, []).append(each.ts)
    ts = (connection.execute(_TS, {"slack_channel": key, "ts": values}).scalars() for key, values in by_channel.items())
    cards = current_cards_of(connection, ids)
    attempts = {row["card"]: to_attempt(row) for row in _rows(connection, _OPEN_ATTEMPTS, ids)}
    return _StoredCards(new, frozenset(value for values in ts for value in values if value), cards, attempts)


def _rows(connection: Connection, statement: Select[Any], ids: Sequence[str]) -> Sequence[Any]:
    return connection.execute(statement, {"ids": ids}).mappings().all()


def _context(
    connection: Connection, channel: str, incident: str, known: _StoredCards, state: IncidentState | None
) -> AdoptionContext:
    cards = known.cards[incident]
    card = max((each for each in cards if each.channel == channel), key=lambda each: each.episode, default=None)
    return AdoptionContext(
        channel=channel,
        incident_state=state,
        cards=tuple(cards),
        card=card,
        attempt=known.attempts.get(card.id) if card else None,
        entries=load_entries_after(connection, incident, card.reported_seq)[0] if card else (),
    )


def _save(connection: Connection, context: AdoptionContext, decided: AdoptionUpdate, now: float) -> None:
    if decided.incident_state is None:
        return
    connection.execute(insert_or_update(connection, _incident, ("id",)), [incident_row(decided.incident_state)])
    numbers = {card.id: card.episode for card in context.cards}
    if renumbered := [card for card in decided.cards if card.id and card.episode != numbers[card.id]]:
        connection.execute(_RENUMBER, [{"which": card.id, "number": card.episode} for card in renumbered])
    for card in save_cards(connection, decided.cards):
        if card.ts is not None and card.is_current:
            close_dead_letter(connection, card.id, now)
    if decided.entries:
        change_entries(connection, decided.incident_state, decided.entries)
