"""systemd gets each message as one datagram, and relay never waits for it."""

import asyncio
import os
import socket

import pytest

from relay.runtime import service_manager
from relay.runtime.clock import Clock
from relay.runtime.service_manager import ServiceManager


class Receiver:
    """The service manager's side: a datagram socket at an address as NOTIFY_SOCKET names it."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(0)

    def received(self):
        """The lines of each message that has arrived."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages


@pytest.fixture(params=["file", "abstract"])
def receiver(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the address of a socket has at most 107 bytes
    receiver = Receiver("notify" if request.param == "file" else f"@relay-test-{os.getpid()}-{tmp_path.name}")
    yield receiver
    receiver.socket.close()


def test_each_message_is_one_datagram(receiver):
    manager = ServiceManager.from_env({"NOTIFY_SOCKET": receiver.address})
    manager.ready("accepts\nshares")
    manager.reloading()
    manager.stopping()
    ready, (reloading, since), stopping = receiver.received()
    assert ready == ["READY=1", "STATUS=accepts shares"]
    assert (reloading, since.partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
    assert stopping[0] == "STOPPING=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    ServiceManager.from_env({}).ready("accepts shares")


@pytest.mark.parametrize("address", ["missing/socket", "@nobody-is-here", "x" * 200, "notify\0socket"])
def test_a_service_manager_that_cannot_be_reached_stops_nothing(address):
    ServiceManager(address).ready("accepts shares")


def test_a_service_manager_that_does_not_read_blocks_nothing(receiver):
    manager = ServiceManager(receiver.address)
    for _ in range(10_000):
        manager.ready("accepts shares")
    assert 0 < len(receiver.received()) < 10_000


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_the_time_limit_counts_only_for_the_process_that_systemd_started(environ, seconds):
    assert ServiceManager.from_env(environ).watchdog_seconds == seconds


async def test_the_watchdog_is_notified_twice_in_each_time_limit(receiver):
    class ThreePauses(Clock):
        paused: tuple[float, ...] = ()

        async def sleep(self, seconds):
            self.paused += (seconds,)
            if len(self.paused) == 3:
                raise asyncio.CancelledError

    clock = ThreePauses()
    with pytest.raises(asyncio.CancelledError):
        await ServiceManager(receiver.address, 60.0).feed_watchdog(clock)
    assert receiver.received() == [["WATCHDOG=1"]] * 3
    assert clock.paused == (30.0,) * 3


def test_the_sockets_of_the_unit_are_taken_over_and_not_passed_on(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        monkeypatch.setattr(service_manager, "_FIRST_SOCKET", opened.fileno())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        [taken] = ServiceManager.from_env(environ).sockets
        assert taken.getsockname() == opened.getsockname()
        assert not taken.get_inheritable()
        taken.detach()  # `opened` closes it


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "2"}, {"LISTEN_FDS": "2", "LISTEN_PID": "1"}])
def test_open_files_of_another_process_are_left_alone(environ):
    assert list(ServiceManager.from_env(environ).sockets) == []
