"""A relay in trouble: what is answered 202 is kept, all else is 503, and it goes on by itself when that is over."""

import asyncio
import json
import resource
import sqlite3
from contextlib import closing

import pytest

from tests.support.postgres import a_server, frozen, start
from tests.support.relay_process import running, until

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}


def body(incident, **told):
    return json.dumps({"incident": {"id": incident, "status": "critical", **told}})


async def share(relay, incident, **told):
    """Share it; the status of the answer."""
    answer = await relay.share(body(incident, **told))
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.content_type == "application/problem+json"
    return answer.status


async def scraped(relay):
    """What Prometheus would read."""
    async with relay.session.get(f"{relay.url}/metrics") as answer:
        return await answer.text()


async def test_with_slack_gone_shares_are_kept_and_relay_stays_ready(folder):
    async with running(folder, "http://127.0.0.1:9/api/") as relay:
        assert await share(relay, "i1") == 202
        status, told = await relay.get("/readyz")
        assert (status, told["ready"]) == (200, True)
        assert told["slack"] != "ok"
        assert (await relay.get("/healthz"))[0] == 200


async def test_on_a_full_disk_nothing_is_promised_and_nothing_that_was_promised_is_lost(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "before") == 202
        # From here on no file of the process may grow: to SQLite that is what a disk without room is.
        _, most = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (1, most))
        assert {await share(relay, f"full{number}") for number in range(3)} == {503}
        status, told = await relay.get("/readyz")
        assert (status, told["ready"]) == (503, False)
        assert "relay.db" in told["store"]
        assert (await relay.get("/healthz"))[0] == 200
        text = await scraped(relay)
        assert 'relay_shares_total{integration="default",outcome="not_kept"} 3.0' in text
        assert 'relay_http_problems_total{reason="not_stored",status="503"} 3.0' in text
        assert "relay_database_up 0.0" in text  # it can be read, and that is not enough
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (most, most))
        assert await share(relay, "after") == 202
        assert (await relay.get("/readyz"))[0] == 200
        assert await relay.stop() == 0
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        assert database.execute("SELECT id FROM incident ORDER BY id").fetchall() == [("after",), ("before",)]
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_database_that_another_program_holds_is_told_and_a_share_waits_for_it(folder, slack):
    async with running(folder, slack.url) as relay:
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(share(relay, "i1"))
            (status, told), text, (alive, _) = await asyncio.gather(
                relay.get("/readyz"), scraped(relay), relay.get("/healthz")
            )
            assert (status, told["ready"], alive) == (503, False, 200)
            assert "relay.db has not answered within 3 seconds" in told["store"]
            assert "relay_database_up 0.0" in text
            other.execute("ROLLBACK")
        assert await waiting == 202
        assert (await relay.get("/readyz"))[0] == 200


@pytest.fixture
def server():
    with a_server() as started:
        yield started


async def test_a_postgresql_that_goes_away_and_comes_back_needs_nobody_to_restart_relay(folder, slack, server):
    async with running(folder, slack.url, RELAY_DATABASE_URL=server.get_uri()) as relay:
        assert await share(relay, "before") == 202
        server.stop()
        assert await share(relay, "away") == 503
        status, told = await relay.get("/readyz")
        assert (status, told["ready"]) == (503, False)
        assert "PostgreSQL" in told["store"]
        assert (await relay.get("/healthz"))[0] == 200
        start(server)
        assert await share(relay, "after") == 202
        assert (await relay.get("/readyz"))[0] == 200
        await until(lambda: len(slack.channel("all").messages) == 2)
        assert "relay_database_up 1.0" in await scraped(relay)


async def test_a_postgresql_that_is_frozen_leaves_nobody_waiting_and_relay_goes_on_when_it_thaws(folder, slack, server):
    """A machine that hangs, or a network that swallows everything: nothing fails, and nothing answers."""
    async with running(folder, slack.url, RELAY_DATABASE_URL=server.get_uri()) as relay:
        assert await share(relay, "before") == 202
        await until(lambda: len(slack.channel("all").messages) == 1)
        with frozen(server):
            answers = await asyncio.gather(
                share(relay, "meanwhile"), relay.get("/readyz"), scraped(relay), relay.get("/healthz")
            )
        kept, (status, told), text, (alive, _) = answers
        assert kept == 503
        assert (status, told["ready"]) == (503, False)
        assert "has not answered within 3 seconds" in told["store"]
        assert "relay_database_up 0.0" in text
        assert alive == 200
        assert await share(relay, "after") == 202
        assert (await relay.get("/readyz"))[0] == 200
        await until(lambda: any("after" in str(message.metadata) for message in slack.channel("all").messages))
