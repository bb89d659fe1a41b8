"""What was found out about a channel; here two spellings turn out to be one channel, and their cards move together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from relay.cards.model import Card, CardState, Channel, ChannelState
from relay.model.json_types import JSON
from relay.store import schema
from relay.store.channels import home_of, one, want
from relay.store.letters import close_letter
from relay.store.locks import hold_incidents, hold_spellings
from relay.store.mappers import card_of, channel_of, channel_row, no_work

PARKED = 1_000_000_000
"""Added to an episode while two cards change places: their constraint is checked after each statement."""

_card, _twin = schema.card, schema.card.alias("twin")
_AT = select(_card).where(_card.c.channel == bindparam("ref")).order_by(_card.c.id)
_TWINS = (
    select(_twin)
    .join(_card, (_card.c.incident == _twin.c.incident) & (_card.c.episode == _twin.c.episode))
    .where(_card.c.channel == bindparam("ref"), _twin.c.channel == bindparam("home"))
)
_MOVE = update(_card).where(_card.c.id == bindparam("card_id")).values(channel=bindparam("to"))
_PARK = update(_card).where(_card.c.id == bindparam("card_id")).values(episode=_card.c.episode + PARKED)
_UNPARK = (
    update(_card)
    .where(_card.c.id == bindparam("card_id"))
    .values(episode=_card.c.episode - PARKED, channel=bindparam("to"))
)
_LEAVE = (
    update(_card)
    .where(_card.c.id == bindparam("card_id"))
    .values({"state": CardState.SUPERSEDED, **no_work("post"), **no_work("edit")})
)
_BY_ID = select(schema.channel).where(
    schema.channel.c.slack_id == bindparam("slack_id"),
    schema.channel.c.canonical_ref.is_(None),
    schema.channel.c.ref != bindparam("ref"),
)
_FOLLOW = (
    update(schema.channel)
    .where(schema.channel.c.canonical_ref == bindparam("old"))
    .values(canonical_ref=bindparam("new"))
)
_CHANGED = ("slack_id", "canonical_ref", "facts", "state", "reason", "retry_at")
_WRITE = (
    update(schema.channel)
    .where(schema.channel.c.ref == bindparam("which"))
    .values({name: bindparam(name) for name in _CHANGED})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What Slack says of a channel. Without a `slack_id` the one that is known stays: ids survive a rename."""

    slack_id: str | None
    facts: Mapping[str, JSON]
    state: ChannelState
    reason: str
    retry_at: float | None


def found(connection: Connection, ref: str, finding: Finding) -> Channel:
    """Write it down; return the row that speaks for the channel now."""
    hold_spellings(connection)
    want(connection, [ref])
    known = one(connection, ref)
    now = replace(
        known,
        slack_id=finding.slack_id or known.slack_id,
        facts=finding.facts,
        state=finding.state,
        reason=finding.reason,
        retry_at=finding.retry_at,
    )
    if finding.slack_id is None:
        _write(connection, now)
        return home_of(connection, ref)
    other = connection.execute(_BY_ID, {"slack_id": now.slack_id, "ref": ref}).mappings().one_or_none()
    if other is None:
        _write(connection, replace(now, canonical_ref=None))
        return replace(now, canonical_ref=None)
    return _join(connection, now, channel_of(other))


def _join(connection: Connection, spelling: Channel, canonical: Channel) -> Channel:
    """The spelling is the other's from now on; what was found holds for both."""
    _write(connection, replace(spelling, canonical_ref=canonical.ref))
    connection.execute(_FOLLOW, {"old": spelling.ref, "new": canonical.ref})
    told = replace(
        canonical,
        facts=spelling.facts,
        state=spelling.state,
        reason=spelling.reason,
        retry_at=spelling.retry_at,
    )
    _write(connection, told)
    _move_cards(connection, spelling.ref, canonical.ref)
    return told


def _write(connection: Connection, channel: Channel) -> None:
    connection.execute(_WRITE, channel_row(channel) | {"which": channel.ref})


def _move_cards(connection: Connection, ref: str, home: str) -> None:
    """All cards of the spelling go to the canonical one, as far as there is room: an episode has one card there."""
    hold_incidents(connection, {card.incident for card in _cards(connection, _AT, ref=ref)})
    cards = _cards(connection, _AT, ref=ref)
    twins = {(twin.incident, twin.episode): twin for twin in _cards(connection, _TWINS, ref=ref, home=home)}
    alone = [card for card in cards if (card.incident, card.episode) not in twins]
    if alone:
        connection.execute(_MOVE, [{"card_id": card.id, "to": home} for card in alone])
    for card in cards:
        if twin := twins.get((card.incident, card.episode)):
            _settle_twins(connection, card, twin)


def _settle_twins(connection: Connection, card: Card, twin: Card) -> None:
    """Who is in Slack, or on the way there, stays; where both are, both do, and each is kept true."""
    if not _out(card):
        _leave(connection, card)
    elif not _out(twin):
        connection.execute(_PARK, {"card_id": twin.id})
        connection.execute(_MOVE, {"card_id": card.id, "to": twin.channel})
        connection.execute(_UNPARK, {"card_id": twin.id, "to": card.channel})
        _leave(connection, twin)


def _leave(connection: Connection, card: Card) -> None:
    connection.execute(_LEAVE, {"card_id": card.id})
    close_letter(connection, card.id, card.first_matched_at)


def _out(card: Card) -> bool:
    return card.ts is not None or card.state in {CardState.POSTING, CardState.IN_DOUBT}


def _cards(connection: Connection, statement: Select[Any], **parameters: str) -> Sequence[Card]:
    return [card_of(row) for row in connection.execute(statement, parameters).mappings()]
