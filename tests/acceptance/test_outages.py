"""Outages: an accepted share is kept, all others are 503, and relay continues by itself afterwards."""

import asyncio
import json
import resource
import sqlite3
from contextlib import closing

from tests.support.intervals import intervals
from tests.support.postgres import a_server, frozen, postgresql, shared_server, start
from tests.support.relay_process import TIMEOUT, running, until

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
SHORT_PROBE = {"relay.store.health_probe.TIMEOUT": 0.3}
SHORT_ACCEPT = {"relay.ingest.service.ACCEPT_TIMEOUT": 1.0}
"""How long relay waits for its database. A busy machine may need longer: what has to succeed is tried again."""


def body(incident, **fields):
    return json.dumps({"incident": {"id": incident, "status": "critical", **fields}})


async def share(relay, incident, **fields):
    """Share the incident, and return the status of the answer."""
    answer = await relay.share(body(incident, **fields))
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.content_type == "application/problem+json"
    return answer.status


async def accepted(relay, incident):
    """Share the incident until it is accepted, as its sender does."""
    async with asyncio.timeout(TIMEOUT):
        while await share(relay, incident) != 202:
            pass


async def ready(relay):
    """Wait until relay is ready."""
    async with asyncio.timeout(TIMEOUT):
        while (await relay.get("/readyz"))[0] != 200:
            pass


async def scraped(relay):
    """Return the metrics in the text format of Prometheus."""
    async with relay.session.get(f"{relay.url}/metrics") as answer:
        return await answer.text()


async def test_shares_are_kept_and_relay_stays_ready_while_slack_is_down(folder):
    async with running(folder, "http://127.0.0.1:9/api/") as relay:
        assert await share(relay, "i1") == 202
        status, readiness = await relay.get("/readyz")
        assert (status, readiness["ready"]) == (200, True)
        assert readiness["slack"] != "ok"
        assert (await relay.get("/healthz"))[0] == 200


async def test_on_a_full_disk_no_share_is_accepted_and_no_accepted_share_is_lost(folder, slack):
    async with running(folder, slack.url) as relay:
        assert await share(relay, "before") == 202
        # From here on no file of the process may grow: SQLite sees a full disk.
        _, hard_limit = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (1, hard_limit))
        assert {await share(relay, f"full{number}") for number in range(3)} == {503}
        status, readiness = await relay.get("/readyz")
        assert (status, readiness["ready"]) == (503, False)
        assert "relay.db" in readiness["database"]
        assert (await relay.get("/healthz"))[0] == 200
        text = await scraped(relay)
        assert 'relay_shares_total{integration="default",outcome="not_stored"} 3.0' in text
        assert 'relay_http_problems_total{reason="not_stored",status="503"} 3.0' in text
        assert "relay_database_up 0.0" in text  # relay can read the database, but not write it
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
        assert await share(relay, "after") == 202
        assert (await relay.get("/readyz"))[0] == 200
        assert await relay.stop() == 0
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        assert database.execute("SELECT id FROM incident ORDER BY id").fetchall() == [("after",), ("before",)]
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_database_that_another_program_locks_is_reported_and_a_share_waits_for_it(folder, slack):
    async with running(folder, slack.url, prepare=intervals(SHORT_PROBE)) as relay:
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(share(relay, "i1"))
            (status, readiness), text, (health, _) = await asyncio.gather(
                relay.get("/readyz"), scraped(relay), relay.get("/healthz")
            )
            assert (status, readiness["ready"], health) == (503, False, 200)
            assert "relay.db has not answered within 0.3 seconds" in readiness["database"]
            assert "relay_database_up 0.0" in text
            other.execute("ROLLBACK")
        assert await waiting == 202
        await ready(relay)


async def test_relay_continues_without_a_restart_after_an_outage_of_postgresql(folder, slack):
    with a_server() as server:
        async with running(folder, slack.url, RELAY_DATABASE_URL=server.get_uri()) as relay:
            assert await share(relay, "before") == 202
            server.stop()
            assert await share(relay, "away") == 503
            status, readiness = await relay.get("/readyz")
            assert (status, readiness["ready"]) == (503, False)
            assert "PostgreSQL" in readiness["database"]
            assert (await relay.get("/healthz"))[0] == 200
            start(server)
            assert await share(relay, "after") == 202
            assert (await relay.get("/readyz"))[0] == 200
            await until(lambda: len(slack.channel("all").messages) == 2)
            assert "relay_database_up 1.0" in await scraped(relay)


async def test_a_frozen_postgresql_blocks_no_request_and_relay_continues_afterwards(folder, slack):
    """A hanging machine or network: no connection fails, and none answers."""
    with postgresql() as url:
        async with running(
            folder, slack.url, prepare=intervals(SHORT_PROBE | SHORT_ACCEPT), RELAY_DATABASE_URL=url
        ) as relay:
            await accepted(relay, "before")
            await until(lambda: len(slack.channel("all").messages) == 1)
            with frozen(shared_server()):
                answers = await asyncio.gather(
                    share(relay, "meanwhile"), relay.get("/readyz"), scraped(relay), relay.get("/healthz")
                )
            share_status, (status, readiness), text, (health, _) = answers
            assert share_status == 503
            assert (status, readiness["ready"]) == (503, False)
            assert "has not answered within 0.3 seconds" in readiness["database"]
            assert "relay_database_up 0.0" in text
            assert health == 200
            await accepted(relay, "after")
            await ready(relay)
            await until(lambda: any("after" in str(message.metadata) for message in slack.channel("all").messages))
