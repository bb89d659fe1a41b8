"""Two relays behind a real PgBouncer that gives each transaction another session."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit

import psycopg
import pytest

from relay.sandbox.faults import InjectedFault, NoAnswer
from tests.support.intervals import intervals
from tests.support.pgbouncer import POOL_SIZE, needs_pgbouncer, pgbouncer
from tests.support.postgres import postgresql, shared_server
from tests.support.relay_process import running, until

pytestmark = needs_pgbouncer

CHANNELS = {"C0ALL00001": "all"}
ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
POST = "chat.postMessage"
SOON = intervals({"relay.delivery.leader.POLL_EVERY": 0.05, "relay.store.notify.TEST_SECONDS": 0.5})
"""Relay looks often for what others have written, and waits less for notifications, which a pooler swallows."""
HANDOVER = 60.0
"""Seconds within which another relay delivers after a kill: the lease holds for twelve, and the machine may be busy."""


@pytest.fixture
def url():
    """The address of a database behind a pooler."""
    with postgresql() as direct, pgbouncer(shared_server()) as pooled:
        yield pooled.replace("/postgres", urlsplit(direct).path)


@pytest.fixture
async def relays(folder, slack, url):
    """Two relays behind a pooler; the first one delivers."""
    async with AsyncExitStack() as stack:
        start = partial(running, folder, slack.url, prepare=SOON, RELAY_DATABASE_URL=url)
        first = await stack.enter_async_context(start())
        await first.line("delivering")
        yield first, await stack.enter_async_context(start())


async def share(relay, incident, status="critical", comment=""):
    body = {"incident": {"id": incident, "status": status}}
    if comment:
        body["metadata"] = {"comment": {"comment": comment}, "sender": {"name": "Dana"}}
    answer = await relay.share(body)
    assert answer.status == 202


def roots(slack, incident):
    messages = slack.channel("all").messages
    return [each for each in messages if f"'{incident}'" in str(each.metadata) and "relay_card" in str(each.metadata)]


def replies(slack, incident):
    [root] = roots(slack, incident)
    return [slack.text_of(reply) for reply in slack.channel("all").thread(root.ts)]


async def test_a_share_that_one_relay_accepts_is_delivered_by_another_at_once(relays, slack, url):
    first, second = relays
    loop = asyncio.get_running_loop()
    for number in range(4):
        began = loop.time()
        await share(second, f"i{number}")
        await until(lambda number=number: roots(slack, f"i{number}"))
        assert loop.time() - began < 10  # a second, and what a busy machine adds
    lost = await first.line("pg_notify_lost")
    assert "pool_mode = session" in lost["detail"]
    status, ready = await first.get("/readyz")
    assert (status, ready["notifications"]) == (200, lost["detail"])
    async with first.session.get(f"{first.url}/metrics") as answer:
        assert "relay_pg_notify_working 0.0" in await answer.text()
    assert "notifications" not in (await second.get("/readyz"))[1]
    events = [line for relay in relays for line in relay.logged if line.get("level") in ("warning", "error")]
    assert events == [lost]
    with psycopg.connect(
        url, autocommit=True, prepare_threshold=None
    ) as connection:  # each statement in another session
        leaks = "SELECT pg_backend_pid(), count(*) FROM pg_settings WHERE source = 'session' AND name LIKE 'idle%'"
        found = [connection.execute(leaks).fetchone() for _ in range(POOL_SIZE)]
        assert len({pid for pid, _ in found}) > 1
        assert {count for _, count in found} == {0}


# Without a pooler this is in the suite (`test_several_relays`).
@pytest.mark.soak
async def test_a_killed_relay_is_replaced_and_nothing_is_lost_or_repeated(relays, slack):
    first, second = relays
    held = [
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=POST, times=1)),
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=POST, times=1, after_effect=True)),
    ]
    names = [f"i{number}" for number in range(4)]
    for number, name in enumerate(names):
        await share(relays[number % 2], name, "warning")
    await until(lambda: all(fault.applied for fault in held))
    os.kill(first.process.pid, signal.SIGKILL)
    slack.faults.release()
    for name in names:
        await share(second, name, comment=f"note on {name}")
    async with asyncio.timeout(HANDOVER):
        await second.line("delivering")
    await until(lambda: all(roots(slack, name) for name in names))
    await until(lambda: all(f"note on {name}" in "".join(replies(slack, name)) for name in names))
    assert [len(roots(slack, name)) for name in names] == [1] * len(names)
    for name in names:
        assert sum(f"note on {name}" in text for text in replies(slack, name)) == 1
        assert "🔴" in slack.text_of(roots(slack, name)[0])


@pytest.mark.soak
async def test_a_frozen_relay_loses_its_lease_and_its_locks(relays, slack):
    first, second = relays
    os.kill(first.process.pid, signal.SIGSTOP)
    try:
        await share(second, "while-frozen")
        async with asyncio.timeout(HANDOVER):
            await second.line("delivering")
        await until(lambda: roots(slack, "while-frozen"))
    finally:
        os.kill(first.process.pid, signal.SIGCONT)
    await first.line("lease_lost")
    await share(first, "afterwards")
    await until(lambda: roots(slack, "afterwards"))
    assert [len(roots(slack, name)) for name in ("while-frozen", "afterwards")] == [1, 1]
