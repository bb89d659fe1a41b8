"""What is kept beside incidents, each within bounds: configurations that worked, faults told of, bodies refused."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, delete, func, or_, select

from relay.model.tag_labels import TagDefinition
from relay.store import schema
from relay.store.mappers import configuration_of, definition_of, definition_row, dumps, packed, quarantined_of
from relay.store.types import QuarantinedBody, StoredConfiguration
from relay.store.upsert import insert_or_keep, insert_or_update

CONFIGURATIONS = 20
FAULTS = 100
REFUSED = 1_000
REFUSED_BYTES = 64 * 1024 * 1024
"""Bounds of what is kept: the newest so many of each, and of refused bodies no more bytes than these (as kept)."""

_LATER = 0.001
"""Seconds by which the newest configuration is kept after the one before it, where a clock says otherwise."""

_configuration, _quarantine = schema.configuration, schema.quarantine
_NEWEST = select(_configuration).order_by(_configuration.c.saved_at.desc(), _configuration.c.id.desc()).limit(1)


def keep_configuration(
    connection: Connection, digest: str, routes: str, templates: Mapping[str, str], now: float
) -> None:
    """Keep it as the newest, whatever the clocks of other relays say; a known one becomes the newest again."""
    latest = connection.execute(select(func.max(_configuration.c.saved_at))).scalar_one()
    kept_at = now if latest is None else max(now, latest + _LATER)
    row = {"hash": digest, "saved_at": kept_at, "routes": routes, "templates": dumps(templates)}
    connection.execute(insert_or_update(connection, _configuration, ("hash",)), row)
    _keep_newest(connection, _configuration, "saved_at", CONFIGURATIONS)


def configuration(connection: Connection) -> StoredConfiguration | None:
    """The newest that worked."""
    row = connection.execute(_NEWEST).mappings().one_or_none()
    return None if row is None else configuration_of(row)


def configuration_hash(connection: Connection) -> str | None:
    """The name of the newest that worked."""
    return connection.execute(_NEWEST.with_only_columns(_configuration.c.hash)).scalar_one_or_none()


def fault_is_new(connection: Connection, digest: str, now: float) -> bool:
    """Whether nobody was told of this faulty configuration yet; from now on somebody was."""
    statement = insert_or_keep(connection, schema.reported_fault, ("hash",), returning=("id",))
    new = connection.execute(statement, {"hash": digest, "reported_at": now}).first() is not None
    _keep_newest(connection, schema.reported_fault, "reported_at", FAULTS)
    return new


def faults_over(connection: Connection) -> bool:
    """Whether anybody was told of a faulty configuration; from now on nobody was."""
    return connection.execute(delete(schema.reported_fault)).rowcount > 0


def quarantine(connection: Connection, body: bytes, headers: Mapping[str, str], reason: str, received: float) -> None:
    """Keep a refused body, and let the oldest go that are too many or too much."""
    kept = packed(body)
    row = {"received": received, "reason": reason, "headers": dumps(headers), "size": len(kept), "body": kept}
    connection.execute(_quarantine.insert(), row)
    newest_first = _quarantine.c.id.desc()
    running = select(
        _quarantine.c.id,
        func.sum(_quarantine.c.size).over(order_by=newest_first).label("bytes"),
        func.row_number().over(order_by=newest_first).label("rank"),
    ).subquery()
    beyond = select(running.c.id).where(or_(running.c.bytes > REFUSED_BYTES, running.c.rank > REFUSED))
    connection.execute(delete(_quarantine).where(_quarantine.c.id.in_(beyond)))


def quarantined(connection: Connection) -> tuple[QuarantinedBody, ...]:
    """The refused bodies without their bytes, the oldest first."""
    asked = select(*(column for column in _quarantine.c if column.name != "body")).order_by(_quarantine.c.id)
    return tuple(quarantined_of(row) for row in connection.execute(asked).mappings())


def quarantined_body(connection: Connection, number: int) -> QuarantinedBody | None:
    """A refused body with its bytes; None where it is not there, or not any more."""
    asked = select(_quarantine).where(_quarantine.c.id == number)
    row = connection.execute(asked).mappings().one_or_none()
    return None if row is None else quarantined_of(row, row["body"])


def keep_definitions(connection: Connection, definitions: Sequence[TagDefinition], now: float) -> None:
    """Keep BigPanda's definitions of tags in place of those that are kept."""
    connection.execute(delete(schema.tag_definition))
    unique = {definition.id.casefold(): definition for definition in definitions}
    if unique:
        connection.execute(schema.tag_definition.insert(), [definition_row(each, now) for each in unique.values()])


def definitions(connection: Connection) -> tuple[tuple[TagDefinition, ...], float]:
    """The definitions that are kept, and when they were asked for (0: never)."""
    rows = connection.execute(select(schema.tag_definition).order_by(schema.tag_definition.c.id)).mappings().all()
    return tuple(definition_of(row) for row in rows), max((row["fetched_at"] for row in rows), default=0.0)


def _keep_newest(connection: Connection, table: Table, moment: str, most: int) -> None:
    beyond = select(table.c.id).order_by(table.c[moment].desc(), table.c.id.desc()).offset(most)
    if ids := list(connection.execute(beyond).scalars()):
        connection.execute(delete(table).where(table.c.id.in_(ids)))
