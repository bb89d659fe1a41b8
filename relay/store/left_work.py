"""The work that a transaction leaves. Once it is committed, who does such work is woken, and nobody else."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from relay.cards.eligibility import Work

_KEY: Final = "relay.left_work"


def leave(connection: Connection, work: Iterable[Work]) -> None:
    """Note that there is such work, now or later, once this transaction is committed."""
    connection.info.setdefault(_KEY, set()).update(work)


def take(connection: Connection) -> frozenset[Work]:
    """Return the work that was noted so far, and forget it."""
    return frozenset(connection.info.pop(_KEY, ()))
