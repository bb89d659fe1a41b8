"""The real process stops within ten seconds, whatever hangs, and loses no accepted share."""

import asyncio
import ctypes
import fcntl
import os
import socket
import sqlite3
import struct
import subprocess
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.support.intervals import intervals
from tests.support.postgres import frozen, postgresql, shared_server
from tests.support.relay_process import running
from tests.support.stop_limits import KILLED_AFTER, with_stop_limits

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000  # unshare(2)
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
UNSHARE = ("unshare", "--map-root-user", "--mount", "--net")


async def stop_in_time(relay, within=KILLED_AFTER):
    """Stop relay, and check that it ends in time."""
    await relay.stop_within(within)
    await relay.line("stopped")


def unclosed_database_lines(relay):
    return [line for line in relay.logged if line["event"] == "database_not_closed"]


async def share(relay, incident):
    return (await relay.share({"incident": {"id": incident, "status": "critical"}})).status


async def test_an_idle_relay_stops_at_once_and_closes_its_database(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "i1") == 202
        await stop_in_time(relay)
        assert not unclosed_database_lines(relay)
    assert not (folder / "relay.db-wal").exists()


@with_stop_limits
async def test_a_locked_database_does_not_delay_the_stop(folder, slack, limits):
    async with running(folder, slack.url, prepare=intervals(limits.intervals)) as relay:
        assert await share(relay, "kept") == 202
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(share(relay, "cut off"))
            for _ in range(10):  # by then relay has read the share and waits for the database
                assert (await relay.get("/healthz"))[0] == 200
            await stop_in_time(relay, limits.seconds)
            [answer] = await asyncio.gather(waiting, return_exceptions=True)
            assert answer != 202
        assert len(unclosed_database_lines(relay)) == 1
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        assert ("kept",) in database.execute("SELECT id FROM incident").fetchall()
    async with running(folder, slack.url) as relay:
        assert await share(relay, "after") == 202


@with_stop_limits
async def test_a_frozen_postgresql_does_not_delay_the_stop(folder, slack, limits):
    with postgresql() as url:
        async with running(folder, slack.url, prepare=intervals(limits.intervals), RELAY_DATABASE_URL=url) as relay:
            assert await share(relay, "kept") == 202
            with frozen(shared_server()):
                await stop_in_time(relay, limits.seconds)
                assert len(unclosed_database_lines(relay)) == 1
        with psycopg.connect(url) as database:
            assert database.execute("SELECT id FROM incident").fetchall() == [("kept",)]


LOGGED = [f"i{number:0250}" for number in range(500)]
"""Incidents whose shares make more lines than the pipe and its reader buffer."""


async def share_all(relay):
    """Share the incidents, and check that all are accepted."""
    for start in range(0, len(LOGGED), 50):
        assert {202} == set(await asyncio.gather(*(share(relay, each) for each in LOGGED[start : start + 50])))


async def test_a_log_that_is_not_read_blocks_nothing_and_loses_no_line(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await share_all(relay)
        assert (await relay.get("/healthz"))[0] == 200
        assert len(relay.logged) < 100
        relay.reads_log.set()
        logged_incidents = lambda: [line["incident"] for line in relay.logged if line.get("event") == "share_stored"]  # noqa: E731
        await relay.until(lambda: len(logged_incidents()) == len(LOGGED))
        assert set(logged_incidents()) == set(LOGGED)
        assert sorted(relay.logged, key=lambda line: line["timestamp"][:-3]) == relay.logged
        await stop_in_time(relay)


async def test_a_log_that_is_not_read_does_not_delay_the_stop(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await share_all(relay)
        await relay.stop_within(KILLED_AFTER)


def be_in_an_own_network():
    """Give this process its own network and mounts; that needs no privileges where the machine allows it."""
    user, group, libc = os.geteuid(), os.getegid(), ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "this machine does not allow a separate network")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
        fcntl.ioctl(loopback, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def with_silent_name_server(prepare):
    """Start a name server that never answers, beside relay in a network of their own."""
    prepare()
    be_in_an_own_network()
    names = os.path.realpath("/etc/resolv.conf")
    subprocess.run(["mount", "--bind", "resolv.conf", names], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        relay = os.getpid()
        if os.fork():
            return
        server.recv(512)
        os.write(2, b'{"event": "asked"}\n')
        server.settimeout(0.1)
        while os.getppid() == relay:
            with suppress(TimeoutError):
                server.recv(512)
        os._exit(0)


@pytest.fixture
def _own_network():
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow a separate network")


@pytest.mark.usefixtures("_own_network")
@with_stop_limits
async def test_a_name_server_that_does_not_answer_does_not_delay_the_stop(folder, limits):
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    prepare = partial(with_silent_name_server, intervals(limits.intervals))
    async with running(folder, "https://slack.example.com/api/", prepare=prepare) as relay:
        await relay.line("asked")
        await stop_in_time(relay, limits.seconds)
        assert not unclosed_database_lines(relay)
