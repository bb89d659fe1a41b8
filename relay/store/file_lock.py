"""One relay for one SQLite file: a lock of the operating system beside it, which ends with its process."""

import fcntl
import os
from pathlib import Path
from typing import Self

from relay.model.errors import StoreInUse, StoreUnusable
from relay.store.open_files import DatabaseFiles


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
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise StoreInUse(
                f"Another relay{f' (process {holder})' if holder else ''} has the SQLite database {database} open: "
                "stop it first, or use PostgreSQL, which several relays can share."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)
