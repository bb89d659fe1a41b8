"""Told to stop, the real process is gone within ten seconds, whatever hangs, and nothing that was kept is lost."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psycopg
import pytest

from tests.support.postgres import a_server, frozen
from tests.support.relay_process import running, until

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
KILLED_AFTER = 10.0
"""Seconds that orchestrators give whoever they have told to stop."""


async def leaves(relay):
    """It is told to stop, and is gone in time."""
    told = time.monotonic()
    assert await relay.stop() == 0
    assert time.monotonic() - told < KILLED_AFTER
    await relay.line("stopped")


def told_of_the_database(relay):
    return [line for line in relay.logged if line["event"] == "database_not_closed"]


async def share(relay, incident):
    return (await relay.share({"incident": {"id": incident, "status": "critical"}})).status


async def test_with_nothing_under_way_it_is_gone_at_once_and_has_closed_its_database(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "i1") == 202
        await leaves(relay)
        assert not told_of_the_database(relay)
    assert not (folder / "relay.db-wal").exists()


async def test_a_lock_that_another_program_holds_does_not_keep_it(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "kept") == 202
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(share(relay, "cut off"))
            for _ in range(10):  # by then it has read the share, and waits for its database
                assert (await relay.get("/healthz"))[0] == 200
            await leaves(relay)
            [answer] = await asyncio.gather(waiting, return_exceptions=True)
            assert answer != 202
        assert len(told_of_the_database(relay)) == 1
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        assert ("kept",) in database.execute("SELECT id FROM incident").fetchall()
    async with running(folder, slack.url) as relay:
        assert await share(relay, "after") == 202


async def test_a_frozen_postgresql_does_not_keep_it(folder, slack):
    with a_server() as server:
        async with running(folder, slack.url, RELAY_DATABASE_URL=server.get_uri()) as relay:
            assert await share(relay, "kept") == 202
            with frozen(server):
                await leaves(relay)
                assert len(told_of_the_database(relay)) == 1
        with psycopg.connect(server.get_uri()) as database:
            assert database.execute("SELECT id FROM incident").fetchall() == [("kept",)]


async def shares(relay, count):
    """Share so many incidents; all are kept."""
    for start in range(0, count, 50):
        numbers = range(start, min(count, start + 50))
        assert {202} == set(await asyncio.gather(*(share(relay, f"i{number}") for number in numbers)))


async def test_whoever_stops_reading_the_log_holds_up_nothing_and_misses_nothing_when_he_reads_on(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await shares(relay, 1000)  # the pipe and what reads it hold some hundred
        assert (await relay.get("/healthz"))[0] == 200
        assert len(relay.logged) < 100
        relay.reads_log.set()
        kept = lambda: [line["incident"] for line in relay.logged if line.get("event") == "share_stored"]  # noqa: E731
        await relay.until(lambda: len(kept()) == 1000)
        assert set(kept()) == {f"i{number}" for number in range(1000)}
        assert sorted(relay.logged, key=lambda line: line["timestamp"][:-3]) == relay.logged
        await leaves(relay)


async def test_whoever_stops_reading_the_log_does_not_keep_it(folder, slack):
    async with running(folder, slack.url) as relay:
        relay.reads_log.clear()
        await shares(relay, 1000)
        told = time.monotonic()
        relay.process.send_signal(signal.SIGTERM)
        await until(lambda: relay.process.returncode is not None)  # `wait` would wait for the end of the log, too
        assert relay.process.returncode == 0
        assert time.monotonic() - told < KILLED_AFTER


ALONE = ("unshare", "--map-root-user", "--mount", "--net")
"""In a network and with a view of the files of its own, which needs no privilege where the machine allows it at all."""

SILENT = """
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
"""A name server that is asked and does not answer, and a relay that asks it."""


@pytest.fixture
def command():
    """What starts relay where the name server is silent."""
    if subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives nobody a network of their own")
    return *ALONE, sys.executable, "-c", SILENT, "serve"


async def test_a_name_server_that_does_not_answer_does_not_keep_it(folder, command):
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    async with running(folder, "https://slack.example.com/api/", command=command) as relay:
        await relay.line("asked")
        await leaves(relay)
        assert not told_of_the_database(relay)
