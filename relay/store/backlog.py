"""What waits, and for how long. Prometheus asks at every scrape, so each query is answered from an index."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, text

from relay.cards.model import AttemptState
from relay.cards.notices import NoticeKind
from relay.store import schema
from relay.store.channels import canonical_refs
from relay.store.tasks import count_waiting
from relay.store.types import Backlog, ChannelBacklog

_card = schema.card
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
_QUARANTINED = select(func.count(schema.quarantine.c.id))
_SIZE_BYTES = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}
"""On SQLite without its write-ahead log."""


def backlog(connection: Connection, now: float) -> Backlog:
    """Return what waits at this moment, and for how long."""
    due_tasks, oldest_task_age = count_waiting(connection, now)
    return Backlog(
        channels=_channels(connection, now),
        in_doubt=connection.execute(IN_DOUBT).scalar_one(),
        dead_letters=connection.execute(_DEAD_LETTERS).scalar_one(),
        quarantined_bodies=connection.execute(_QUARANTINED).scalar_one(),
        size_bytes=int(connection.execute(_SIZE_BYTES[connection.dialect.name]).scalar_one()),
        last_share_at=connection.execute(LAST_SHARE).scalar() or 0.0,
        due_tasks=due_tasks,
        oldest_task_age=oldest_task_age,
    )


def _channels(connection: Connection, now: float) -> tuple[ChannelBacklog, ...]:
    """One for each channel and kind of work; all references of a channel count together."""
    canonical = canonical_refs(connection)
    channels: dict[tuple[str, str], ChannelBacklog] = {}
    for work, statement in DUE.items():
        for ref, cards, since in connection.execute(statement, {"now": now}):
            key = canonical.get(ref, ref), work
            before = channels.get(key)
            channels[key] = ChannelBacklog(
                channel=key[0],
                work=work,
                cards=cards + (before.cards if before else 0),
                age=max(0.0, now - since, before.age if before else 0.0),
            )
    return tuple(channels.values())
