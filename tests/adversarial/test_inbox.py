"""No share stops the planning of others: not by what it is, nor by how often or how many of it are sent."""

import asyncio
import tracemalloc
from functools import partial
from types import SimpleNamespace

import orjson
import pytest

from relay.app import Relay
from relay.bigpanda.webhook.share import ReceivedShare
from relay.ingest import planner, planning_queue, service
from relay.ingest.parsing import SMALL_BODY
from relay.model.errors import TooCostly
from relay.runtime.worker_process import WorkerProcess
from relay.store import inbox
from relay.store.monitor import StoreMonitor
from relay.store.types import UnplannedShare
from tests.support.relay_in_process import run_relay


def body(incident, **values):
    return orjson.dumps({"incident": {"id": incident, "status": "critical", **values}})


async def known(relay, incident):
    history = await relay.store.incident_history(incident)
    return bool(history and history.cards)


@pytest.fixture
def plans(monkeypatch):
    """The incidents that were planned; that of `bad` fails."""
    planned, seen = service.plan, []

    def plan(rulebook, state, cards, share, *rest, **named):
        seen.append(share.incident)
        if share.incident == "bad":
            raise ValueError("it never works")
        return planned(rulebook, state, cards, share, *rest, **named)

    monkeypatch.setattr(service, "plan", plan)
    return seen


# -- What a share is ---------------------------------------------------------------------------------------------------

STRANGE = [
    TooCostly("it takes too long"),
    RecursionError("too deep"),
    MemoryError(),
    TypeError("__init__() takes two"),
]


@pytest.mark.parametrize("error", STRANGE, ids=lambda error: type(error).__name__)
async def test_an_error_while_parsing_a_stored_share_fails_only_that_share(tmp_path, monkeypatch, error):
    async with run_relay(tmp_path) as relay:
        call = WorkerProcess.call

        async def strange(worker, seconds, function, share, *arguments):
            if isinstance(share, ReceivedShare) and share.incident == "culprit":
                raise error
            return await call(worker, seconds, function, share, *arguments)

        monkeypatch.setattr(WorkerProcess, "call", strange)
        assert not (await relay.ingest.accept(body("culprit", padding="x" * SMALL_BODY), {})).planned
        await relay.settle()
        await relay.ingest.accept(body("large", padding="x" * SMALL_BODY), {})
        await relay.settle()
        [failed] = await relay.store.failed_shares()
        assert (failed.incident, await known(relay, "large")) == ("culprit", True)


# -- How often, and how many -------------------------------------------------------------------------------------------


async def test_repeats_of_a_failed_share_do_not_change_the_time_of_its_next_try(tmp_path, plans):
    async with run_relay(tmp_path) as relay:
        await relay.ingest.accept(body("bad"), {})
        await relay.settle()
        [before] = await relay.store.failed_shares()
        relay.clock.advance(inbox.FIRST_PAUSE / 2)
        for _ in range(5):
            await asyncio.gather(*(relay.ingest.accept(body("bad"), {}) for _ in range(10)))
        await relay.settle()
        assert (plans, await relay.store.failed_shares()) == (["bad"], (before,))


async def test_many_failing_shares_of_an_incident_cost_one_try_each_and_delay_no_earlier_one(tmp_path, plans):
    """They differ in a header alone, so each is a share of its own."""
    async with run_relay(tmp_path) as relay:
        await relay.ingest.accept(body("bad"), {"X-Number": "first"})
        relay.clock.advance(inbox.FIRST_PAUSE / 2)
        for number in range(20):
            await relay.ingest.accept(body("bad"), {"X-Number": str(number)})
        await relay.ingest.accept(body("good"), {})
        assert plans.count("bad") == 21
        failed = await relay.store.failed_shares()
        assert ({each.retry_at for each in failed}, len(failed)) == ({failed[0].received + inbox.FIRST_PAUSE}, 21)
        assert await known(relay, "good")
        await relay.advance(inbox.FIRST_PAUSE)
        assert plans.count("bad") == 21 + 1 + 21  # once together, then one by one


async def test_shares_that_differ_only_in_a_header_make_one_message(tmp_path):
    async with run_relay(tmp_path) as relay:
        for number in range(20):
            await relay.ingest.accept(body("i1"), {"X-Number": str(number)})
        await relay.settle()
        assert len(relay.slack.channel("all").messages) == 1


def waiting(number, since, sender):
    return planning_queue.WaitingShare(UnplannedShare(id=number, size=100), since, sender, found=False)


async def test_twenty_thousand_waiting_shares_of_one_sender_delay_another_by_one_slice():
    shares, now = planning_queue.PlanningQueue(planning_queue.SLICE), asyncio.get_running_loop().time()
    tracemalloc.start()
    for number in range(planner.MAX_WAITING):
        shares.add(waiting(number, now, sender=0))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    first = shares.next_slice()
    shares.add(waiting(-1, now, sender=1))
    assert -1 in {each.share.id for each in shares.next_slice()}
    assert len(first) <= planning_queue.SLICE_WHEN_QUIET
    assert most < 20 * 1024**2


async def test_slow_shares_of_one_sender_do_not_delay_the_planning_of_anothers_flood():
    """The queue waited a second before each slice, until 20,000 shares waited and nobody's were accepted quickly."""
    shares, now = planning_queue.PlanningQueue(planning_queue.SLICE), asyncio.get_running_loop().time()
    shares.add(waiting(1, now, sender=1))  # it is the next one
    for number in range(2, 50):
        shares.add(waiting(number, now - 2 * planning_queue.LONGEST_WAIT, sender=0))
    shares.add(waiting(60, now, sender=1))
    async with asyncio.timeout(planning_queue.QUIET / 2):
        await shares.wait_for_quiet()


async def test_a_share_that_falls_due_while_relay_is_busy_is_retried_soon(tmp_path, monkeypatch, plans):
    monkeypatch.setattr(planner, "MOST_FOUND", 3)
    async with run_relay(tmp_path) as relay:
        await relay.ingest.accept(body("bad"), {})
        await relay.settle()
        plan, held = relay.store.plan_shares, asyncio.Event()

        async def blocked(*arguments, **named):
            await held.wait()
            return await plan(*arguments, **named)

        monkeypatch.setattr(relay.store, "plan_shares", blocked)
        await asyncio.gather(*(relay.ingest.accept(body(f"i{number}"), {}) for number in range(20)))
        relay.clock.advance(2 * inbox.CLAIM_SECONDS)  # everything in the inbox is due, and nothing later
        for _ in range(100):
            await asyncio.sleep(0)
        held.set()
        await relay.settle()
        await relay.advance(2 * planner.LOOK_EVERY)
        assert plans.count("bad") == 2


# -- Clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-3600, 3600])
@pytest.mark.parametrize("looked", [True, False], ids=["relay looked before it noticed", "relay noticed first"])
async def test_a_change_of_the_clock_delays_no_retry(tmp_path, plans, step, looked):
    """The bug: where relay looked for due shares before their times moved back, it waited for an hour."""
    async with run_relay(tmp_path) as relay:
        relay_app = SimpleNamespace(_leader=relay.leader, _ingest=relay.ingest)
        on_change = partial(Relay._look_for_due_work, relay_app)
        leads = lambda: True  # noqa: E731  one line
        monitor = StoreMonitor(
            relay.store, relay.clock, is_leader=leads, on_problem=lambda _problems: None, on_change=on_change
        )
        await relay.ingest.accept(body("bad"), {})
        await relay.settle()
        relay.clock.set_time(relay.clock.now() + step)
        if looked:
            relay.ingest.check_inbox()
            await relay.settle()
        await monitor.check()
        await relay.advance(inbox.FIRST_PAUSE)
        assert plans.count("bad") == 2


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_a_change_of_the_clock_while_shares_wait_plans_each_share_once(tmp_path, plans, step):
    async with run_relay(tmp_path) as relay:
        sent = [relay.ingest.accept(body(f"i{number}"), {}) for number in range(3 * planning_queue.SLICE)]
        sending = asyncio.gather(*sent)
        while not plans:  # noqa: ASYNC110  the clock is set in the middle
            await asyncio.sleep(0)
        relay.clock.set_time(relay.clock.now() + step)
        relay.ingest.check_inbox()
        await sending
        await relay.settle()
        assert sorted(plans) == sorted(f"i{number}" for number in range(3 * planning_queue.SLICE))
        assert (await relay.store.backlog(relay.clock.now())).unplanned_shares == 0
