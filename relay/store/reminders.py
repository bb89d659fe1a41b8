"""Reminders: the cards whose reminder is due, with what decides about it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, Double, Integer, Text, and_, bindparam, func, select

from relay.cards.holds import UNKNOWN_END
from relay.cards.model import Card, CardState, Channel, IncidentState, Task
from relay.cards.mutes import Mute
from relay.cards.reminding import WINDOW, DueReminder, Reminding, asked_key
from relay.store import schema
from relay.store.bulletins import save_bulletin_changes
from relay.store.channels import CANONICAL_REF, canonical_channel, reference
from relay.store.execution import execute
from relay.store.integrations import integrations_with_owners
from relay.store.locks import check_lease, share_channel_references
from relay.store.mappers import to_card, to_task
from relay.store.mutes import mutes_after
from relay.store.rows import change_entries, current_cards_of, load_incident_states, save_cards
from relay.store.tasks import add_tasks
from relay.store.types import Lease

DecideReminders: TypeAlias = Callable[[Channel, Sequence[DueReminder], tuple[Mute, ...]], Reminding]
"""By the channel, its cards whose reminders are due or nearly due, and the mutes that are not over."""

MOST: Final = 500
"""Cards of one transaction."""

_card, _share = schema.card, schema.share
_task = schema.bigpanda_task
_NOW: Any = bindparam("now", type_=Double)
_HAS_DUE = and_(_card.c.reminder_due.is_not(None), _card.c.state == CardState.POSTED)
FIRST_DUE = (
    select(_card.c.channel)
    .where(_HAS_DUE, _card.c.reminder_due <= _NOW)
    .order_by(_card.c.reminder_due, _card.c.id)
    .limit(1)
)
_NEXT_DUE = select(func.min(_card.c.reminder_due)).where(_HAS_DUE, _card.c.reminder_due < UNKNOWN_END)
IN_CHANNEL = (
    select(_card.c.id, _card.c.incident)
    .select_from(_card.join(reference, reference.c.ref == _card.c.channel))
    .where(bindparam("channel", type_=Text) == CANONICAL_REF, _HAS_DUE, _card.c.reminder_due <= _NOW)
    .order_by(_card.c.reminder_due, _card.c.id)
    .limit(bindparam("most", type_=Integer))
)
_CARDS = select(_card).where(_card.c.id.in_(bindparam("ids", expanding=True)), _HAS_DUE).order_by(_card.c.id)
_TASKS = select(_task).where(_task.c.key.in_(bindparam("keys", expanding=True)))
_UNPLANNED = select(_share.c.incident).where(
    schema.IS_UNPLANNED, _share.c.plan_error == "", _share.c.incident.in_(bindparam("ids", expanding=True))
)
_HAS_REMINDERS = select(_card.c.id).where(_HAS_DUE).limit(1)


class _Due(NamedTuple):
    card: Card
    state: IncidentState


def next_reminder_due(connection: Connection) -> float | None:
    """Return the first moment at which a reminder may be due; None if there is none. This is cheap."""
    due: float | None = execute(connection, _NEXT_DUE).scalar()
    return due


def remind_next(
    connection: Connection, now: float, decide: DecideReminders, *, lease: Lease | None = None
) -> Reminding | None:
    """Decide about the reminders of one channel that are due, and save what was decided; None if none is due.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    ref = connection.execute(FIRST_DUE, {"now": now}).scalar()
    if ref is None:
        return None
    share_channel_references(connection)
    channel = canonical_channel(connection, ref)
    due = _due(connection, channel.ref, now + WINDOW)
    made = decide(channel, _reminders(connection, due), mutes_after(connection, now))
    _save(connection, made, {each.state.record.incident: each.state for each in due})
    return made


def _due(connection: Connection, channel: str, until: float) -> list[_Due]:
    """Load the cards of a channel that are due by then, one of each incident, which is locked first."""
    found = connection.execute(IN_CHANNEL, {"channel": channel, "now": until, "most": MOST}).all()
    states = load_incident_states(connection, sorted({row.incident for row in found}))
    rows = connection.execute(_CARDS, {"ids": [row.id for row in found]}).mappings()
    first: dict[str, Card] = {}
    for card in sorted(map(to_card, rows), key=lambda card: card.reminder_due or 0.0):
        first.setdefault(card.incident, card)
    return [_Due(card, states[card.incident]) for card in first.values() if card.incident in states]


def _reminders(connection: Connection, due: Sequence[_Due]) -> list[DueReminder]:
    ids = [each.card.incident for each in due]
    cards = current_cards_of(connection, ids)
    asked = _tasks(connection, [asked_key(card) for card, _ in due if card.reminder_asked_at is not None])
    unplanned = set(connection.execute(_UNPLANNED, {"ids": ids}).scalars())
    sharing = integrations_with_owners(connection)
    return [
        DueReminder(
            card=card,
            state=state,
            cards=tuple(cards[card.incident]),
            asked=asked.get(asked_key(card)),
            unplanned=card.incident in unplanned,
            shares_assignments=not sharing.isdisjoint(state.record.integrations),
        )
        for card, state in due
    ]


def _tasks(connection: Connection, keys: Collection[str]) -> Mapping[str, Task]:
    if not keys:
        return {}
    return {task.key: task for task in map(to_task, connection.execute(_TASKS, {"keys": list(keys)}).mappings())}


def _save(connection: Connection, made: Reminding, states: Mapping[str, IncidentState]) -> None:
    for incident, entry in made.entries:
        change_entries(connection, states[incident], [entry])
    save_cards(connection, made.cards)
    add_tasks(connection, made.tasks)
    if made.bulletin is not None:
        save_bulletin_changes(connection, [made.bulletin])


def has_reminders(connection: Connection) -> bool:
    """Return whether any card has a reminder that is due, now or later."""
    return connection.execute(_HAS_REMINDERS).first() is not None
