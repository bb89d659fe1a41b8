"""Runs the statements of every share and card: compiled once, and then run on the driver's own cursor.

SQLAlchemy takes longer for such a statement than SQLite does. Here its part is done once: the SQL, the order of the
parameters, and what converts their values. On PostgreSQL SQLAlchemy runs the statement, since the way to the server and
back takes longer still.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, Executable
from sqlalchemy.engine.interfaces import DBAPICursor, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert

Parameters: TypeAlias = Mapping[str, Any]
_Convert: TypeAlias = Callable[[Any], Any]

_NO_PARAMETERS: Final[dict[str, Any]] = {}


class Rows:
    """The rows of a result, all of them read; `rowcount` is how many rows were changed."""

    __slots__ = ("_row", "_values", "rowcount")

    def __init__(self, row: Any, values: Sequence[Sequence[Any]], rowcount: int) -> None:
        """Take the values of each row in turn, and the named tuple `row` for the columns."""
        self._row = row
        self._values = values
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        """Iterate over rows that have an attribute for each column."""
        return map(self._row._make, self._values)

    def first(self) -> Any:
        """Return the first row; None if there is none."""
        return next(iter(self), None)

    def mappings(self) -> list[dict[str, Any]]:
        """Return the rows as values by column."""
        return [dict(zip(self._row._fields, values, strict=True)) for values in self._values]

    def mapping(self) -> dict[str, Any] | None:
        """Return the first row as values by column; None if there is none."""
        return dict(zip(self._row._fields, self._values[0], strict=True)) if self._values else None

    def scalars(self) -> list[Any]:
        """Return the first value of each row."""
        return [values[0] for values in self._values]

    def scalar(self) -> Any:
        """Return the first value of the first row; None if there is no row."""
        return self._values[0][0] if self._values else None


def execute(
    connection: Connection, statement: Executable, parameters: dict[str, Any] | Sequence[Parameters] = _NO_PARAMETERS
) -> Rows:
    """Run a statement that lives as long as relay, such as a constant of a module; of many parameters, with each.

    Raises DBAPIError: the database failed, or rejects a value.
    """
    dialect = connection.dialect
    if dialect.name != "sqlite":
        return _by_sqlalchemy(connection, statement, parameters)
    many = (parameters,) if isinstance(parameters, dict) else parameters
    prepared = _prepared(statement, dialect, many[0])
    try:
        return prepared.run(driver(connection).cursor(), many)
    except sqlite3.Error as error:
        raise _translated(error, str(statement), dialect) from error


def execute_text(connection: Connection, statement: str) -> None:
    """Run a statement without parameters and rows, such as SAVEPOINT. Raises DBAPIError: the database failed."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(statement)
        return
    try:
        driver(connection).execute(statement)
    except sqlite3.Error as error:
        raise _translated(error, statement, connection.dialect) from error


def driver(connection: Connection) -> Any:
    """Return the connection of Python's module for SQLite, which is behind SQLAlchemy's."""
    return connection.connection.dbapi_connection


def _translated(error: sqlite3.Error, statement: str, dialect: Dialect) -> Exception:
    return DBAPIError.instance(statement, None, error, sqlite3.Error, hide_parameters=True, dialect=dialect)


def _by_sqlalchemy(
    connection: Connection, statement: Executable, parameters: Parameters | Sequence[Parameters]
) -> Rows:
    result = connection.execute(statement, parameters)
    if not result.returns_rows:
        return Rows(_row_type(()), (), result.rowcount)
    return Rows(_row_type(tuple(result.keys())), result.fetchall(), result.rowcount)


class _Variable(NamedTuple):
    """A place among the driver's parameters, and what goes there: a value, or one item of a list."""

    place: int
    name: str
    item: int | None
    convert: _Convert | None


class _Form(NamedTuple):
    """A statement for lists of certain lengths; `constants` has the statement's own values in their places."""

    sql: str
    constants: list[Any]
    variables: tuple[_Variable, ...]

    def bind(self, parameters: Parameters) -> list[Any]:
        values = self.constants.copy()
        for place, name, item, convert in self.variables:
            value = parameters[name] if item is None else parameters[name][item]
            values[place] = value if convert is None else convert(value)
        return values


class _Prepared:
    """A compiled statement, with one form for each length of its lists."""

    def __init__(self, statement: Executable, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=columns or None)  # type: ignore[attr-defined]
        self._compiled = compiled
        self._variables = {name for name, bind in compiled.binds.items() if bind.required}
        self._lists = [name for name in sorted(self._variables) if compiled.binds[name].expanding]
        self._forms: dict[tuple[int, ...], _Form] = {}
        self._binders = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        returned = list(getattr(statement, "exported_columns", ()))
        self._row = _row_type(tuple(column.key for column in returned))
        converts = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in returned]
        self._converts = [(place, convert) for place, convert in enumerate(converts) if convert is not None]

    def run(self, cursor: DBAPICursor, many: Sequence[Parameters]) -> Rows:
        if len(many) > 1 and not self._row._fields:
            form, _ = self._form(many[0])
            cursor.executemany(form.sql, list(map(form.bind, many)))
            return Rows(self._row, (), cursor.rowcount)
        values: list[Sequence[Any]] = []
        changed = 0
        for each in many:
            form, parameters = self._form(each)
            cursor.execute(form.sql, form.bind(parameters))
            values += cursor.fetchall()
            changed += cursor.rowcount
        return Rows(self._row, self._converted(values) if self._converts else values, changed)

    def _converted(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        converted = list(map(list, rows))
        for row in converted:
            for place, convert in self._converts:
                row[place] = convert(row[place])
        return converted

    def _form(self, parameters: Parameters) -> tuple[_Form, Parameters]:
        """Return the form for these parameters, and the parameters with lists of its lengths."""
        if self._lists:
            parameters = {**parameters, **{name: _padded(parameters[name]) for name in self._lists}}
        lengths = tuple(len(parameters[name]) for name in self._lists)
        form = self._forms.get(lengths)
        if form is None:
            form = self._forms[lengths] = self._make_form(parameters)
        return form, parameters

    def _make_form(self, parameters: Parameters) -> _Form:
        state = self._compiled.construct_expanded_state(parameters, escape_names=False)
        parts: dict[str, tuple[str, int | None]] = {
            part: (name, item) for name, parts in state.parameter_expansion.items() for item, part in enumerate(parts)
        }
        constants: list[Any] = []
        variables = []
        for place, name in enumerate(state.positiontup or ()):
            of, item = parts.get(name, (name, None))
            convert: Any = self._binders[of]
            if of in self._variables:
                constants.append(None)
                variables.append(_Variable(place, of, item, convert))
            else:
                value = state.parameters[name]
                constants.append(value if convert is None else convert(value))
        return _Form(state.statement, constants, tuple(variables))


_PREPARED: Final[dict[tuple[Executable, tuple[str, ...]], _Prepared]] = {}


def _prepared(statement: Executable, dialect: Dialect, parameters: Parameters) -> _Prepared:
    key = statement, tuple(parameters) if isinstance(statement, Insert) else ()
    prepared = _PREPARED.get(key)
    if prepared is None:
        prepared = _PREPARED[key] = _Prepared(statement, dialect, key[1])
    return prepared


_ROW_TYPES: Final[dict[tuple[str, ...], Any]] = {}


def _row_type(columns: tuple[str, ...]) -> Any:
    """Return a named tuple for these columns; those of functions have names that no attribute can have."""
    if columns not in _ROW_TYPES:
        _ROW_TYPES[columns] = namedtuple("Row", columns, rename=True)  # noqa: PYI024  the columns are not known before
    return _ROW_TYPES[columns]


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    """Repeat the last value up to a power of two: a list then has few lengths, and SQLite keeps what it compiled."""
    length = len(values)
    missing = (1 << (length - 1).bit_length()) - length if length else 0
    return [*values, *([values[-1]] * missing if missing else ())]
