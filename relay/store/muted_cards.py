"""Mutes that begin, end or change: the cards that say so, and what they held."""

from collections.abc import Callable

from sqlalchemy import Connection, Integer, bindparam, or_, select, update

from relay.cards.bulletins import held_list
from relay.cards.holds import Reason
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute, MuteState
from relay.store import schema
from relay.store.bulletins import open_held_lists, save_bulletin_changes
from relay.store.held import look_at_held
from relay.store.locks import check_lease, lock_incidents, share_channel_references
from relay.store.mutes import mute, mutes_after, to_mute
from relay.store.notify import notify
from relay.store.rows import load_current_cards, load_incident_states, save_cards
from relay.store.types import Lease

DecideMuted = Callable[[Card, IncidentState], Card]
"""By a card and its incident: the card, which says whether it is muted."""

_mute = schema.mute
_MAY_CHANGE = (
    select(_mute)
    .where(or_(_mute.c.end_at > bindparam("after"), _mute.c.applied != MuteState.OVER))
    .order_by(_mute.c.id)
)
_APPLIED = update(_mute).where(_mute.c.id == bindparam("which")).values(applied=bindparam("what"))
_OPEN = (
    select(schema.incident.c.id)
    .where(schema.IS_OPEN_INCIDENT, schema.incident.c.id > bindparam("after"))
    .order_by(schema.incident.c.id)
    .limit(bindparam("most", type_=Integer))
)
_CHANGE_END = (
    update(_mute)
    .where(_mute.c.id == bindparam("which"), _mute.c.end_at > bindparam("now"))
    .values(end_at=bindparam("until"), ended_by=bindparam("by"))
)


def extend_mute(connection: Connection, number: int, until: float, now: float) -> bool:
    """Let a mute that is not over end then; return False if it is over."""
    return _change_end(connection, number, until, now, "")


def end_mute(connection: Connection, number: int, now: float, by: str) -> bool:
    """End a mute now; return False if it was over."""
    return _change_end(connection, number, now, now, by)


def _change_end(connection: Connection, number: int, until: float, now: float, by: str) -> bool:
    before = mute(connection, number)
    values = {"which": number, "until": until, "now": now, "by": by}
    if before is None or not connection.execute(_CHANGE_END, values).rowcount:
        return False
    lists = open_held_lists(connection)
    ending = [each.channel for each in lists if each.reason == Reason.MUTE and each.until == before.end]
    save_bulletin_changes(connection, [held_list(channel, Reason.MUTE, until, (), now) for channel in ending])
    notify(connection)
    return True


def mutes_to_apply(connection: Connection, now: float) -> tuple[Mute, ...] | None:
    """Return the mutes that are not over, if one has begun, ended or changed since `mark_applied`; None if none has."""
    rows = connection.execute(_MAY_CHANGE, {"after": now}).mappings().all()
    if all(row["applied"] == to_mute(row).appearance(now) for row in rows):
        return None
    return mutes_after(connection, now)


def mark_applied(connection: Connection, now: float, *, lease: Lease | None = None) -> None:
    """The cards say which mutes there are as of that moment; ask again what holds each card and ping.

    Raises LeaseLost: another relay delivers now.
    """
    for row in connection.execute(_MAY_CHANGE, {"after": now}).mappings().all():
        connection.execute(_APPLIED, {"which": row["id"], "what": to_mute(row).appearance(now)})
    look_at_held(connection, now, lease=lease)


def apply_mutes(
    connection: Connection, after: str, most: int, decide: DecideMuted, *, lease: Lease | None = None
) -> str | None:
    """Let the cards of the next open incidents, by id, say whether they are muted; return the last id, None at the end.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    ids = [row.id for row in connection.execute(_OPEN, {"after": after, "most": most})]
    share_channel_references(connection)
    lock_incidents(connection, ids)
    states = load_incident_states(connection, ids)
    cards = load_current_cards(connection, ids)
    changed = [(card, decide(card, states[card.incident])) for card in cards if card.incident in states]
    save_cards(connection, [new for card, new in changed if new != card])
    return ids[-1] if len(ids) == most else None
