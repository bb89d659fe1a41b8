"""Parses `RELAY_DATABASE_URL`, and names the database in sentences without its user and without a secret.

libpq itself reads the addresses of PostgreSQL, so that every form works that it documents: several hosts, parameters,
service files, Unix sockets (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from relay.config.database_url import ENCODE, EXPECTED, check_database_url, is_postgresql, secrets_in
from relay.model.errors import StoreUnusable

DEAD_AFTER: Final = 20
"""Seconds after which relay gives up the connection to a PostgreSQL that has vanished (power, network).

By default the operating system waits for a quarter of an hour, and for two hours if nothing is being sent.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the database is. `path` is SQLite's file; None for PostgreSQL, which has `parameters` of libpq."""

    path: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of the database in sentences."""
        if self.path is not None:
            return f"the SQLite database {self.path}"
        what = " ".join(filter(None, ["the PostgreSQL database", self.parameters.get("dbname")]))
        where = " or ".join(_servers(self.parameters))
        if service := self.parameters.get("service"):
            what += f" of the service {service}"
        return f"{what} on {where}" if where else what


def parse_database_url(text: str) -> Address:
    """Parse the URL of a database.

    Raises:
        StoreUnusable: relay cannot use this URL.
    """
    try:
        check_database_url(text)
    except ValueError as error:
        raise StoreUnusable(f"RELAY_DATABASE_URL {error}.") from error
    return _postgresql(text) if is_postgresql(text) else _sqlite(text)


def _sqlite(text: str) -> Address:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.host or url.password or url.username or not url.database or url.database == ":memory:":
        raise StoreUnusable(f"RELAY_DATABASE_URL names no file for SQLite; {EXPECTED}.")
    return Address(path=Path(url.database).absolute())


def _postgresql(text: str) -> Address:
    from psycopg import OperationalError, pq  # noqa: PLC0415  not where SQLite is used

    url = f"postgresql://{text.partition('://')[2]}"
    try:
        options = pq.Conninfo.parse(url.encode())
    except OperationalError:
        # libpq's message repeats a piece of the address, which may be a secret. So does the traceback of its error.
        reason = f"contains a parameter that libpq does not know, or a value that it cannot read; {EXPECTED}. {ENCODE}"
        raise StoreUnusable(f"RELAY_DATABASE_URL {reason}.") from None
    parameters = {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}
    return Address(parameters=parameters, secrets=secrets_in(text))


def _servers(parameters: Mapping[str, str]) -> list[str]:
    """The servers, each with its port if one is given: one port may apply to all."""
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "").split(",")
    ports = parameters.get("port", "").split(",")
    pairs = zip_longest(hosts, ports, fillvalue=ports[0] if len(ports) == 1 else "")
    return [f"{host} (port {port})" if port else host for host, port in pairs if host]


def connection_parameters(address: Address) -> dict[str, Any]:
    """Return the arguments for a connection to PostgreSQL: those of the address, and relay's where it has none.

    Relay changes the database, so it needs the server that takes writes if there are several. It prepares no
    statements: a pooler such as PgBouncer gives each transaction another session, which does not have them.
    """
    settings: dict[str, Any] = {
        "connect_timeout": 10,
        "application_name": "relay",
        "tcp_user_timeout": DEAD_AFTER * 1000,  # milliseconds in which sent data may stay unacknowledged
        "keepalives_idle": DEAD_AFTER // 2,  # seconds without any data until a probe is sent
        "keepalives_interval": DEAD_AFTER // 4,
        "keepalives_count": 2,
    }
    if "," in address.parameters.get("host", ""):
        settings["target_session_attrs"] = "read-write"
    return {**settings, **address.parameters, "prepare_threshold": None}
