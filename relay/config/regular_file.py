"""Read a small, regular file: no pipe or device, from which one could read without end or wait for ever."""

import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def read_regular_file(path: Path, most: int) -> bytes:
    """Return the content of a file, which may be a link to one.

    Raises:
        OSError: it cannot be read, or is not a regular file, or has more than `most` bytes.
    """
    _require_regular(path.stat())  # before it is opened: to open a device may do something, and a FIFO waits
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        _require_regular(os.fstat(file.fileno()))  # it may have been replaced meanwhile
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"larger than {most // 1024} KiB, the limit for such a file")
    return content


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(f"{kind}, not a regular file")
