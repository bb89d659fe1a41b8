"""A health probe answers in time, whatever the database does."""

import asyncio
import sqlite3
from contextlib import closing, contextmanager

import orjson
import pytest

from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.model.errors import NotJson, StoreError, StoreUnusable
from relay.routes.parser.parse import parse_rulebook
from relay.runtime.clock import Clock
from relay.store.health_probe import HealthProbe
from relay.store.store import Store


@pytest.fixture
async def store(tmp_path, monkeypatch):
    monkeypatch.setattr("relay.store.database.BUSY_TIMEOUT", 0.3)
    opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()


@contextmanager
def locked(folder):
    """Another program holds the lock."""
    with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_database_that_works_has_no_problem(store):
    assert await HealthProbe(store, timeout=60.0).problem() == ""


async def test_a_locked_database_is_reported_in_time_and_works_again_when_it_is_free(store, tmp_path):
    probe = HealthProbe(store, timeout=0.05)
    with locked(tmp_path):
        assert (await probe.problem()).endswith("relay.db has not answered within 0.05 seconds.")
    assert await HealthProbe(store, timeout=10).problem() == ""


async def test_a_database_that_fails_says_why(store, tmp_path):
    with locked(tmp_path):
        assert "is locked by another program" in await HealthProbe(store, timeout=10).problem()


async def test_many_probes_at_once_write_once(store, tmp_path, monkeypatch):
    checks = []
    check = store.check_writable
    monkeypatch.setattr(store, "check_writable", lambda: (checks.append(1), check())[1])
    probe = HealthProbe(store, timeout=0.02)
    with locked(tmp_path):
        problems = await asyncio.gather(*(probe.problem() for _ in range(20)))
        await probe.problem()
    assert all("has not answered" in each for each in problems)
    assert len(checks) == 1


async def test_a_locked_database_delays_a_probe_only_for_its_own_timeout(store, tmp_path, monkeypatch):
    """Forty shares, each tried alone, would wait forty times as long."""
    monkeypatch.setattr("relay.ingest.service.STUCK_AFTER", 0.1)
    metrics = Metrics()
    rules = parse_rulebook("version: 1\nroutes: []\n")
    ingest = IngestService(store, lambda: rules, Clock(), lambda: None, "X-Relay-Key", metrics=metrics)
    bodies = [orjson.dumps({"incident": {"id": f"i{number}"}}) for number in range(40)]
    accepting = [asyncio.create_task(ingest.accept(body, {})) for body in bodies]
    await asyncio.sleep(0)
    tries = []
    accept = store.accept
    monkeypatch.setattr(
        store, "accept", lambda shares, plan, **options: (tries.append(len(shares)), accept(shares, plan, **options))[1]
    )
    with locked(tmp_path):
        committing = asyncio.create_task(ingest.run())
        answers = await asyncio.gather(*accepting, return_exceptions=True)
    assert all(isinstance(answer, StoreError) for answer in answers)
    assert tries == [40]
    problems = metrics.exposition(None, writable=False, delivering=True)[0].decode()
    assert 'relay_shares_total{integration="default",outcome="not_stored"} 40.0' in problems
    committing.cancel()
    await asyncio.wait([committing])


@contextmanager
def unresponsive(store, monkeypatch):
    """The database neither works nor fails: a frozen server, or a lost network."""
    released = asyncio.Event()

    async def wait(*_args, **_kwargs):
        await released.wait()

    with monkeypatch.context() as patches:
        for verb in ("accept", "quarantine"):
            patches.setattr(store, verb, wait)
        yield
        released.set()


async def test_a_silent_database_leaves_no_sender_without_an_answer_and_no_share_in_memory(store, monkeypatch):
    monkeypatch.setattr("relay.ingest.service.ACCEPT_TIMEOUT", 0.05)
    metrics = Metrics()
    rules = parse_rulebook("version: 1\nroutes: []\n")
    ingest = IngestService(store, lambda: rules, Clock(), lambda: None, "X-Relay-Key", metrics=metrics)
    committing = asyncio.create_task(ingest.run())
    with unresponsive(store, monkeypatch):
        bodies = [orjson.dumps({"incident": {"id": f"i{number}"}}) for number in range(300)]
        first = [asyncio.create_task(ingest.accept(body, {})) for body in bodies]
        answers = await asyncio.gather(*first, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnusable}
        assert str(answers[0]).endswith("relay.db has not answered within 0.05 seconds.")
        assert ingest.idle
        with pytest.raises(NotJson):  # the reason is given all the same
            await ingest.accept(b"{", {})
    problems = metrics.exposition(None, writable=False, delivering=True)[0].decode()
    assert 'relay_shares_total{integration="default",outcome="not_stored"} 300.0' in problems
    committing.cancel()
    await asyncio.wait([committing])
