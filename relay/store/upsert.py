"""INSERT ... ON CONFLICT, which both databases know in one wording but SQLAlchemy as two."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

Columns = Sequence[str]

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_built: dict[tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], Executable] = {}


def insert_or_keep(connection: Connection, table: Table, conflict: Columns, *, returning: Columns = ()) -> Executable:
    """Insert; a row that is there already (by the columns of `conflict`) stays as it is, and is not returned."""
    return _statement(connection, table, conflict, (), returning)


def insert_or_update(
    connection: Connection, table: Table, conflict: Columns, *, keep: Collection[str] = (), returning: Columns = ()
) -> Executable:
    """Insert; a row that is there already takes the new values of all columns but `id`, `conflict` and `keep`."""
    untouched = {"id", *conflict, *keep}
    changed = tuple(column.name for column in table.c if column.name not in untouched)
    return _statement(connection, table, conflict, changed, returning)


def _statement(
    connection: Connection, table: Table, conflict: Columns, changed: Columns, returning: Columns
) -> Executable:
    """Built once for each use: building costs more than running."""
    dialect = connection.dialect.name
    asked = (dialect, table.name, tuple(conflict), tuple(changed), tuple(returning))
    if asked not in _built:
        insert = _INSERT[dialect](table)
        if changed:
            insert = insert.on_conflict_do_update(
                index_elements=list(conflict), set_={name: insert.excluded[name] for name in changed}
            )
        else:
            insert = insert.on_conflict_do_nothing(index_elements=list(conflict))
        _built[asked] = insert.returning(*(table.c[name] for name in returning)) if returning else insert
    return _built[asked]
