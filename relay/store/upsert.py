"""INSERT ... ON CONFLICT: one syntax in both databases, but two in SQLAlchemy."""

from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Executable, Table

Columns = tuple[str, ...]


def insert_or_keep(connection: Connection, table: Table, conflict: Columns, *, returning: Columns = ()) -> Executable:
    """Insert; an existing row (by the columns of `conflict`) stays as it is, and is not returned."""
    return _keeping(connection.dialect.name, table, conflict, returning)


def insert_or_update(connection: Connection, table: Table, conflict: Columns) -> Executable:
    """Insert; an existing row takes the new values of all columns except `id` and `conflict`."""
    return _updating(connection.dialect.name, table, conflict)


def insert_or_count(
    connection: Connection, table: Table, conflict: Columns, count: str, *, returning: Columns
) -> Executable:
    """Insert; of an existing row, the column `count` grows by the new value. Both are returned."""
    return _counting(connection.dialect.name, table, conflict, count, returning)


# Each is built once for each use: building a statement costs more than running it.


@cache
def _keeping(dialect: str, table: Table, conflict: Columns, returning: Columns) -> Executable:
    return _returning(_insert(dialect, table).on_conflict_do_nothing(index_elements=conflict), table, returning)


@cache
def _updating(dialect: str, table: Table, conflict: Columns) -> Executable:
    insert = _insert(dialect, table)
    changed = {column.name: insert.excluded[column.name] for column in table.c if column.name not in {"id", *conflict}}
    return _returning(insert.on_conflict_do_update(index_elements=conflict, set_=changed), table, ())


@cache
def _counting(dialect: str, table: Table, conflict: Columns, count: str, returning: Columns) -> Executable:
    insert = _insert(dialect, table)
    more = {count: table.c[count] + insert.excluded[count]}
    return _returning(insert.on_conflict_do_update(index_elements=conflict, set_=more), table, returning)


def _insert(dialect: str, table: Table) -> Any:
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def _returning(insert: Any, table: Table, columns: Columns) -> Executable:
    statement: Executable = insert.returning(*(table.c[name] for name in columns)) if columns else insert
    return statement
