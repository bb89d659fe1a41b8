"""A case is all that a decision about one card needs, a change what it comes to; both within one transaction."""

from dataclasses import replace

from sqlalchemy import Connection, bindparam, func, select

from relay.cards.model import Attempt, Card, CardContext, CardUpdate
from relay.model.errors import StoreError
from relay.store import schema
from relay.store.channels import home_of
from relay.store.letters import close_letter, open_letter
from relay.store.mappers import attempt_of, attempt_row, card_of, story_of
from relay.store.rows import followed, untold, write_cards
from relay.store.tasks import callbacks_due
from relay.store.upsert import insert_or_update

_CARD = select(schema.card).where(schema.card.c.id == bindparam("card"))
_STORY = (
    select(schema.incident)
    .where(schema.incident.c.id == _CARD.with_only_columns(schema.card.c.incident).scalar_subquery())
    .with_for_update()
)
_LAST_TS = select(func.max(schema.card.c.ts)).where(schema.card.c.channel == bindparam("channel"))
_OPEN_ATTEMPT = select(schema.attempt).where(schema.attempt.c.card == bindparam("card"), schema.IS_OPEN)


def load(connection: Connection, card_id: int) -> CardContext:
    """The case of a card as it is now, which nobody else changes until this transaction ends.

    Raises:
        StoreError: there is no such card.
    """
    # The incident first, since that locks it: what is read before the lock may be stale behind it.
    row = connection.execute(_STORY, {"card": card_id}).mappings().one_or_none()
    if row is None:
        raise StoreError(f"There is no card {card_id}: the database is not the one it was read from.")
    story, incident = story_of(row), row["id"]
    cards = tuple(followed(connection, [incident]))
    card = next((each for each in cards if each.id == card_id), None) or _left(connection, card_id)
    return CardContext(
        incident_state=story,
        card=card,
        cards=cards,
        entries=untold(connection, incident, card.reported_seq),
        channel=home_of(connection, card.channel),
        attempt=open_attempt(connection, card_id),
        newest_ts=connection.execute(_LAST_TS, {"channel": card.channel}).scalar(),
    )


def open_attempt(connection: Connection, card_id: int) -> Attempt | None:
    """The attempt of a card that is not settled yet."""
    row = connection.execute(_OPEN_ATTEMPT, {"card": card_id}).mappings().one_or_none()
    return None if row is None else attempt_of(row)


def write(connection: Connection, case: CardContext, change: CardUpdate) -> CardContext:
    """Write a change down, and return the case as it is after it.

    An attempt is known by its key: one that is there is reopened, or closed, rather than made twice.
    """
    cards = write_cards(connection, change.cards)
    after = _after(case, cards, change.attempt)
    callbacks_due(connection, case.incident_state.record.incident, case.cards, after.cards)
    if change.attempt is not None:
        row = attempt_row(case.card.id, change.attempt)
        connection.execute(insert_or_update(connection, schema.attempt, ("key",)), row)
    if change.closes_letter_at is not None:
        close_letter(connection, case.card.id, change.closes_letter_at, replies=change.closes_reply_letters)
    if change.dead_letter is not None:
        open_letter(connection, case.card.id, change.dead_letter)
    return after


def _after(case: CardContext, changed: list[Card], attempt: Attempt | None) -> CardContext:
    cards = {card.id: card for card in (*case.cards, *changed)}
    card = cards.get(case.card.id, case.card)
    if attempt is None:
        attempt = case.attempt
    return replace(
        case,
        card=card,
        cards=tuple(each for each in cards.values() if each.is_current),
        entries=tuple(entry for entry in case.entries if entry.seq > card.reported_seq),
        attempt=attempt if attempt is not None and attempt.state.open else None,
        newest_ts=max(filter(None, (case.newest_ts, card.ts)), default=None),
    )


def _left(connection: Connection, card_id: int) -> Card:
    return card_of(connection.execute(_CARD, {"card": card_id}).mappings().one())
