"""Configurations that worked; only the newest are stored."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, select

from relay.store import schema
from relay.store.mappers import dumps, to_configuration
from relay.store.types import StoredConfiguration
from relay.store.upsert import insert_or_update

MAX_CONFIGURATIONS = 20

_TICK = 0.001
"""Seconds by which the newest configuration is dated after the previous one, if a clock says otherwise."""

_configuration = schema.configuration
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
    _delete_oldest(connection)


def latest_configuration(connection: Connection) -> StoredConfiguration | None:
    """Return the latest routes and templates that worked."""
    row = connection.execute(_LATEST).mappings().one_or_none()
    return None if row is None else to_configuration(row)


def latest_configuration_hash(connection: Connection) -> str | None:
    """Return the hash of the latest configuration that worked: cheap enough to ask often."""
    return connection.execute(_LATEST.with_only_columns(_configuration.c.hash)).scalar_one_or_none()


def _delete_oldest(connection: Connection) -> None:
    latest = select(_configuration.c.id).order_by(_configuration.c.saved_at.desc(), _configuration.c.id.desc())
    if ids := list(connection.execute(latest.offset(MAX_CONFIGURATIONS)).scalars()):
        connection.execute(delete(_configuration).where(_configuration.c.id.in_(ids)))
