"""A driver's error as a sentence with a remedy; it shows no password, and no values of a statement."""

import re

from sqlalchemy.exc import DBAPIError, IntegrityError

from relay.model.errors import StoreError, StoreUnusable
from relay.runtime.secrets import hiding
from relay.store.address import Address

_RESTORE = "restore it from a backup, or move it away and let relay create a new one"

_SQLITE = {
    "SQLITE_NOTADB": ("is not an SQLite database", f"{_RESTORE}, or give relay another RELAY_DATABASE_URL"),
    "SQLITE_CORRUPT": ("is damaged", _RESTORE),
    "SQLITE_FULL": ("cannot grow: the disk is full", "free space on its disk"),
    "SQLITE_READONLY": ("cannot be written", "let relay's user write the file and its folder"),
    "SQLITE_PERM": ("may not be opened", "let relay's user read and write the file and its folder"),
    "SQLITE_CANTOPEN": ("cannot be opened", "let relay's user read and write the file and its folder"),
    "SQLITE_BUSY": ("is locked by another program", "stop the program that holds the lock"),
    "SQLITE_IOERR": ("cannot be read or written", "check its disk, and the limit on the size of files (ulimit -f)"),
}
"""By SQLite's result code, of which the extended ones are refinements (https://sqlite.org/rescode.html)."""

READ_ONLY = "25006"
"""The SQLSTATE of a server that takes no writes."""

_POSTGRESQL = {
    "08": ("cannot be reached", "check that it runs and that relay can reach it"),
    READ_ONLY: ("cannot be written", "give relay the primary, not a standby"),
    "28": ("rejects relay's login", "check user and password in RELAY_DATABASE_URL"),
    "3D": ("does not exist", "create it"),
    "42501": ("does not allow relay's statements", "make relay's user the owner of its schema"),
    "53100": ("cannot grow: the disk is full", "free space on its disk"),
    "53": ("is out of resources", "give it more resources, or fewer clients"),
    "55P03": ("is locked by another session", "stop the program that holds the lock"),
    "57": ("is shutting down or starting", "wait, or check why it does not start"),
    "58": ("reports a system error", "read its log"),
    "XX001": ("is damaged", _RESTORE),
    "XX002": ("is damaged", _RESTORE),
}
"""By SQLSTATE, else by its class (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

_UNREACHABLE = ("cannot be reached", "check that it runs, and check host, user and password in RELAY_DATABASE_URL")
_OTHER = ("failed", "read the database's log")
_TRANSIENT = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: PostgreSQL has rolled the transaction back and expects another try."""


def is_transient(error: DBAPIError) -> bool:
    """Return whether the same transaction may succeed at once: it was rolled back through no fault of its own."""
    state = _sqlstate(error)
    return (error.connection_invalidated and state != READ_ONLY) or state in _TRANSIENT


def is_failure_of_database(error: DBAPIError) -> bool:
    """Return whether another transaction would fail as well. Otherwise the database rejects this one's values."""
    return error.connection_invalidated or is_transient(error) or _known(error) is not _OTHER


def to_store_error(error: DBAPIError, address: Address) -> StoreError:
    """Return the error to raise instead: StoreUnusable, or StoreError if a constraint of the tables was violated."""
    database = address.name[0].upper() + address.name[1:]
    if isinstance(error, IntegrityError):
        return StoreError(f"{database} rejected a change that violates the constraint {violated_constraint(error)}.")
    what, remedy = _known(error)
    return StoreUnusable(f"{database} {what} ({_message(error, address)}): {remedy}.")


def violated_constraint(error: IntegrityError) -> str:
    """Return the name of the constraint that was violated. PostgreSQL's message also shows values; SQLite's none."""
    diagnosis = getattr(error.orig, "diag", None)
    return (diagnosis and diagnosis.constraint_name) or str(error.orig).splitlines()[0]


def _known(error: DBAPIError) -> tuple[str, str]:
    name = getattr(error.orig, "sqlite_errorname", None)
    if name:
        return next((words for code, words in _SQLITE.items() if name.startswith(code)), _OTHER)
    state = _sqlstate(error)
    if not state:
        reached = not error.connection_invalidated and not re.search("connect|resolve host", str(error.orig))
        return _OTHER if reached else _UNREACHABLE
    return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2]) or _OTHER


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _message(error: DBAPIError, address: Address) -> str:
    """The first line of the driver's message, which shows no values, without a secret of the address."""
    lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
    return hiding(address.secrets)(re.sub(r"\s+", " ", lines[0]).rstrip(".:"))
