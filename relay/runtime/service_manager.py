"""Tells systemd how relay is doing, where relay is a unit of `Type=notify`; elsewhere nothing.

Each message is one datagram of `NAME=value` lines to the socket that NOTIFY_SOCKET names
(https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NoReturn, Self

from relay.runtime.clock import Clock

_ABSTRACT: Final = "@"
"""The first character of an address that is not a file; the kernel's own form begins with a zero byte."""


class ServiceManager:
    """The service manager that has started relay; without an address there is none, and every message is dropped."""

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        """`watchdog_seconds` is how long relay may be silent before it is killed and started again."""
        self._address = address
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Find the service manager in the environment that it has given to relay."""
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "")
        limit = int(microseconds) / 1e6 if meant and microseconds.isdecimal() and int(microseconds) else None
        return cls(environ.get("NOTIFY_SOCKET", ""), limit)

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
