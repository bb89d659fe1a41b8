"""What a driver complains of, as a sentence with a remedy; it tells no password, and no values of a statement."""

import re

from sqlalchemy.exc import DBAPIError, IntegrityError

from relay.model.errors import StoreError, StoreUnusable
from relay.store.address import Address

_RESTORE = "restore it from a backup, or move it away and let relay begin anew"

_SQLITE = {
    "SQLITE_NOTADB": ("is not an SQLite database", f"{_RESTORE}, or give relay another RELAY_DATABASE_URL"),
    "SQLITE_CORRUPT": ("is damaged", _RESTORE),
    "SQLITE_FULL": ("cannot grow: the disk is full", "make room on its disk"),
    "SQLITE_READONLY": ("cannot be written", "let relay's user write the file and its folder"),
    "SQLITE_PERM": ("may not be opened", "let relay's user read and write the file and its folder"),
    "SQLITE_CANTOPEN": ("cannot be opened", "let relay's user read and write the file and its folder"),
    "SQLITE_BUSY": ("is locked by another program", "end what holds it for so long"),
    "SQLITE_IOERR": ("cannot be read or written", "look after its disk"),
}
"""By SQLite's result code, of which the extended ones are refinements (https://sqlite.org/rescode.html)."""

_POSTGRESQL = {
    "08": ("cannot be reached", "see that it runs and that relay's network leads there"),
    "25006": ("cannot be written", "give relay the primary, not a standby"),
    "28": ("does not let relay in", "check user and password in RELAY_DATABASE_URL"),
    "3D": ("does not exist", "create it"),
    "42501": ("does not allow what relay does", "let relay's user own its schema"),
    "53100": ("cannot grow: the disk is full", "make room on its disk"),
    "53": ("is out of resources", "give it more, or relay fewer neighbours"),
    "55P03": ("is locked by another session", "end what holds it for so long"),
    "57": ("is shutting down or starting", "wait, or see why it does not come up"),
    "58": ("reports a fault of its machine", "read its log"),
    "XX001": ("is damaged", _RESTORE),
    "XX002": ("is damaged", _RESTORE),
}
"""By SQLSTATE, else by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

_UNREACHABLE = ("cannot be reached", "see that it runs, and check host, user and password in RELAY_DATABASE_URL")
_ANYTHING = ("did not do what relay asked of it", "read the database's log")
_PASSING = frozenset({"40001", "40P01"})
"""Serialisation failure and deadlock: PostgreSQL has undone the transaction and means it to be tried again."""


def passing(error: DBAPIError) -> bool:
    """Whether the same transaction may well succeed at once: it was undone, and not for its own fault."""
    return error.connection_invalidated or _sqlstate(error) in _PASSING


def complaint(error: DBAPIError, address: Address) -> StoreError:
    """The error to raise in the driver's stead: StoreUnusable, or StoreError where a rule of the tables was broken."""
    if isinstance(error, IntegrityError):
        return StoreError(f"{_opening(address)} refused what would break its rules: {_rule(error)}.")
    what, remedy = _known(error)
    return StoreUnusable(f"{_opening(address)} {what} ({_said(error, address)}): {remedy}.")


def _opening(address: Address) -> str:
    return address.name[0].upper() + address.name[1:]


def _known(error: DBAPIError) -> tuple[str, str]:
    name = getattr(error.orig, "sqlite_errorname", None)
    if name:
        return next((words for code, words in _SQLITE.items() if name.startswith(code)), _ANYTHING)
    state = _sqlstate(error)
    if not state:
        return _UNREACHABLE if error.connection_invalidated or "connect" in str(error.orig) else _ANYTHING
    return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2]) or _ANYTHING


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _said(error: DBAPIError, address: Address) -> str:
    """The driver's own words, but only the first line, which holds no values, and without the password."""
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    said = re.sub(r"\s+", " ", lines[0]).rstrip(".:")
    password = address.url.password
    return "the driver's words contain the password" if password and str(password) in said else said


def _rule(error: IntegrityError) -> str:
    """The constraint that was to be broken. PostgreSQL's words name it but show the values too; SQLite's hold none."""
    diagnosis = getattr(error.orig, "diag", None)
    return (diagnosis and diagnosis.constraint_name) or str(error.orig).splitlines()[0]
