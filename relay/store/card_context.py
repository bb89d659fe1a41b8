"""Load what a decision about one card needs, decide, and save what was decided: one transaction."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, bindparam, func, select

from relay.cards.bulletin_cards import lines_of_posted_cards
from relay.cards.bulletins import BulletinState
from relay.cards.eligibility import work_of
from relay.cards.model import Attempt, Card, CardContext, CardUpdate, Entry, IncidentState
from relay.model.errors import StoreError
from relay.model.struct import replace
from relay.store import schema
from relay.store.bulletins import (
    change_line_data,
    load_bulletin_cards,
    load_bulletin_state,
    load_lines_after,
    save_bulletin_changes,
    save_shown_lines,
)
from relay.store.channels import canonical_channel
from relay.store.dead_letters import close_dead_letter, open_dead_letter
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import check_lease
from relay.store.mappers import attempt_row, call_row, to_attempt, to_card, to_incident_state
from relay.store.rows import change_entries, load_current_cards, load_entries_after, save_cards
from relay.store.storms import StormsAt, load_channel_storm
from relay.store.tasks import make_callbacks_due
from relay.store.types import Lease, SlackCall
from relay.store.upsert import insert_or_update

MAX_ENTRIES = 200
"""The most entries that a decision about a card looks at. A reply reports about twenty, and the next one continues."""

_CARD = select(schema.card).where(schema.card.c.id == bindparam("card"))
_INCIDENT = (
    select(schema.incident)
    .where(schema.incident.c.id == _CARD.with_only_columns(schema.card.c.incident).scalar_subquery())
    .with_for_update()
)
_NEWEST_TS = select(func.max(schema.card.c.ts)).where(schema.card.c.channel == bindparam("channel"))
_SAVE_CALL = schema.call.insert()
_OPEN_ATTEMPT = select(schema.attempt).where(schema.attempt.c.card == bindparam("card"), schema.IS_OPEN)


def card_context(connection: Connection, card_id: int, storms: StormsAt | None = None) -> CardContext:
    """Load the context of a card. Nobody else changes it until this transaction ends.

    What matters about storms is loaded if `storms` says what a storm is, and only for a card that is not posted yet.

    Raises StoreError: there is no such card.
    """
    # The incident first, since that locks it: what is read before the lock may be outdated.
    row = execute(connection, _INCIDENT, {"card": card_id}).mapping()
    if row is None:
        return _bulletin_context(connection, card_id)
    cards = tuple(load_current_cards(connection, [row["id"]]))
    card = next((each for each in cards if each.id == card_id), None)
    if card is None:
        (superseded,) = execute(connection, _CARD, {"card": card_id}).mappings()
        card = to_card(superseded)
    load = partial(load_entries_after, connection, row["id"])
    context = _context(connection, card, to_incident_state(row), cards, load)
    if storms is None or card.ts is not None or card.generation:
        return context
    return replace(context, storm=load_channel_storm(connection, context, storms))


def _bulletin_context(connection: Connection, card_id: int) -> CardContext:
    row = execute(connection, _CARD, {"card": card_id}).mapping()
    if row is None:
        raise StoreError(f"There is no card {card_id}: this is not the database from which it was read.")
    state = load_bulletin_state(connection, to_card(row))
    # Again behind the lock.
    (row,) = execute(connection, _CARD, {"card": card_id}).mappings()
    card = to_card(row)
    cards = load_bulletin_cards(connection, state.bulletin.id)
    return _context(connection, card, state, cards, partial(load_lines_after, connection, state.bulletin.id))


def _context(
    connection: Connection,
    card: Card,
    topic: IncidentState | BulletinState,
    cards: tuple[Card, ...],
    load_after: Callable[[int, int | None], tuple[tuple[Entry, ...], bool]],
) -> CardContext:
    row_of_attempt = execute(connection, _OPEN_ATTEMPT, {"card": card.id}).mapping()
    attempt = None if row_of_attempt is None else to_attempt(row_of_attempt)
    # A thread that was read is compared with everything that it may have reported: once after a restored backup.
    most = None if attempt is not None and attempt.reads_thread else MAX_ENTRIES
    entries, more_entries = load_after(card.reported_seq, most)
    return CardContext(
        topic=topic,
        card=card,
        cards=cards,
        entries=entries,
        more_entries=more_entries,
        channel=canonical_channel(connection, card.channel),
        attempt=attempt,
        newest_ts=execute(connection, _NEWEST_TS, {"channel": card.channel}).scalar(),
    )


def update_card(
    connection: Connection,
    card_id: int,
    decide: Callable[[CardContext], CardUpdate],
    call: SlackCall | None = None,
    *,
    lease: Lease | None = None,
) -> CardContext:
    """Update a card as `decide` says, and save the call to Slack that led to it; return the context after it.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    context = card_context(connection, card_id)
    after = save_update(connection, context, decide(context))
    leave(connection, work_of((after.card, *after.cards)))
    if call is not None:
        execute(connection, _SAVE_CALL, call_row(card_id, call))
    return after


def save_update(connection: Connection, context: CardContext, update: CardUpdate) -> CardContext:
    """Save an update and return the context after it.

    An attempt is known by its key: an existing one is changed, never created twice.
    """
    card_id = context.card.id
    after = _context_after(context, save_cards(connection, update.cards), update.attempt)
    if isinstance(context.topic, IncidentState):
        make_callbacks_due(connection, context.card.incident, context.cards, after.cards)
    if update.attempt is not None:
        row = attempt_row(card_id, update.attempt)
        execute(connection, insert_or_update(connection, schema.attempt, ("key",)), row)
    if update.shown_lines is not None:
        save_shown_lines(connection, after.card, update.shown_lines)
    if update.entries:
        topic = context.topic
        if isinstance(topic, BulletinState):
            change_line_data(connection, topic.bulletin.id, update.entries)
        else:
            topic = change_entries(connection, topic, update.entries)
        entries = {entry.seq: entry for entry in (*after.entries, *update.entries)}
        after = replace(after, topic=topic, entries=tuple(entries[seq] for seq in sorted(entries)))
    if update.closes_letter_at is not None:
        close_dead_letter(connection, card_id, update.closes_letter_at, replies=update.closes_reply_letters)
    if update.dead_letter is not None:
        open_dead_letter(connection, card_id, update.dead_letter)
    posted = lines_of_posted_cards(context.cards, after.cards) if context.card.incident else ()
    save_bulletin_changes(connection, update.bulletins, posted)
    return after


def _context_after(context: CardContext, changed: list[Card], attempt: Attempt | None) -> CardContext:
    cards = {card.id: card for card in (*context.cards, *changed)}
    card = cards.get(context.card.id, context.card)
    if attempt is None:
        attempt = context.attempt
    return replace(
        context,
        card=card,
        cards=tuple(each for each in cards.values() if each.is_current),
        entries=tuple(entry for entry in context.entries if entry.seq > card.reported_seq),
        attempt=attempt if attempt is not None and attempt.state.open else None,
        newest_ts=max(filter(None, (context.newest_ts, card.ts)), default=None),
    )
