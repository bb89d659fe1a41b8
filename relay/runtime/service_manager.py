"""Tells systemd how relay is doing, if relay is a unit of `Type=notify`, and takes over the sockets of its `.socket`.

Each message is one datagram of `NAME=value` lines to the socket that NOTIFY_SOCKET names
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html). The sockets are open files from 3 on
(https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html): systemd keeps them open while relay
restarts, so that connections wait meanwhile and none is refused.
"""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NoReturn, Self

from relay.runtime.clock import Clock

_ABSTRACT: Final = "@"
"""The first character of an address that is not a file; the kernel's own form begins with a zero byte."""


_FIRST_SOCKET: Final = 3
"""The number of the first open file that is such a socket."""


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdecimal() else 0


class ServiceManager:
    """The service manager that has started relay; without an address there is none, and every message is dropped."""

    def __init__(
        self, address: str = "", watchdog_seconds: float | None = None, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """`watchdog_seconds` is how long relay may be silent before it is killed and started again.

        `sockets` are those that it has opened for relay.
        """
        self._address = address
        self.watchdog_seconds = watchdog_seconds
        self.sockets = sockets

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Find the service manager in the environment that it has given to relay."""
        own = str(os.getpid())
        microseconds = _number(environ, "WATCHDOG_USEC") if environ.get("WATCHDOG_PID", own) == own else 0
        count = _number(environ, "LISTEN_FDS") if environ.get("LISTEN_PID") == own else 0
        sockets = [socket.socket(fileno=number) for number in range(_FIRST_SOCKET, _FIRST_SOCKET + count)]
        for each in sockets:
            each.set_inheritable(False)
        return cls(environ.get("NOTIFY_SOCKET", ""), microseconds / 1e6 or None, sockets)

    def ready(self, status: str) -> None:
        """Relay accepts shares, or has finished a reload; `systemctl status` shows the status."""
        self._notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Relay was asked to read its configuration again; `ready` follows."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Relay was asked to stop, and finishes its open work."""
        self._notify("STOPPING=1", "STATUS=finishes open work, and stops")

    async def feed_watchdog(self, clock: Clock) -> NoReturn:
        """Show that the event loop is alive, twice in every time limit, until cancelled."""
        while True:
            self._notify("WATCHDOG=1")
            await clock.sleep((self.watchdog_seconds or 0.0) / 2)

    def _notify(self, *lines: str) -> None:
        """Send a message. It never waits, and never fails: relay works as well if nobody receives it."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith(_ABSTRACT) else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.settimeout(0)
            sending.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), address)
