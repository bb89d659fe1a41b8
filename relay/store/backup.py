"""Copies the SQLite database while relay runs: one consistent state, in one file, checked before it gets its name.

SQLite's online backup reads in one transaction. In WAL mode this blocks no writer. The transaction stays open over all
steps, so what is committed meanwhile neither enters the copy nor makes it start again
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
from relay.store.address import parse_database_url
from relay.store.database import missing_database
from relay.store.file_lock import inodes_of_holder
from relay.store.migration import VERSION_TABLE
from relay.store.open_files import DatabaseFiles, has_foreign_log
from relay.store.restore import INSERT_MARK

PAGES = 4096
"""Pages copied between two reports of progress: 16 MB."""

Progress = Callable[[int, int], None]
"""Called with the number of pages copied, and of all pages."""


class BackupSummary(NamedTuple):
    """What a backup contains: its size, and how many incidents and shares."""

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
    """Copy the SQLite database at `url` to the file `target`, which appears only when it is complete.

    The copy is marked with its time, `now` (Unix seconds). A relay that serves it later searches Slack for what was
    sent since, before it posts anything.

    Raises StoreUnusable: there is no such database, it is not relay's, it is not the one that the running relay has
    open, or it is PostgreSQL; `target` exists (unless `overwrite`), is the database itself, or cannot be written; or
    the copy is damaged.
    """
    source = _source(url)
    _check_source(source)
    target = target.absolute()
    _check_target(source, target, overwrite=overwrite)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with _errors_as_sentences(source, target):
            # Only the owner may read the copy, from its first byte on: it holds the text of all alerts.
            os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            _copy(source, partial, progress, int(now()))
            _check_source(source)  # it may have been replaced meanwhile
            summary = _check_copy(partial)
            _publish(partial, target, overwrite=overwrite)
            return summary
    finally:
        for left in (partial, Path(f"{partial}-journal")):
            with suppress(OSError):
                left.unlink()


def _source(url: str) -> Path:
    address = parse_database_url(url)
    if address.path is None:
        raise StoreUnusable(f"relay does not copy {address.name}: use pg_dump, which works while relay runs.")
    if lost := missing_database(address.path):
        raise StoreUnusable(lost)
    if not address.path.is_file():
        raise StoreUnusable(
            f"There is no SQLite database at {address.path}: set RELAY_DATABASE_URL to the database of relay."
        )
    return address.path


def _check_source(source: Path) -> None:
    """Make sure that the files are those that a running relay has open, and belong together.

    A copy of other files would lack the data that relay stored in deleted, moved or replaced ones. SQLite would
    also apply their log to the database that came instead.
    """
    if has_foreign_log(source):
        log = DatabaseFiles.at(source).log
        raise StoreUnusable(
            f"{log} belongs to another database than {source}: start relay, which renames it, and then back up."
        )
    for path in (source, DatabaseFiles.at(source).database):  # a link may have come in place of the file
        for name, inode in inodes_of_holder(path.with_name(f"{path.name}.lock")).items():
            file = path.with_name(name)
            if not file.exists() or file.stat().st_ino != inode:
                raise StoreUnusable(
                    f"{file} is not the file that the running relay has open: it was deleted, moved or replaced, so a "
                    f"copy would lack what relay has stored since. Put the right file or a backup at {source} and "
                    "restart relay, then back up."
                )


def _check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    if not target.parent.is_dir():
        raise StoreUnusable(f"The folder {target.parent} does not exist: create it, or name another file.")
    if DatabaseFiles.at(target).database in DatabaseFiles.at(source):
        raise StoreUnusable(f"{target} is the database itself, or belongs to it: name another file.")
    if target.exists() and not (overwrite and target.is_file()):
        raise StoreUnusable(f"{target} exists already: name another file, or add --overwrite.")


@contextmanager
def _errors_as_sentences(source: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise StoreUnusable(f"{target} exists already: name another file, or add --overwrite.") from error
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreUnusable(
            f"{source} could not be copied to {target} ({reason}): check that there is space, that relay can "
            "read and write both, and that the database is not damaged."
        ) from error


def _copy(source: Path, partial: Path, progress: Progress | None, started_at: int) -> None:
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
            writer.execute(INSERT_MARK, [started_at])
        writer.execute("PRAGMA journal_mode = DELETE")  # the copy is one file, without a log beside it


def _check_copy(partial: Path) -> BackupSummary:
    """Read the whole copy, as a restore will have to."""
    with closing(sqlite3.connect(f"file:{_quoted(partial)}?mode=ro", uri=True)) as copy:
        [[result]] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if result != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {result}")
        if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [VERSION_TABLE]).fetchone():
            raise sqlite3.DatabaseError("it has no tables of relay")
        [[incidents, shares]] = copy.execute("SELECT (SELECT count(*) FROM incident), (SELECT count(*) FROM share)")
    return BackupSummary(partial.stat().st_size, incidents, shares)


def _publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    """Sync the copy, then rename it: a power cut leaves the old backup or the new one, never half of one."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    if not overwrite:
        target.touch(mode=0o600, exist_ok=False)  # it may have been created meanwhile
    partial.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _quoted(path: Path) -> str:
    """A path in an SQLite URI (https://sqlite.org/uri.html)."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
