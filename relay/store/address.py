"""Parses `RELAY_DATABASE_URL`, and names the database in sentences without its password."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from relay.model.errors import StoreUnusable

EXPECTED = "expected sqlite:///relay.db, sqlite:////a/path/relay.db or postgresql://user:password@host/database"

DEAD_AFTER = 20
"""Seconds after which relay gives up the connection to a PostgreSQL that has vanished (power, network).

By default the operating system waits for a quarter of an hour, and for two hours if nothing is being sent.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is. `path` is SQLite's file; None for PostgreSQL."""

    url: URL
    path: Path | None = None

    @property
    def name(self) -> str:
        """The name of the database in sentences."""
        if self.path is not None:
            return f"the SQLite database {self.path}"
        return f"the PostgreSQL database {self.url.render_as_string(hide_password=True)}"


def parse_database_url(text: str) -> Address:
    """Parse the URL of a database. Raises StoreUnusable: relay cannot use this URL."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may be a mistyped secret, so neither it nor the driver's message is repeated.
        raise StoreUnusable(f"RELAY_DATABASE_URL cannot be read as a URL: {EXPECTED}.") from error
    match url.drivername:
        case "sqlite":
            if url.host or not url.database or url.database == ":memory:":
                raise StoreUnusable(f"RELAY_DATABASE_URL names no file for SQLite: {EXPECTED}.")
            path = Path(url.database).absolute()
            return Address(url=URL.create("sqlite", database=str(path)), path=path)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return Address(url=url.set(drivername="postgresql+psycopg"))
        case other:
            raise StoreUnusable(f"RELAY_DATABASE_URL begins with {other!r}, which relay does not support: {EXPECTED}.")


def connection_settings(url: URL) -> dict[str, str | int]:
    """Return relay's settings for a connection to PostgreSQL, without those that the URL has.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    settings: dict[str, str | int] = {
        "connect_timeout": 10,
        "application_name": "relay",
        "tcp_user_timeout": DEAD_AFTER * 1000,  # milliseconds in which sent data may stay unacknowledged
        "keepalives_idle": DEAD_AFTER // 2,  # seconds without any data until a probe is sent
        "keepalives_interval": DEAD_AFTER // 4,
        "keepalives_count": 2,
    }
    return {name: value for name, value in settings.items() if name not in url.query}
