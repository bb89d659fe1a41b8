"""Whether SQLite's files are still those that relay has open: the database, its write-ahead log and the log's index.

A program that deletes, moves or replaces one of them does not disturb SQLite, which continues with the files that it
has open. Data that is committed then is lost at the next start, or damages the files in their place
(https://sqlite.org/howtocorrupt.html, sections 2.4 and 3.4). Device and inode of a path tell which file it names. While
a file is open, no other file gets the same inode.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

import structlog

from relay.model.errors import StoreUnusable

log = structlog.get_logger("relay.store")

_HEADER_FORMAT: Final = slice(18, 20)
_ROLLBACK_JOURNAL: Final = b"\x01\x01"
"""Where the header of a database says how it is journaled, and what it says of a file without a write-ahead log
(https://sqlite.org/fileformat2.html#file_format_version_numbers)."""

_Identity = tuple[int, int] | None


class DatabaseFiles(NamedTuple):
    """The real file of an SQLite database, and what SQLite and relay put beside it, also if its path is a link."""

    database: Path
    log: Path
    log_index: Path
    lock: Path

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the files of the database at a path, whether they exist or not."""
        real = Path(os.path.realpath(path))  # `Path.resolve` fails where links form a loop
        return cls(real, *(real.with_name(f"{real.name}{end}") for end in ("-wal", "-shm", ".lock")))


class OpenFiles:
    """The files of one SQLite database as relay has opened them. `database` must exist, and not be open yet."""

    def __init__(self, database: Path) -> None:
        self._database = database
        _, self._log, self._index, _ = DatabaseFiles.at(database)
        self._opened = {database: _identity(database)}

    def remember_log(self) -> None:
        """Remember the log and its index; call this once SQLite has opened them, which is at its first write."""
        self._opened |= {path: _identity(path) for path in (self._log, self._index)}

    @property
    def inodes(self) -> Mapping[str, int]:
        """The files that are open, by their names without folders."""
        return {path.name: opened[1] for path, opened in self._opened.items() if opened is not None}

    def check(self) -> None:
        """Compare the files on disk with those that are open.

        Raises:
            StoreUnusable: one is missing, or another file is in its place; with what to do.
        """
        for path, opened in self._opened.items():
            if (now := _identity(path)) != opened:
                what = "is missing: it was deleted or moved" if now is None else "is another file: it was replaced"
                raise StoreUnusable(f"{path} {what} while relay had it open. {self._remedy()}")

    @property
    def log_can_be_saved(self) -> bool:
        """Whether only the log or its index is missing, so that the database can still take what the log holds."""
        return self._is_opened(self._database) and all(
            _identity(path) is None or self._is_opened(path) for path in (self._log, self._index)
        )

    def set_log_aside(self) -> None:
        """Rename the open log if another database is in the old one's place.

        SQLite would apply it to that database at the next start, and damage it.
        """
        if not self._is_opened(self._database) and _identity(self._database) is not None and self._is_opened(self._log):
            _set_aside(self._log)

    def _is_opened(self, path: Path) -> bool:
        return path in self._opened and self._opened[path] == _identity(path)

    def _remedy(self) -> str:
        if self._is_opened(self._database):
            return "To accept shares again, restart relay."
        return f"To accept shares again, put the right file or a backup at {self._database}, and restart relay."


def set_foreign_log_aside(database: Path) -> None:
    """Rename a log beside a database that has none, before the database is opened.

    A backup says in its header that it has no log. A log beside it belongs to the database that was there before.
    """
    if has_foreign_log(database):
        _set_aside(DatabaseFiles.at(database).log)


def has_foreign_log(database: Path) -> bool:
    """Whether the log beside a database belongs to another one that was there before."""
    files = DatabaseFiles.at(database)
    try:
        with files.database.open("rb") as file:
            has_no_log = file.read(_HEADER_FORMAT.stop)[_HEADER_FORMAT] == _ROLLBACK_JOURNAL
    except OSError:  # SQLite says what is wrong with it
        return False
    return has_no_log and _identity(files.log) is not None


def _set_aside(path: Path) -> None:
    aside = next(
        name for number in range(1_000_000) if not (name := path.with_name(f"{path.name}.foreign{number}")).exists()
    )
    path.rename(aside)
    detail = f"{path} belongs to another database than the one beside it; it is {aside.name} now."
    log.warning("log_set_aside", detail=detail)


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
