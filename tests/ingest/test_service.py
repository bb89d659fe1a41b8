"""Shares that arrive together: each gets an answer, however long planning takes."""

import asyncio
import time

import orjson
import pytest

from relay.bigpanda.webhook.share import ReceivedShare
from relay.ingest import service
from relay.ingest.parsing import ShareParser
from relay.runtime.worker_process import WorkerProcess
from relay.store import database
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import run_relay


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    if request.param == "sqlite":
        yield ""
        return
    with postgresql_with_tables() as address:
        yield address


async def until(condition):
    async with asyncio.timeout(100):
        while not condition():  # noqa: ASYNC110  the condition has no event
            await asyncio.sleep(0.01)


def bodies(number: int) -> list[bytes]:
    """Shares of seven incidents in turn, each with another state than the one before."""
    return [
        orjson.dumps({"incident": {"id": f"i{n % 7}", "status": ("warning", "critical")[n // 7 % 2], "changedOn": n}})
        for n in range(number)
    ]


@pytest.mark.parametrize("planning", [0.0, 0.05, 60.0])
async def test_all_shares_are_stored_in_order_of_arrival_even_if_planning_is_slow(tmp_path, monkeypatch, url, planning):
    monkeypatch.setattr(service, "PLANNING_SECONDS", planning)
    async with run_relay(tmp_path, url=url) as relay:
        kept = await asyncio.gather(*(relay.ingest.accept(body, {}) for body in bodies(40)))
        assert [each.share_id for each in kept] == sorted(each.share_id for each in kept)
        assert [each.incident for each in kept] == [f"i{number % 7}" for number in range(40)]
        await until(lambda: relay.ingest.idle)
        dossier = await relay.store.incident_history("i3")
        assert [entry.data["new"] for entry in dossier.entries if "new" in entry.data] == [
            "critical",
            "warning",
        ] * 2 + ["critical"]


async def test_a_group_whose_planning_exceeds_the_timeout_of_the_database_is_not_rejected(tmp_path, monkeypatch, url):
    """PostgreSQL ends a transaction that does nothing for too long."""
    monkeypatch.setattr(database, "IDLE_LIMIT", 2.0)  # seconds; all shares together take longer
    monkeypatch.setattr(service, "PLANNING_SECONDS", 0.3)
    monkeypatch.setattr(
        service, "STUCK_AFTER", 0.0
    )  # the test's clock stands still, so that a failure never takes long
    planned = service.plan

    def slowly(*arguments, **named):
        time.sleep(0.1)
        return planned(*arguments, **named)

    async with run_relay(tmp_path, url=url) as relay:
        monkeypatch.setattr(service, "plan", slowly)
        kept = await asyncio.gather(*(relay.ingest.accept(body, {}) for body in bodies(25)), return_exceptions=True)
        assert [each for each in kept if isinstance(each, Exception)] == []


async def test_slow_planning_keeps_no_sender_waiting(tmp_path, monkeypatch):
    planned = service.plan

    def slowly(*arguments, **named):
        time.sleep(0.1)
        return planned(*arguments, **named)

    async with run_relay(tmp_path) as relay:
        monkeypatch.setattr(service, "plan", slowly)
        monkeypatch.setattr(service, "ACCEPT_TIMEOUT", 4.0)  # all together take longer
        kept = await asyncio.gather(*(relay.ingest.accept(body, {}) for body in bodies(50)))
        assert {each.planned for each in kept} == {False}
        await until(lambda: relay.ingest.idle)
        assert [len((await relay.store.incident_history(f"i{n}")).shares) for n in range(7)] == [8] + [7] * 6


async def test_many_shares_of_one_sender_delay_those_of_another_by_one_group(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "MAX_GROUP", 5)
    async with run_relay(tmp_path) as relay:
        async with asyncio.TaskGroup() as tasks:
            many = [tasks.create_task(relay.ingest.accept(body, {}, 0)) for body in bodies(40)]
            body = orjson.dumps({"incident": {"id": "other", "status": "critical"}})
            other = tasks.create_task(relay.ingest.accept(body, {}, 1))
        assert other.result().share_id <= 10
        assert [each.result().share_id for each in many] == sorted(each.result().share_id for each in many)


@pytest.mark.parametrize("size", [100_000, 2_000_000], ids=["medium", "large"])
async def test_many_large_bodies_of_one_sender_delay_those_of_another_and_of_the_inbox_by_one(monkeypatch, size):
    parser, order = ShareParser("X-Relay-Key"), []

    async def parse(_worker, _seconds, _function, body_or_share, *_arguments):
        body = getattr(body_or_share, "body", body_or_share)
        order.append(body[:5])
        await asyncio.sleep(0)

    monkeypatch.setattr(WorkerProcess, "call", parse)
    async with asyncio.TaskGroup() as tasks:
        for sender, number in ((0, 20), (1, 1), (2, 2)):
            for each in range(number):
                body = f"{sender}-{each:03}".encode().ljust(size)
                tasks.create_task(parser.identify(body, {}, 1.0, sender))
        inbox = ReceivedShare(incident="i", received=1.0, hash="h", body=b"inbox".ljust(size))
        tasks.create_task(parser.parse_all({1: inbox}))
    assert order[:6] == [b"0-000", b"0-001", b"1-000", b"2-000", b"inbox", b"0-002"]
    assert len(order) == 24
    await parser.close()
