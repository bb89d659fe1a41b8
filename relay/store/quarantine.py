"""Bodies that are no valid shares, for the operator; the oldest are deleted if there are too many.

Small and large bodies have limits of their own: a sender of a few large ones cannot delete a thousand small ones.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select

from relay.store import schema
from relay.store.mappers import compress, dumps, to_quarantined_body
from relay.store.types import QuarantinedBody

MAX_BODIES = 1_000
MAX_BYTES = 32 * 1024 * 1024
"""Of the compressed bodies together."""

LARGE = 32 * 1024
"""Compressed bytes from which a body counts as large."""

_quarantine = schema.quarantine
_WITHOUT_BODY = select(*(column for column in _quarantine.c if column.name != "body")).order_by(_quarantine.c.id)


def quarantine_row(body: bytes, headers: Mapping[str, str], reason: str, received: float) -> dict[str, Any]:
    """Make the row of a body that is no valid share. To compress it takes too long for the writer."""
    return {
        "received": received,
        "reason": reason,
        "headers": dumps(headers),
        "size": len(body),
        "body": compress(body),
    }


def quarantine(connection: Connection, row: Mapping[str, Any]) -> None:
    """Store the row of a body; delete the oldest ones beyond the limits, small ones for a small one."""
    large = len(row["body"]) >= LARGE
    connection.execute(_quarantine.insert(), row)
    length, newest_first = func.length(_quarantine.c.body), _quarantine.c.id.desc()
    running = (
        select(
            _quarantine.c.id,
            func.sum(length).over(order_by=newest_first).label("bytes"),
            func.row_number().over(order_by=newest_first).label("rank"),
        )
        .where(length >= LARGE if large else length < LARGE)
        .subquery()
    )
    beyond = select(running.c.id).where(or_(running.c.bytes > MAX_BYTES, running.c.rank > MAX_BODIES))
    connection.execute(delete(_quarantine).where(_quarantine.c.id.in_(beyond)))


def quarantined_bodies(connection: Connection) -> tuple[QuarantinedBody, ...]:
    """Return the bodies in quarantine without their bytes, the oldest first."""
    return tuple(to_quarantined_body(row) for row in connection.execute(_WITHOUT_BODY).mappings())


def quarantined_body(connection: Connection, number: int) -> QuarantinedBody | None:
    """Return one body with its bytes; None if there is none with that number (any more)."""
    row = connection.execute(select(_quarantine).where(_quarantine.c.id == number)).mappings().one_or_none()
    return None if row is None else to_quarantined_body(row, row["body"])


def delete_quarantined_body(connection: Connection, number: int) -> bool:
    """Delete one body; return False if there is none with that number (any more)."""
    return connection.execute(delete(_quarantine).where(_quarantine.c.id == number)).rowcount > 0
