"""A copy of the SQLite database while relay runs: one state of it, in one file, checked before it gets its name.

SQLite's online backup reads in one transaction of its own. In WAL mode that holds up nobody who writes, and since the
transaction stays open over all steps, what is committed meanwhile neither enters the copy nor makes it begin again
(https://sqlite.org/c3ref/backup_finish.html).
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from relay.model.errors import StoreUnusable
from relay.store import address as addresses
from relay.store.migration import VERSION_TABLE
from relay.store.restore_detection import MARK

PAGES = 4096
"""Pages copied between two reports of progress: 16 MB."""

_COUNTED = ("incident", "share")

Progress = Callable[[int, int], None]
"""Told how many pages are copied, and of how many."""


class BackupSummary(NamedTuple):
    """What a backup holds: its bytes, and how many incidents and shares."""

    size_bytes: int
    incidents: int
    shares: int


def backup(
    url: str,
    target: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    now: Callable[[], float] = time.time,
) -> BackupSummary:
    """Copy the SQLite database at `url` into the file `target`, which appears when it is whole, and not before.

    The copy bears the moment at which it was made, by `now` (Unix seconds): whoever serves it later looks in Slack for
    what was sent since before sending it.

    Raises:
        StoreUnusable: there is no such database, it is none of relay's, or it is PostgreSQL; `target` is there already
            (unless `overwrite`), is the database itself, or cannot be written; or the copy is not sound.
    """
    source = _source(url)
    target = target.absolute()
    _refuse(source, target, overwrite=overwrite)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with _told(source, target):
            _make(partial)
            _copy(source, partial, progress, int(now()))
            copied = _look(partial)
            _give_name(partial, target, overwrite=overwrite)
            return copied
    finally:
        for left in (partial, Path(f"{partial}-journal")):
            with suppress(OSError):
                left.unlink()


def _source(url: str) -> Path:
    address = addresses.parse_database_url(url)
    if address.path is None:
        raise StoreUnusable(f"{address.name} is not copied by relay: use pg_dump, which does so while relay runs.")
    if not address.path.is_file():
        raise StoreUnusable(f"There is no SQLite database at {address.path}: set RELAY_DATABASE_URL to relay's.")
    return address.path


def _refuse(source: Path, target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise StoreUnusable(f"The folder {target.parent} does not exist: create it, or name another file.")
    file = source.resolve()
    if target.resolve() in {file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm", ".lock")}:
        raise StoreUnusable(f"{target} is the database itself, or belongs to it: name another file.")
    if target.exists() and not (overwrite and target.is_file()):
        raise StoreUnusable(f"{target} is there already: name another file, or say --overwrite.")


@contextmanager
def _told(source: Path, target: Path) -> Iterator[None]:
    """Whatever goes wrong, as a sentence with both names in it."""
    try:
        yield
    except FileExistsError as error:
        raise StoreUnusable(f"{target} is there already: name another file, or say --overwrite.") from error
    except (OSError, sqlite3.Error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreUnusable(
            f"{source} could not be copied to {target} ({said}): see that there is room, that both can be read and "
            "written, and that the database is sound."
        ) from error


def _make(partial: Path) -> None:
    """Alerts are nobody else's business, so the copy is its owner's alone from its first byte on."""
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _copy(source: Path, partial: Path, progress: Progress | None, begun: int) -> None:
    def report(_status: int, left: int, total: int) -> None:
        if progress is not None:
            progress(total - left, total)

    with (
        closing(sqlite3.connect(f"file:{_quoted(source)}?mode=rw", uri=True, isolation_level=None)) as reader,
        closing(sqlite3.connect(partial, isolation_level=None)) as writer,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the transaction begins with its first read
        reader.backup(writer, pages=PAGES, progress=report)
        if writer.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease'").fetchone():
            writer.execute(MARK, [begun])
        writer.execute("PRAGMA journal_mode = DELETE")  # the copy is one file, without a log beside it


def _look(partial: Path) -> BackupSummary:
    """Read the copy from end to end, as whoever restores it will have to."""
    with closing(sqlite3.connect(f"file:{_quoted(partial)}?mode=ro", uri=True)) as copy:
        [[verdict]] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is not sound: {verdict}")
        if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [VERSION_TABLE]).fetchone():
            raise sqlite3.DatabaseError("it holds nothing of relay's")
        [incidents], [shares] = (copy.execute(f"SELECT count(*) FROM {table}").fetchone() for table in _COUNTED)  # noqa: S608  names of our own
    return BackupSummary(partial.stat().st_size, incidents, shares)


def _give_name(partial: Path, target: Path, *, overwrite: bool) -> None:
    """To the disk first, then under its name: a power cut leaves the old backup or the new one, never half of one."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    if not overwrite:
        target.touch(mode=0o600, exist_ok=False)  # somebody may have made it meanwhile
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _quoted(path: Path) -> str:
    """A path within an SQLite URI (https://sqlite.org/uri.html)."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
