"""BigPanda's definitions of tags, as relay fetched them last."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from relay.model.tag_labels import TagDefinition
from relay.store import schema
from relay.store.execution import execute
from relay.store.mappers import tag_definition_row, to_tag_definition

_ALL = select(schema.tag_definition).order_by(schema.tag_definition.c.id)


def save_tag_definitions(connection: Connection, definitions: Sequence[TagDefinition], now: float) -> None:
    """Save the definitions in place of the stored ones."""
    connection.execute(delete(schema.tag_definition))
    unique = {definition.id.casefold(): definition for definition in definitions}
    if unique:
        rows = [tag_definition_row(each, now) for each in unique.values()]
        connection.execute(schema.tag_definition.insert(), rows)


def tag_definitions(connection: Connection) -> tuple[tuple[TagDefinition, ...], float]:
    """Return the stored definitions, and when they were fetched (0: never)."""
    rows = execute(connection, _ALL).mappings()
    return tuple(to_tag_definition(row) for row in rows), max((row["fetched_at"] for row in rows), default=0.0)
