"""The file system under SQLite's file: a network would damage the database, and memory would lose it.

SQLite's write-ahead log needs memory that all its processes share, which no network file system offers, and locks,
which many only promise (https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html, section 2.1).
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from relay.model.errors import StoreUnusable

NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "coda"),
        *("ceph", "lustre", "gpfs", "beegfs", "glusterfs", "pvfs2", "acfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.juicefs", "fuse.JuiceFS"),
        *("fuse.moosefs", "fuse.mfs", "fuse.seaweedfs", "fuse.davfs", "fuse.davfs2", "fuse.curlftpfs"),
        *("fuse.s3fs", "fuse.mountpoint-s3", "fuse.goofys", "fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2"),
        *("fuse.rclone", "fuse.alluxio-fuse", "fuse.smbnetfs", "fuse.nfs", "fuse.afp"),
    }
)
"""The types of file systems whose files lie on another machine, as Linux names them in /proc/self/mountinfo."""

VOLATILE: Final = {
    "tmpfs": "in memory",
    "ramfs": "in memory",
    "overlay": "inside the container",
    "fuse.fuse-overlayfs": "inside the container",
}
"""The types whose files are gone when the machine or the container ends, and where the files are."""

KEEP_IT: Final = "Put the database into a folder or a volume that stays, or use PostgreSQL (docs/setup.md, Database)."
"""The remedy where the database is on one of these."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def file_system_at(path: Path) -> str:
    """Return the type of the file system that holds `path`, or would hold it; empty if the system does not say."""
    with suppress(OSError, RuntimeError):  # links that form a loop, before Python 3.13
        return find_file_system(path.resolve(), _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    return ""


def find_file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds a path without links, by the text of /proc/self/mountinfo.

    The deepest mount point above the path counts, and the newest of several there, which is the last one
    (https://docs.kernel.org/filesystems/proc.html, section 3.5).
    """
    depth, found = 0, ""
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(_unescape((mount.split(" ") + [""] * _FIELDS)[_POINT]))
        if path.is_relative_to(point) and len(point.parts) >= depth:
            depth, found = len(point.parts), source.partition(" ")[0]
    return found


def reject_network(path: Path, kind: str) -> None:
    """Reject a database on a network file system. Raises StoreUnusable, with what to do."""
    if kind in NETWORK:
        raise StoreUnusable(
            f"The SQLite database {path} is on a network file system ({kind}), where SQLite can lose or damage it: "
            "put it on a disk of this machine, or use PostgreSQL. To use it nevertheless, set "
            "RELAY_NETWORK_FILE_SYSTEM=allow."
        )


_FIELDS: Final = 5
_POINT: Final = 4
"""The field of a mount point in a line, which has at least so many before the ` - `."""


def _unescape(text: str) -> str:
    """Spaces, tabs, line breaks and backslashes are written as octal numbers."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
