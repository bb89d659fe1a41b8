"""SQLAlchemy's dialects, so that all engines share what is compiled.

SQLAlchemy knows what is compiled by the statement and the dialect, and each engine has a dialect of its own.
"""

from typing import Final

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class CompilesAlike:
    """All dialects of a class compile alike: relay has one database."""

    def __eq__(self, other: object) -> bool:
        """All are equal."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """All are equal."""
        return hash(type(self))


class SqliteDialect(CompilesAlike, SQLiteDialect_pysqlite):
    """SQLite, by Python's own module."""

    supports_statement_cache = True


SQLITE: Final = "sqlite+relay"
POSTGRESQL: Final = "postgresql+relay"
"""How engines name these dialects. That of PostgreSQL is imported where it is used."""

registry.register("sqlite.relay", __name__, SqliteDialect.__name__)
registry.register("postgresql.relay", "relay.store.postgresql_dialect", "PostgresqlDialect")
