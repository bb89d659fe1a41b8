"""One relay for one SQLite file: a lock of the operating system beside it, which ends with its process."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from relay.model.errors import StoreInUse, StoreUnusable
from relay.store.open_files import DatabaseFiles

_LONGEST: Final = 4096
"""Bytes of the lock file that are read."""


class FileLock:
    """A held lock. Its file stays after the release: without it, two relays could lock two files of one name."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, database: Path) -> Self:
        """Lock `<database>.lock`, and write the process id into it.

        Raises:
            StoreInUse: another process holds it.
            StoreUnusable: the file cannot be created.
        """
        # Beside the real file, as SQLite's log is: a second relay finds the lock even if it opens the file by a link.
        path = DatabaseFiles.at(database).lock
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnusable(
                f"The lock file {path} cannot be written ({error.strerror}): let relay's user write in {path.parent}, "
                "or give relay another RELAY_DATABASE_URL."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder, _ = _read(descriptor)
            os.close(descriptor)
            raise StoreInUse(
                f"Another relay{f' (process {holder})' if holder else ''} has the SQLite database {database} open: "
                "stop it first, or use PostgreSQL, which several relays can share."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def record(self, inodes: Mapping[str, int]) -> None:
        """Write down which files the holder has open, by their names, for other programs that open them."""
        lines = [f"{os.getpid()}", *(f"{inode} {name}" for name, inode in inodes.items())]
        content = ("\n".join(lines) + "\n").encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def inodes_of_holder(lock: Path) -> Mapping[str, int]:
    """Return which files the relay that holds a lock has open, by their names; empty if nobody holds it."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _read(descriptor)[1]
    else:
        return {}
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> tuple[str, Mapping[str, int]]:
    """The holder's process id, and the files that it has open."""
    holder, *lines = os.pread(descriptor, _LONGEST, 0).decode(errors="replace").split("\n")
    files = (line.partition(" ") for line in lines)
    return holder.strip(), {name: int(inode) for inode, _, name in files if inode.isdecimal() and name}
