"""How many files this process may have open: each connection is one, and so is each file that relay reads."""

import resource

from relay.server.connections import ConnectionLimits

WANTED_FILES = 4096
"""Files for the most connections, and for all else."""

OTHER_FILES = 128
"""Files that are not connections of this server: the database, connections to Slack and BigPanda, what is read."""


def raise_file_limit() -> None:
    """Raise the soft limit of open files, as far as the hard limit allows and relay needs.

    Many systems start a service with a soft limit of 1024, for programs that use select(2), and a far higher hard limit
    (https://0pointer.net/blog/file-descriptor-limits.html).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limits() -> ConnectionLimits:
    """Return the limits of connections that this process's files allow.

    The whole backlog may be accepted at once, before relay can close as many other connections; and again meanwhile.
    """
    default = ConnectionLimits()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return default
    files = max(soft - OTHER_FILES, soft // 2)
    backlog = min(default.backlog, files // 3)
    return ConnectionLimits(most=min(default.most, files - 2 * backlog), backlog=backlog)
