"""Checks the text of `RELAY_DATABASE_URL` before a parser sees it, and finds the secrets in it.

libpq reads `postgresql://relay:a@b/c@host/db` as the password `a` for the database `c@host/db` on host `b`, and shows
both in its messages. So an address is rejected here if a piece of a password could stand in another part of it. No
message repeats anything of the address.
"""

import re
from typing import Final
from urllib.parse import unquote

EXPECTED: Final = "expected sqlite:///relay.db, sqlite:////a/path/relay.db or postgresql://user:password@host/database"
ENCODE: Final = (
    "Special characters in user and password must be percent-encoded: "
    "@ as %40, : as %3A, / as %2F, ? as %3F, # as %23, & as %26, % as %25, a space as %20"
)

SECRET_PARAMETERS: Final = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
"""libpq's parameters with a secret (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS)."""

_POSTGRESQL: Final = re.compile(r"(?:postgres|postgresql|postgresql\+psycopg)://(?P<parts>.*)", re.DOTALL)
_PARTS: Final = re.compile(
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>(?:(?:\[[0-9A-Fa-f:.%]+\]|[\w.%-]*)(?::[0-9]*)?(?:,|(?=[/?]|$)))*)"  # with ports
    r"(?:/(?P<dbname>[^:@/?#]*))?"
    r"(?:\?(?P<parameters>[^@]*))?"
)
"""How libpq divides an address (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS)."""
_PORT_OR_BRACKET: Final = re.compile(r":[0-9]*(?=,|$)|[\[\]]")
_WRONG: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|[\s\x00-\x1f\x7f]")
_NAMES: Final = {
    "user": re.compile(r"[^:]*"),
    "dbname": re.compile(r"[^:@/?#]*"),
    "host": re.compile(r"(?:(?:[/@][^:,]*|[\w.-]*|[0-9A-Fa-f:.%]*)(?:,|$))*"),
    "hostaddr": re.compile(r"[0-9A-Fa-f:.%,]*"),
    "port": re.compile(r"[0-9,]*"),
}
"""What may be in the parts that libpq shows, decoded; a user that contains `:` contains a password, for example."""


def check_database_url(text: str) -> str:
    """Return the address.

    Raises:
        ValueError: it is of no supported database, or a special character in it is not percent-encoded.
    """
    if is_postgresql(text):
        wrong = any(not _NAMES[name].fullmatch(unquote(value)) for name, value in _parameters(text) if name in _NAMES)
        if wrong or "\ufffd" in unquote(text):  # %90 alone is no text
            raise ValueError(f"cannot be read; {EXPECTED}. {ENCODE}")
    elif not text.startswith("sqlite://"):
        raise ValueError(f"is not the address of a supported database; {EXPECTED}")
    return text


def is_postgresql(text: str) -> bool:
    """Return whether the address begins as one of PostgreSQL does."""
    return _POSTGRESQL.match(text) is not None


def secrets_in(text: str) -> tuple[str, ...]:
    """Return every secret of a checked address, as written and decoded.

    A password that is also a name in the same address is left out: if it were hidden everywhere else, it could be
    guessed.
    """
    parameters = _parameters(text) if is_postgresql(text) else []
    names = {unquote(value) for name, value in parameters if name in _NAMES}
    secrets = [value for name, value in parameters if name in SECRET_PARAMETERS and unquote(value) not in names]
    return tuple(dict.fromkeys(spelling for secret in secrets for spelling in (secret, unquote(secret)) if spelling))


def _parameters(text: str) -> list[tuple[str, str]]:
    """The parts of an address of PostgreSQL, by libpq's names for them; the values as they are written.

    Raises:
        ValueError: it cannot be divided.
    """
    beginning = _POSTGRESQL.match(text)
    parts = _PARTS.fullmatch(beginning["parts"]) if beginning and not _WRONG.search(text) else None
    if parts is None:
        raise ValueError(f"cannot be read; {EXPECTED}. {ENCODE}")
    pairs = [pair.partition("=") for pair in (parts["parameters"] or "").split("&") if pair]
    named = [(name, parts[name] or "") for name in ("user", "password", "dbname")]
    named.append(("host", _PORT_OR_BRACKET.sub("", parts["host"])))
    return named + [(unquote(name), value) for name, _, value in pairs]
