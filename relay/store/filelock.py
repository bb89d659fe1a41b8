"""One relay for one SQLite file: an operating-system lock beside it, which dies with its process."""

import fcntl
import os
from pathlib import Path
from typing import Self

from relay.model.errors import StoreInUse, StoreUnusable


class FileLock:
    """A held lock. The file stays when it is let go: removing it would let two relays hold two files of one name."""

    def __init__(self, descriptor: int) -> None:
        """Own an open file that is locked."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, database: Path) -> Self:
        """Lock `<database>.lock`, and write into it who holds it.

        Raises:
            StoreInUse: another process holds it.
            StoreUnusable: the file cannot be made.
        """
        # Beside the file itself, as SQLite's own log is: by whichever name or link a second relay comes, it is locked.
        file = database.resolve()
        path = file.with_name(file.name + ".lock")
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
        """Let it go."""
        os.close(self._descriptor)
