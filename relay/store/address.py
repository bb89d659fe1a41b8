"""`RELAY_DATABASE_URL` as relay understands it, and the name of its database in sentences: never with a password."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from relay.model.errors import StoreUnusable

EXPECTED = "expected sqlite:///relay.db, sqlite:////a/path/relay.db or postgresql://user:password@host/database"

CUT_OFF = 20
"""Seconds after which the connection to a PostgreSQL that has vanished (power, network) is given up, and made anew.

Without it the operating system waits for a quarter of an hour, and for two hours where nothing is being sent.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is: `path` is SQLite's file, None for PostgreSQL."""

    url: URL
    path: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        if self.path is not None:
            return f"the SQLite database {self.path}"
        return f"the PostgreSQL database {self.url.render_as_string(hide_password=True)}"


def parse_database_url(text: str) -> Address:
    """The address that a URL stands for.

    Raises:
        StoreUnusable: it is none that relay can use.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text itself may be a secret with a slip in it, so neither it nor the error's own words are repeated.
        raise StoreUnusable(f"RELAY_DATABASE_URL cannot be read as a URL: {EXPECTED}.") from error
    match url.drivername:
        case "sqlite":
            return _sqlite(url)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return Address(url=url.set(drivername="postgresql+psycopg"))
        case other:
            raise StoreUnusable(f"RELAY_DATABASE_URL begins with {other!r}, which relay does not know: {EXPECTED}.")


def connection_settings(url: URL) -> dict[str, str | int]:
    """How relay connects to PostgreSQL, but for what the URL itself settles.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    settled: dict[str, str | int] = {
        "connect_timeout": 10,
        "application_name": "relay",
        "tcp_user_timeout": CUT_OFF * 1000,  # milliseconds: what was sent is not acknowledged
        "keepalives_idle": CUT_OFF // 2,  # nothing is sent, and no answer comes
        "keepalives_interval": CUT_OFF // 4,
        "keepalives_count": 2,
    }
    return {name: value for name, value in settled.items() if name not in url.query}


def _sqlite(url: URL) -> Address:
    if url.host or not url.database or url.database == ":memory:":
        raise StoreUnusable(f"RELAY_DATABASE_URL names no file for SQLite: {EXPECTED}.")
    path = Path(url.database).absolute()
    return Address(url=URL.create("sqlite", database=str(path)), path=path)
