"""Configurations that worked, and the faulty ones that were reported; only the newest of each are stored."""

from collections.abc import Mapping

from sqlalchemy import Connection, Table, delete, func, select

from relay.store import schema
from relay.store.mappers import dumps, to_configuration
from relay.store.types import StoredConfiguration
from relay.store.upsert import insert_or_keep, insert_or_update

MAX_CONFIGURATIONS = 20
MAX_FAULTS = 100

_TICK = 0.001
"""Seconds by which the newest configuration is dated after the previous one, if a clock says otherwise."""

_configuration, _fault = schema.configuration, schema.reported_fault
_LATEST = select(_configuration).order_by(_configuration.c.saved_at.desc(), _configuration.c.id.desc()).limit(1)


def save_configuration(
    connection: Connection, digest: str, routes: str, templates: Mapping[str, str], now: float
) -> None:
    """Save routes and templates (file name -> text) that work, as the latest; a known one becomes the latest again.

    It is the latest whatever the clocks of other relays say.
    """
    latest = connection.execute(select(func.max(_configuration.c.saved_at))).scalar_one()
    saved_at = now if latest is None else max(now, latest + _TICK)
    row = {"hash": digest, "saved_at": saved_at, "routes": routes, "templates": dumps(templates)}
    connection.execute(insert_or_update(connection, _configuration, ("hash",)), row)
    _delete_oldest(connection, _configuration, "saved_at", MAX_CONFIGURATIONS)


def latest_configuration(connection: Connection) -> StoredConfiguration | None:
    """Return the latest routes and templates that worked."""
    row = connection.execute(_LATEST).mappings().one_or_none()
    return None if row is None else to_configuration(row)


def latest_configuration_hash(connection: Connection) -> str | None:
    """Return the hash of the latest configuration that worked: cheap enough to ask often."""
    return connection.execute(_LATEST.with_only_columns(_configuration.c.hash)).scalar_one_or_none()


def claim_fault_report(connection: Connection, digest: str, now: float) -> bool:
    """Return whether the faulty configuration with this hash is still to be reported; the caller then reports it."""
    statement = insert_or_keep(connection, _fault, ("hash",), returning=("id",))
    new = connection.execute(statement, {"hash": digest, "reported_at": now}).first() is not None
    _delete_oldest(connection, _fault, "reported_at", MAX_FAULTS)
    return new


def clear_fault_reports(connection: Connection) -> bool:
    """Forget the reported faults; return whether there was any, so that the caller reports the correction."""
    return connection.execute(delete(_fault)).rowcount > 0


def _delete_oldest(connection: Connection, table: Table, moment: str, limit: int) -> None:
    beyond = select(table.c.id).order_by(table.c[moment].desc(), table.c.id.desc()).offset(limit)
    if ids := list(connection.execute(beyond).scalars()):
        connection.execute(delete(table).where(table.c.id.in_(ids)))
