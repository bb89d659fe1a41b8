"""Mutes that begin, end or change: whether cards have still to say so, and what they held."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, or_, select, update

from relay.cards.bulletins import held_list
from relay.cards.eligibility import Work
from relay.cards.holds import Reason
from relay.cards.mutes import Mute, MuteState
from relay.store import schema
from relay.store.bulletins import open_held_lists, save_bulletin_changes
from relay.store.execution import execute
from relay.store.held import look_at_held
from relay.store.left_work import leave
from relay.store.mutes import mute, to_mute
from relay.store.notify import notify
from relay.store.types import Lease

_mute = schema.mute
_MAY_CHANGE = (
    select(_mute)
    .where(or_(_mute.c.end_at > bindparam("after"), _mute.c.applied != MuteState.OVER))
    .order_by(_mute.c.id)
)
_APPLIED = update(_mute).where(_mute.c.id == bindparam("which")).values(applied=bindparam("what"))
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
    leave(connection, {Work.MUTE})
    notify(connection)
    return True


def mutes_to_apply(connection: Connection, now: float) -> tuple[tuple[Mute, ...], bool]:
    """Return the mutes, and whether one has begun, ended or changed since `mark_applied`.

    Among them are those that are over, as long as cards may still say that they are not.
    """
    rows = execute(connection, _MAY_CHANGE, {"after": now}).mappings()
    mutes = tuple(map(to_mute, rows))
    return mutes, any(row["applied"] != each.appearance(now) for row, each in zip(rows, mutes, strict=True))


def mark_applied(connection: Connection, mutes: Iterable[Mute], now: float, *, lease: Lease | None = None) -> None:
    """The cards show these mutes as they were at that moment; check again what holds each card and ping.

    One that was made or changed meanwhile is not marked: cards that were looked at before do not say so yet.

    Raises LeaseLost: another relay delivers now.
    """
    for each in mutes:
        connection.execute(_APPLIED, {"which": each.id, "what": each.appearance(now)})
    look_at_held(connection, now, lease=lease)
