"""The integrations that share who has an incident: BigPanda adds that only where somebody has switched it on."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select

from relay.store import schema
from relay.store.execution import execute
from relay.store.upsert import insert_or_keep

_INTEGRATIONS: Final = select(schema.integration.c.name)


def integrations_with_owners(connection: Connection) -> frozenset[str]:
    """Return the integrations of which a share has ever carried an assignment."""
    return frozenset(row.name for row in execute(connection, _INTEGRATIONS))


def note_assignments(connection: Connection, integrations: Collection[str], now: float) -> None:
    """Note that shares of these integrations carry assignments."""
    rows = [{"name": name, "assigned_at": now} for name in sorted(integrations)]
    if rows:
        execute(connection, insert_or_keep(connection, schema.integration, ("name",)), rows)
