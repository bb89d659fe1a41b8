"""The real process stops within ten seconds, whatever hangs, and loses no accepted share."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing

import psycopg
import pytest

from tests.support.postgres import a_server, frozen
from tests.support.relay_process import running

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
STOP_TIMEOUT = 10.0
"""Seconds after which an orchestrator kills a process that does not stop."""


async def stop_in_time(relay):
    """Stop relay, and check that it ends in time."""
    await relay.stop_within(STOP_TIMEOUT)
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


async def test_a_locked_database_does_not_delay_the_stop(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "kept") == 202
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(share(relay, "cut off"))
            for _ in range(10):  # by then relay has read the share and waits for the database
                assert (await relay.get("/healthz"))[0] == 200
            await stop_in_time(relay)
            [answer] = await asyncio.gather(waiting, return_exceptions=True)
            assert answer != 202
        assert len(unclosed_database_lines(relay)) == 1
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        assert ("kept",) in database.execute("SELECT id FROM incident").fetchall()
    async with running(folder, slack.url) as relay:
        assert await share(relay, "after") == 202


async def test_a_frozen_postgresql_does_not_delay_the_stop(folder, slack):
    with a_server() as server:
        async with running(folder, slack.url, RELAY_DATABASE_URL=server.get_uri()) as relay:
            assert await share(relay, "kept") == 202
            with frozen(server):
                await stop_in_time(relay)
                assert len(unclosed_database_lines(relay)) == 1
        with psycopg.connect(server.get_uri()) as database:
            assert database.execute("SELECT id FROM incident").fetchall() == [("kept",)]


async def shares(relay, count):
    """Share `count` incidents, and check that all are accepted."""
    for start in range(0, count, 50):
        numbers = range(start, min(count, start + 50))
        assert {202} == set(await asyncio.gather(*(share(relay, f"i{number}") for number in numbers)))


async def test_a_log_that_is_not_read_blocks_nothing_and_loses_no_line(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await shares(relay, 1000)  # the pipe and its reader buffer some hundred
        assert (await relay.get("/healthz"))[0] == 200
        assert len(relay.logged) < 100
        relay.reads_log.set()
        logged_incidents = lambda: [line["incident"] for line in relay.logged if line.get("event") == "share_stored"]  # noqa: E731
        await relay.until(lambda: len(logged_incidents()) == 1000)
        assert set(logged_incidents()) == {f"i{number}" for number in range(1000)}
        assert sorted(relay.logged, key=lambda line: line["timestamp"][:-3]) == relay.logged
        await stop_in_time(relay)


async def test_a_log_that_is_not_read_does_not_delay_the_stop(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await shares(relay, 1000)
        await relay.stop_within(STOP_TIMEOUT)


UNSHARE = ("unshare", "--map-root-user", "--mount", "--net")
"""Run a command with its own network and mounts; this needs no privileges where the machine allows it."""

WITH_SILENT_NAME_SERVER = """
import fcntl, json, os, runpy, socket, struct, subprocess, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lo:
    fcntl.ioctl(lo, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
subprocess.run(["mount", "--bind", "resolv.conf", os.path.realpath("/etc/resolv.conf")], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
relay = os.getpid()
if not os.fork():
    server.recv(512)
    print(json.dumps({"event": "asked"}), file=sys.stderr, flush=True)
    server.settimeout(0.1)
    while os.getppid() == relay:
        try:
            server.recv(512)
        except TimeoutError:
            pass
    os._exit(0)
server.close()
runpy.run_module("relay", run_name="__main__", alter_sys=True)
"""
"""A program that starts relay and a name server that never answers."""


@pytest.fixture
def command():
    """The command that starts relay with a name server that never answers."""
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow a separate network")
    return *UNSHARE, sys.executable, "-c", WITH_SILENT_NAME_SERVER, "serve"


async def test_a_name_server_that_does_not_answer_does_not_delay_the_stop(folder, command):
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    async with running(folder, "https://slack.example.com/api/", command=command) as relay:
        await relay.line("asked")
        await stop_in_time(relay)
        assert not unclosed_database_lines(relay)
