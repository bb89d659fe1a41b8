"""Whoever asks whether relay is ready has an answer in time, whatever the database does."""

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
from relay.store import Store
from relay.store.health_probe import HealthProbe


@pytest.fixture
async def store(tmp_path, monkeypatch):
    monkeypatch.setattr("relay.store.database.BUSY_TIMEOUT", 0.3)
    opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()


@contextmanager
def locked(folder):
    """Another program holds the database."""
    with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_database_that_works_has_nothing_to_complain_of(store):
    assert await HealthProbe(store).problem() == ""


async def test_a_locked_database_is_told_in_time_and_well_again_when_it_is_free(store, tmp_path):
    pulse = HealthProbe(store, timeout=0.05)
    with locked(tmp_path):
        assert (await pulse.problem()).endswith("relay.db has not answered within 0.05 seconds.")
    assert await HealthProbe(store, timeout=10).problem() == ""


async def test_a_database_that_fails_in_time_says_why(store, tmp_path):
    with locked(tmp_path):
        assert "is locked by another program" in await HealthProbe(store, timeout=10).problem()


async def test_however_many_ask_the_database_is_written_once(store, tmp_path, monkeypatch):
    beats = []
    check = store.check_writable
    monkeypatch.setattr(store, "check_writable", lambda: (beats.append(1), check())[1])
    pulse = HealthProbe(store, timeout=0.02)
    with locked(tmp_path):
        told = await asyncio.gather(*(pulse.problem() for _ in range(20)))
        await pulse.problem()
    assert all("has not answered" in each for each in told)
    assert len(beats) == 1


async def test_a_database_that_is_stuck_keeps_nobody_waiting_longer_than_itself(store, tmp_path, monkeypatch):
    """Forty shares of one group, each tried by itself, would wait forty times as long."""
    monkeypatch.setattr("relay.ingest.service.STUCK_AFTER", 0.1)
    metrics = Metrics()
    rules = parse_rulebook("version: 1\nroutes: []\n")
    intake = IngestService(store, lambda: rules, Clock(), lambda: None, "X-Relay-Key", metrics=metrics)
    bodies = [orjson.dumps({"incident": {"id": f"i{number}"}}) for number in range(40)]
    accepting = [asyncio.create_task(intake.accept(body, {})) for body in bodies]
    await asyncio.sleep(0)
    tries = []
    accept = store.accept
    monkeypatch.setattr(
        store, "accept", lambda shares, plan, **told: (tries.append(len(shares)), accept(shares, plan, **told))[1]
    )
    with locked(tmp_path):
        committing = asyncio.create_task(intake.run())
        answers = await asyncio.gather(*accepting, return_exceptions=True)
    assert all(isinstance(answer, StoreError) for answer in answers)
    assert tries == [40]
    told = metrics.exposition(None, writable=False, delivering=True)[0].decode()
    assert 'relay_shares_total{integration="default",outcome="not_kept"} 40.0' in told
    committing.cancel()
    await asyncio.wait([committing])


@contextmanager
def silent(store, monkeypatch):
    """The database neither works nor fails: a frozen server, or one that was cut off."""
    still = asyncio.Event()

    async def wait(*_arguments, **_told):
        await still.wait()

    with monkeypatch.context() as patches:
        for verb in ("accept", "quarantine"):
            patches.setattr(store, verb, wait)
        yield
        still.set()


async def test_a_silent_database_leaves_no_sender_without_an_answer_and_piles_nothing_up(store, monkeypatch):
    metrics = Metrics()
    rules = parse_rulebook("version: 1\nroutes: []\n")
    intake = IngestService(store, lambda: rules, Clock(), lambda: None, "X-Relay-Key", metrics=metrics, timeout=0.05)
    committing = asyncio.create_task(intake.run())
    with silent(store, monkeypatch):
        bodies = [orjson.dumps({"incident": {"id": f"i{number}"}}) for number in range(300)]
        first = [asyncio.create_task(intake.accept(body, {})) for body in bodies]
        answers = await asyncio.gather(*first, return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnusable}
        assert str(answers[0]).endswith("relay.db has not answered within 0.05 seconds.")
        assert not intake._queue
        with pytest.raises(NotJson):  # why it was refused is told all the same
            await intake.accept(b"{", {})
    told = metrics.exposition(None, writable=False, delivering=True)[0].decode()
    assert 'relay_shares_total{integration="default",outcome="not_kept"} 300.0' in told
    committing.cancel()
    await asyncio.wait([committing])
