"""PostgreSQL's dialect, in a module of its own since it takes a while to import."""

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from relay.store.dialects import CompilesAlike


class PostgresqlDialect(CompilesAlike, PGDialect_psycopg):
    """PostgreSQL, by psycopg."""

    supports_statement_cache = True
