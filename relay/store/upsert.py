"""INSERT ... ON CONFLICT: one syntax in both databases, but two in SQLAlchemy."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Executable, Table

Columns = Sequence[str]

_built: dict[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], Executable] = {}


def insert_or_keep(connection: Connection, table: Table, conflict: Columns, *, returning: Columns = ()) -> Executable:
    """Insert; an existing row (by the columns of `conflict`) stays as it is, and is not returned."""
    return _statement(connection, table, conflict, (), returning)


def insert_or_update(connection: Connection, table: Table, conflict: Columns) -> Executable:
    """Insert; an existing row takes the new values of all columns except `id` and `conflict`."""
    changed = tuple(column.name for column in table.c if column.name not in {"id", *conflict})
    return _statement(connection, table, conflict, changed, ())


def insert_or_count(
    connection: Connection, table: Table, conflict: Columns, count: str, *, returning: Columns
) -> Executable:
    """Insert; of an existing row, the column `count` grows by the new value. Both are returned."""
    return _statement(connection, table, conflict, (), returning, count=count)


def _statement(  # noqa: PLR0913  each has a name
    connection: Connection, table: Table, conflict: Columns, changed: Columns, returning: Columns, *, count: str = ""
) -> Executable:
    """Built once for each use: building a statement costs more than running it."""
    dialect = connection.dialect.name
    key = (dialect, table.name, tuple(conflict), (*changed, count), tuple(returning))
    if key not in _built:
        insert: Any = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
        if count:
            more = table.c[count] + insert.excluded[count]
            insert = insert.on_conflict_do_update(index_elements=list(conflict), set_={count: more})
        elif changed:
            insert = insert.on_conflict_do_update(
                index_elements=list(conflict), set_={name: insert.excluded[name] for name in changed}
            )
        else:
            insert = insert.on_conflict_do_nothing(index_elements=list(conflict))
        _built[key] = insert.returning(*(table.c[name] for name in returning)) if returning else insert
    return _built[key]
