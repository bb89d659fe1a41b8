"""What waits, and for how long. Prometheus asks at every scrape, so each query is answered from an index."""

from collections import Counter
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select, text

from relay.cards.bulletins import BulletinKind
from relay.cards.holds import Reason
from relay.cards.model import AttemptState, CardState, ChannelState
from relay.cards.notices import NoticeKind
from relay.cards.steps import ROOT
from relay.model.incident import State
from relay.store import schema
from relay.store.channels import CANONICAL_REF, canonical, canonical_refs, reference
from relay.store.inbox import count_inbox
from relay.store.tasks import count_waiting
from relay.store.types import Backlog, ChannelBacklog

_card, _bulletin = schema.card, schema.bulletin
_NOW: Any = bindparam("now")


def _due_by_channel(work: str) -> Select[Any]:
    due = _card.c[f"{work}_due"]
    return (
        select(_card.c.channel, func.count(), func.min(_card.c[f"{work}_since"]))
        .where(due.is_not(None), due <= _NOW)
        .group_by(_card.c.channel)
    )


DUE = {work: _due_by_channel(work) for work in ("post", "edit")}
IN_DOUBT = select(func.count()).where(schema.IS_OPEN, schema.attempt.c.state == AttemptState.IN_DOUBT)
LAST_SHARE = select(func.max(schema.share.c.received))
_DEAD_LETTERS = (
    select(func.count())
    .select_from(schema.dead_letter.join(_card, _card.c.id == schema.dead_letter.c.card))
    .where(schema.dead_letter.c.closed_at.is_(None), _card.c.notices.not_like(f'%"{NoticeKind.STAND_IN}"%'))
)
"""Without those of stand-ins, as `OpenDeadLetter.of_stand_in` says."""
OPEN_INCIDENTS = (
    select(schema.incident.c.state, func.count())
    .where(schema.incident.c.ended_at.is_(None))
    .group_by(schema.incident.c.state)
)
_UNPOSTED = (_card.c.state == CardState.PENDING, _card.c.post_due.is_not(None))
_LATER_REASON = case(
    (_card.c.tries > 0, Reason.RETRY.value),
    (_card.c.held_by.is_not(None), _card.c.held_by),
    else_=Reason.WAIT.value,
).label("reason")
HELD_LATER = select(_LATER_REASON, func.count()).where(*_UNPOSTED, _card.c.post_due > _NOW).group_by(_LATER_REASON)
"""The cards that are due later: after a failed try, after what holds them by name, or after the route's wait."""
_IS_UNREAD = canonical.c.unread_since.is_not(None)
DUE_BY_STATE = (
    select(canonical.c.state, _IS_UNREAD, func.count())
    .select_from(
        _card.join(reference, reference.c.ref == _card.c.channel).join(canonical, canonical.c.ref == CANONICAL_REF)
    )
    .where(*_UNPOSTED, _card.c.post_due <= _NOW)
    .group_by(canonical.c.state, _IS_UNREAD)
)
"""The cards that are due, by the state of their channel, and whether relay has to read the channel first."""
CARDS_IN_DOUBT = IN_DOUBT.where(schema.attempt.c.kind == ROOT)
_WITH_HELD_PINGS = select(func.count()).where(_card.c.catch_up_due.is_not(None))
NEXT_CATCH_UP = select(func.min(_card.c.catch_up_due)).where(_card.c.catch_up_due.is_not(None))
_OF_OPEN_STORM = (_bulletin.c.kind == BulletinKind.STORM, _bulletin.c.closed_at.is_(None))
OPEN_STORMS = select(func.count()).select_from(_bulletin).where(*_OF_OPEN_STORM)
NOT_SHOWN = (
    select(func.min(_card.c.post_since), func.min(_card.c.edit_since))
    .select_from(_bulletin.join(_card, _card.c.bulletin == _bulletin.c.id))
    .where(*_OF_OPEN_STORM)
)
"""Since when the cards of open storms have something to post or to edit."""
ACTIVE_MUTES = select(func.count()).where(schema.mute.c.end_at > _NOW, schema.mute.c.start_at <= _NOW)
_QUARANTINED = select(func.count(schema.quarantine.c.id))
_SIZE_BYTES = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}
"""On SQLite without its write-ahead log."""


def backlog(connection: Connection, now: float) -> Backlog:
    """Return what waits at this moment, and for how long."""
    due_tasks, oldest_task_age = count_waiting(connection, now)
    held, due_cards = _held(connection, now)
    unplanned, failed, oldest_unplanned_age = count_inbox(connection, now)
    return Backlog(
        channels=_channels(connection, now),
        in_doubt=connection.execute(IN_DOUBT).scalar_one(),
        dead_letters=connection.execute(_DEAD_LETTERS).scalar_one(),
        quarantined_bodies=connection.execute(_QUARANTINED).scalar_one(),
        size_bytes=int(connection.execute(_SIZE_BYTES[connection.dialect.name]).scalar_one()),
        last_share_at=connection.execute(LAST_SHARE).scalar() or 0.0,
        due_tasks=due_tasks,
        oldest_task_age=oldest_task_age,
        open_incidents={State(state): count for state, count in connection.execute(OPEN_INCIDENTS)},
        held_cards=held,
        due_cards=due_cards,
        cards_with_held_pings=connection.execute(_WITH_HELD_PINGS).scalar_one(),
        unplanned_shares=unplanned,
        failed_shares=failed,
        oldest_unplanned_age=oldest_unplanned_age,
        catch_up_age=_age(now, connection.execute(NEXT_CATCH_UP).scalar()),
        open_storms=connection.execute(OPEN_STORMS).scalar_one(),
        storm_change_age=_age(now, *connection.execute(NOT_SHOWN).one()),
        active_mutes=connection.execute(ACTIVE_MUTES, {"now": now}).scalar_one(),
    )


def _age(now: float, *moments: float | None) -> float:
    """How long the first of these moments ago is; 0 if all are to come."""
    return max(0.0, now - min((moment for moment in moments if moment is not None), default=now))


def _held(connection: Connection, now: float) -> tuple[dict[Reason, int], int]:
    """Count the cards that are not posted yet by what holds them, and those that are due."""
    later = {Reason(reason): cards for reason, cards in connection.execute(HELD_LATER, {"now": now})}
    due: Counter[Reason | None] = Counter()
    for state, unread, cards in connection.execute(DUE_BY_STATE, {"now": now}):
        due[Reason.ADOPTING if unread else _BY_STATE.get(ChannelState(state))] += cards
    due_cards = due.pop(None, 0)
    held = {
        **later,
        Reason.IN_DOUBT: connection.execute(CARDS_IN_DOUBT).scalar_one(),
        **{reason: cards for reason, cards in due.items() if reason},
    }
    return {reason: cards for reason, cards in held.items() if cards}, due_cards


_BY_STATE = {ChannelState.REJECTED: Reason.CHANNEL_REJECTED}


def _channels(connection: Connection, now: float) -> tuple[ChannelBacklog, ...]:
    """One for each channel and kind of work; all references of a channel count together."""
    refs = canonical_refs(connection)
    channels: dict[tuple[str, str], ChannelBacklog] = {}
    for work, statement in DUE.items():
        for ref, cards, since in connection.execute(statement, {"now": now}):
            key = refs.get(ref, ref), work
            before = channels.get(key)
            channels[key] = ChannelBacklog(
                channel=key[0],
                work=work,
                cards=cards + (before.cards if before else 0),
                age=max(0.0, now - since, before.age if before else 0.0),
            )
    return tuple(channels.values())
