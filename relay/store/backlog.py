"""How much waits, and for how long: what is asked at every scrape, so each question is answered from an index."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from relay.cards.model import AttemptState
from relay.store import schema, tasks
from relay.store.channels import spellings
from relay.store.health import size_bytes
from relay.store.types import Backlog, ChannelBacklog

_card = schema.card
_NOW: Any = bindparam("now")


def _due(track: str) -> Select[Any]:
    due = _card.c[f"{track}_due"]
    return (
        select(_card.c.channel, func.count(), func.min(_card.c[f"{track}_since"]))
        .where(due.is_not(None), due <= _NOW)
        .group_by(_card.c.channel)
    )


_DUE = {track: _due(track) for track in ("post", "edit")}
_IN_DOUBT = select(func.count()).where(schema.IS_OPEN, schema.attempt.c.state == AttemptState.IN_DOUBT)
_LETTERS = select(func.count()).where(schema.dead_letter.c.closed_at.is_(None))
_QUARANTINED = select(func.count(schema.quarantine.c.id))
_LAST_SHARE = select(func.max(schema.share.c.received))


def backlog(connection: Connection, now: float) -> Backlog:
    """All that waits at this moment."""
    waiting, age = tasks.waiting(connection, now)
    return Backlog(
        due_tasks=waiting,
        oldest_task_age=age,
        channels=_lanes(connection, now),
        in_doubt=_number(connection, _IN_DOUBT),
        dead_letters=_number(connection, _LETTERS),
        quarantined_bodies=_number(connection, _QUARANTINED),
        size_bytes=size_bytes(connection),
        last_share_at=connection.execute(_LAST_SHARE).scalar() or 0.0,
    )


def _lanes(connection: Connection, now: float) -> tuple[ChannelBacklog, ...]:
    """One for each channel and track; the spellings of one channel count together."""
    same = spellings(connection)
    found: dict[tuple[str, str], ChannelBacklog] = {}
    for track, statement in _DUE.items():
        for ref, cards, since in connection.execute(statement, {"now": now}):
            key = same.get(ref, ref), track
            before = found.get(key)
            found[key] = ChannelBacklog(
                channel=key[0],
                track=track,
                cards=cards + (before.cards if before else 0),
                age=max(0.0, now - since, before.age if before else 0.0),
            )
    return tuple(found.values())


def _number(connection: Connection, statement: Select[int]) -> int:
    return connection.execute(statement).scalar_one()
