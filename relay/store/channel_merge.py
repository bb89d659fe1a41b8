"""Save what Slack says about a channel. If two references turn out to be one channel, their cards move together."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select, update

from relay.cards.model import Card, CardState, Channel
from relay.model.struct import replace
from relay.store import schema
from relay.store.channels import add_channels, canonical_channel
from relay.store.dead_letters import close_dead_letter
from relay.store.execution import execute
from relay.store.locks import lock_bulletins, lock_channel_references, lock_incidents
from relay.store.mappers import channel_row, no_work, to_card, to_channel

PARKED = 1_000_000_000
"""Added to a card's episode while two cards swap channels: a constraint is checked after every statement."""

_channel, _card, _twin = schema.channel, schema.card, schema.card.alias("twin")
_CARDS = select(_card).where(_card.c.channel == bindparam("ref")).order_by(_card.c.id)
_TWINS = (
    select(_twin)
    .join(_card, (_card.c.incident == _twin.c.incident) & (_card.c.episode == _twin.c.episode))
    .where(_card.c.channel == bindparam("ref"), _twin.c.channel == bindparam("canonical_ref"))
)
_UPDATE = update(_card).where(_card.c.id == bindparam("card_id"))
_MOVE = _UPDATE.values(channel=bindparam("to"))
_PARK = _UPDATE.values(episode=_card.c.episode + PARKED)
_UNPARK = _UPDATE.values(episode=_card.c.episode - PARKED, channel=bindparam("to"))
_SUPERSEDE = _UPDATE.values({"state": CardState.SUPERSEDED, **no_work("post"), **no_work("edit")})

_bulletin, _other = schema.bulletin, schema.bulletin.alias("other")
_SAME_BULLETIN = (
    select(_other.c.id)
    .join(_bulletin, and_(*(_bulletin.c[name] == _other.c[name] for name in ("kind", "key", "episode"))))
    .where(_bulletin.c.id == bindparam("which"), _other.c.channel == bindparam("to"), _other.c.id != _bulletin.c.id)
)
_MOVE_BULLETIN = update(_bulletin).where(_bulletin.c.id == bindparam("which")).values(channel=bindparam("to"))

_BY_REF = select(_channel).where(_channel.c.ref == bindparam("ref"))
_OTHER_WITH_ID = select(_channel).where(
    _channel.c.slack_id == bindparam("slack_id"), _channel.c.canonical_ref.is_(None), _channel.c.ref != bindparam("ref")
)
_REPOINT = update(_channel).where(_channel.c.canonical_ref == bindparam("old")).values(canonical_ref=bindparam("new"))
_COLUMNS = ("slack_id", "canonical_ref", "facts", "state", "reason", "retry_at")
_SAVE = (
    update(_channel).where(_channel.c.ref == bindparam("which")).values({name: bindparam(name) for name in _COLUMNS})
)


def update_channel(connection: Connection, channel: Channel) -> Channel:
    """Save what Slack says about a channel; return the row that now represents it.

    Without a `slack_id` the known one stays: ids survive a rename. If another reference has the same id already, this
    one points to it from now on, and the facts hold for both. Its cards move there. If both have a card of one episode
    and only one is in Slack, the other one is superseded.
    """
    lock_channel_references(connection)
    add_channels(connection, [channel.ref])
    (row,) = execute(connection, _BY_REF, {"ref": channel.ref}).mappings()
    known = to_channel(row)
    if channel.slack_id is None:
        _save(connection, replace(channel, slack_id=known.slack_id, canonical_ref=known.canonical_ref))
        return canonical_channel(connection, channel.ref)
    query = {"slack_id": channel.slack_id, "ref": channel.ref}
    other = execute(connection, _OTHER_WITH_ID, query).mapping()
    if other is None:
        channel = replace(channel, canonical_ref=None)
        _save(connection, channel)
        return channel
    canonical = replace(channel, ref=other["ref"], canonical_ref=None)
    _save(connection, replace(channel, canonical_ref=canonical.ref))
    connection.execute(_REPOINT, {"old": channel.ref, "new": canonical.ref})
    _save(connection, canonical)
    _move_cards(connection, channel.ref, canonical.ref)
    return canonical


def _save(connection: Connection, channel: Channel) -> None:
    row = channel_row(channel)
    execute(connection, _SAVE, {name: row[name] for name in _COLUMNS} | {"which": channel.ref})


def _move_cards(connection: Connection, ref: str, canonical_ref: str) -> None:
    """Move all cards to the canonical reference, unless it has a card of the same episode."""
    found = _cards(connection, _CARDS, ref=ref)
    lock_incidents(connection, {card.incident for card in found if card.incident})
    lock_bulletins(connection, {card.bulletin for card in found if card.bulletin is not None})
    cards = _cards(connection, _CARDS, ref=ref)
    _move_bulletins(connection, cards, canonical_ref)
    cards = [card for card in cards if card.bulletin is None]
    twins = {
        (twin.incident, twin.episode): twin for twin in _cards(connection, _TWINS, ref=ref, canonical_ref=canonical_ref)
    }
    if alone := [card for card in cards if (card.incident, card.episode) not in twins]:
        connection.execute(_MOVE, [{"card_id": card.id, "to": canonical_ref} for card in alone])
    for card in cards:
        if twin := twins.get((card.incident, card.episode)):
            _resolve_twins(connection, card, twin)


def _move_bulletins(connection: Connection, cards: Sequence[Card], canonical_ref: str) -> None:
    """Move the bulletins and their cards. Where the other reference has one with the same key, both stay."""
    for card in cards:
        if card.bulletin is not None:
            query = {"which": card.bulletin, "to": canonical_ref}
            if connection.execute(_SAME_BULLETIN, query).first() is None:
                connection.execute(_MOVE_BULLETIN, query)
                connection.execute(_MOVE, {"card_id": card.id, "to": canonical_ref})


def _resolve_twins(connection: Connection, card: Card, twin: Card) -> None:
    """Keep the card that is in Slack, or may be, at the canonical reference; if both are, both stay and are updated."""
    if not _may_be_in_slack(card):
        _supersede(connection, card)
    elif not _may_be_in_slack(twin):
        connection.execute(_PARK, {"card_id": twin.id})
        connection.execute(_MOVE, {"card_id": card.id, "to": twin.channel})
        connection.execute(_UNPARK, {"card_id": twin.id, "to": card.channel})
        _supersede(connection, twin)


def _supersede(connection: Connection, card: Card) -> None:
    connection.execute(_SUPERSEDE, {"card_id": card.id})
    close_dead_letter(connection, card.id, card.first_matched_at)


def _may_be_in_slack(card: Card) -> bool:
    return card.ts is not None or card.state in {CardState.POSTING, CardState.IN_DOUBT}


def _cards(connection: Connection, statement: Select[Any], **parameters: str) -> Sequence[Card]:
    return [to_card(row) for row in connection.execute(statement, parameters).mappings()]
