"""Bodies that are no valid shares, for the operator; the oldest are deleted if there are too many."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, or_, select

from relay.store import schema
from relay.store.mappers import compress, dumps, to_quarantined_body
from relay.store.types import QuarantinedBody

MAX_BODIES = 1_000
MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of all compressed bodies together."""

_quarantine = schema.quarantine
_WITHOUT_BODY = select(*(column for column in _quarantine.c if column.name != "body")).order_by(_quarantine.c.id)


def quarantine(connection: Connection, body: bytes, headers: Mapping[str, str], reason: str, received: float) -> None:
    """Store a body that is no valid share; delete the oldest ones beyond the limits."""
    stored = compress(body)
    row = {"received": received, "reason": reason, "headers": dumps(headers), "size": len(body), "body": stored}
    connection.execute(_quarantine.insert(), row)
    newest_first = _quarantine.c.id.desc()
    running = select(
        _quarantine.c.id,
        func.sum(func.length(_quarantine.c.body)).over(order_by=newest_first).label("bytes"),
        func.row_number().over(order_by=newest_first).label("rank"),
    ).subquery()
    beyond = select(running.c.id).where(or_(running.c.bytes > MAX_BYTES, running.c.rank > MAX_BODIES))
    connection.execute(delete(_quarantine).where(_quarantine.c.id.in_(beyond)))


def quarantined_bodies(connection: Connection) -> tuple[QuarantinedBody, ...]:
    """Return the bodies in quarantine without their bytes, the oldest first."""
    return tuple(to_quarantined_body(row) for row in connection.execute(_WITHOUT_BODY).mappings())


def quarantined_body(connection: Connection, number: int) -> QuarantinedBody | None:
    """Return one body with its bytes; None if there is none of that number, or not any more."""
    row = connection.execute(select(_quarantine).where(_quarantine.c.id == number)).mappings().one_or_none()
    return None if row is None else to_quarantined_body(row, row["body"])
