"""Shares that are stored are planned, whatever happens to relay, to the share, or to the database meanwhile."""

import asyncio
from contextlib import suppress

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.ingest import planner, planning_queue, service
from relay.ingest.parsing import SMALL_BODY, ShareParser
from relay.ingest.planner import InboxPlanner
from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.model.errors import StoreUnusable
from relay.routes.parser.parse import parse_rulebook
from relay.store import inbox
from relay.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import visible_messages
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import ROUTES, fake_workspace, run_relay
from tests.support.store_samples import a_share, count, one_entry, received


def body(incident, status="critical", **values):
    return orjson.dumps({"incident": {"id": incident, "status": status, **values}})


async def flood(relay, *incidents):
    """So many shares at once that they are stored first, and planned afterwards."""
    fill = [f"fill{number}" for number in range(service.PLANNED_AT_ONCE + 1 - len(incidents))]
    return await asyncio.gather(*(relay.ingest.accept(body(each), {}) for each in (*incidents, *fill)))


async def known(relay, incident):
    history = await relay.store.incident_history(incident)
    return bool(history and history.cards)


async def test_a_share_is_planned_at_once_if_few_arrive_and_afterwards_if_many_do(tmp_path):
    async with run_relay(tmp_path) as relay:
        assert (await relay.ingest.accept(body("i1"), {})).planned
        assert not any(each.planned for each in await flood(relay, "i2", "i3"))
        await relay.settle()
        assert [await known(relay, incident) for incident in ("i2", "i3")] == [True, True]


@pytest.mark.parametrize("more_arrive", [True, False])
async def test_many_shares_are_planned_at_a_time_only_if_no_other_has_to_wait(tmp_path, monkeypatch, more_arrive):
    monkeypatch.setattr(planning_queue, "LONGEST_WAIT", 0.0 if more_arrive else 60.0)
    monkeypatch.setattr(planning_queue, "QUIET", 60.0 if more_arrive else 0.01)
    async with run_relay(tmp_path) as relay:
        sizes, plan_shares = [], relay.store.plan_shares

        async def observed(shares, *rest, **named):
            sizes.append(len(shares))
            return await plan_shares(shares, *rest, **named)

        monkeypatch.setattr(relay.store, "plan_shares", observed)
        await flood(relay, *(f"i{number}" for number in range(planning_queue.SLICE_WHEN_QUIET)))
        await relay.settle()
    assert sum(sizes) <= planning_queue.SLICE_WHEN_QUIET
    assert max(sizes) <= planning_queue.SLICE if more_arrive else max(sizes) > planning_queue.SLICE


async def test_a_large_share_is_planned_beside_the_others(tmp_path):
    async with run_relay(tmp_path) as relay:
        large = await relay.ingest.accept(body("large", padding="x" * SMALL_BODY), {})
        small = await relay.ingest.accept(body("small"), {})
        assert (large.planned, small.planned) == (False, True)
        await relay.settle()
        assert await known(relay, "large")


@pytest.fixture
def fault(monkeypatch):
    """A set of incidents that cannot be planned."""
    planned, faulty = service.plan, set()

    def plan(rulebook, state, cards, share, *rest, **named):
        if share.incident in faulty:
            raise ValueError("no number can be this large")
        return planned(rulebook, state, cards, share, *rest, **named)

    monkeypatch.setattr(service, "plan", plan)
    return faulty


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_share_that_cannot_be_planned_delays_no_other_and_is_retried(tmp_path, fault, at_once, monkeypatch):
    fault.add("bad")
    reported: list[int] = []
    async with run_relay(tmp_path) as relay:
        monkeypatch.setattr(relay.ingest._planner, "_on_failure", lambda: reported.append(1))
        accepted = [await relay.ingest.accept(body("bad"), {})] if at_once else await flood(relay, "bad", "good")
        await relay.settle()
        [failed] = await relay.store.failed_shares()
        assert (failed.incident, failed.error) == ("bad", "ValueError: no number can be this large")
        assert len(reported) == failed.tries
        assert accepted[0].share_id == failed.id
        assert at_once or await known(relay, "good")
        await relay.ingest.accept(body("bad", "warning"), {})
        assert len(await relay.store.failed_shares()) == 2
        fault.clear()
        await relay.advance(4 * inbox.FIRST_PAUSE)
        assert await relay.store.failed_shares() == ()
        assert (await relay.store.incident_history("bad")).state.version == 2


async def test_a_failed_share_is_retried_at_once_when_relay_or_its_configuration_changes(tmp_path, fault, monkeypatch):
    fault.add("bad")
    async with run_relay(tmp_path) as relay:
        await relay.ingest.accept(body("bad"), {})
        fault.clear()
        relay.ingest.check_inbox()
        await relay.settle()
        assert not await known(relay, "bad")  # nothing has changed
        monkeypatch.setattr(relay.ingest._planner, "_basis", lambda: "another version")
        relay.ingest.check_inbox()
        await relay.settle()
        assert await known(relay, "bad")


async def test_shares_are_planned_when_the_database_works_again(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "RETRY_AFTER", 0.0)
    async with run_relay(tmp_path) as relay:
        works, failures = relay.store.plan_shares, []

        async def full(*arguments, **named):
            failures.append(1)
            if len(failures) < 5:
                raise StoreUnusable("The disk is full.")
            return await works(*arguments, **named)

        monkeypatch.setattr(relay.store, "plan_shares", full)
        await flood(relay, "i1")
        await relay.settle()
        assert await known(relay, "i1")
        assert await relay.store.failed_shares() == ()


async def test_accepting_waits_while_too_many_shares_wait_for_planning(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "MAX_WAITING", 10)
    async with run_relay(tmp_path) as relay:
        plan, held = relay.store.plan_shares, asyncio.Event()

        async def blocked(*arguments, **named):
            await held.wait()
            return await plan(*arguments, **named)

        monkeypatch.setattr(relay.store, "plan_shares", blocked)
        await flood(relay, *(f"i{number}" for number in range(10)))
        waiting = asyncio.ensure_future(relay.ingest.accept(body("late"), {}))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not waiting.done()
        held.set()
        assert (await waiting).incident == "late"


# -- Crashes -----------------------------------------------------------------------------------------------------------

VERBS = ("accept", "inbox_shares", "start_planning", "plan_shares", "due_shares", "resume_inbox", "retry_failed")


class Crash:
    """Stops relay before or after the n-th call of a verb of the inbox: from then on nothing answers."""

    def __init__(self, nth, *, after):
        self.nth, self.after, self.seen = nth, after, 0
        self.happened = asyncio.Event()

    def install(self, relay):
        for name in VERBS:
            setattr(relay.store, name, self._around(getattr(relay.store, name)))

    def _around(self, verb):
        async def effect(*arguments, **named):
            self.seen += 1
            dies = self.seen == self.nth
            if self.happened.is_set() or (dies and not self.after):
                await self._die()
            result = await verb(*arguments, **named)
            if dies:
                await self._die()
            return result

        return effect

    async def _die(self):
        self.happened.set()
        await asyncio.Event().wait()


async def life(folder, crash):
    """Two floods of shares; what a crash left unanswered is sent again. Return what a reader sees in the end."""
    clock = ManualClock()
    slack = fake_workspace(clock)
    floods = [
        [body(f"i{number}", status, changedOn=int(clock.now()) + minute) for number in range(9)]
        for minute, status in enumerate(("critical", "warning"))
    ]
    async with run_relay(folder, slack=slack, clock=clock, dies=True, in_threads=True) as relay:
        crash.install(relay)
        unanswered = await send(relay, floods, crash)
    crashed = crash.happened.is_set()
    async with run_relay(folder, slack=slack, clock=clock, in_threads=True) as relay:
        assert await send(relay, [unanswered], Crash(0, after=False)) == []
        await relay.advance(600)
        assert (await relay.store.backlog(clock.now())).unplanned_shares == 0
        return crashed, visible_messages(relay, "all", "noc")


async def send(relay, floods, crash):
    """Send the floods one after the other; return the bodies that got no answer."""
    unanswered = []
    for bodies in floods:
        tasks = {asyncio.ensure_future(relay.ingest.accept(each, {})): each for each in bodies}
        dead = asyncio.ensure_future(crash.happened.wait())
        left = set(tasks)
        while left and not dead.done():
            _, pending = await asyncio.wait({*left, dead}, return_when=asyncio.FIRST_COMPLETED)
            left &= pending
        dead.cancel()
        for task in left:
            task.cancel()
        unanswered += [tasks[task] for task in tasks if task in left]
        if not crash.happened.is_set():
            settled, dead = asyncio.ensure_future(relay.advance(60)), asyncio.ensure_future(crash.happened.wait())
            await asyncio.wait({settled, dead}, return_when=asyncio.FIRST_COMPLETED)
            for task in (settled, dead):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    return unanswered


# A death before an effect leaves what a death after the previous effect leaves.
@pytest.mark.parametrize("after", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["after", "before"])
async def test_every_accepted_share_is_planned_in_the_end_after_a_crash_at_any_moment(tmp_path, after):
    (tmp_path / "sound").mkdir()
    crashed, expected = await life(tmp_path / "sound", Crash(0, after=False))
    assert not crashed
    assert expected
    nth, crashed = 0, True
    while crashed:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        crashed, seen = await life(folder, Crash(nth, after=after))
        assert sorted(seen) == sorted(expected), nth
    assert nth > 5


async def test_a_share_that_ends_the_process_repeatedly_is_set_aside(tmp_path):
    def decide(context):
        return one_entry(context)

    lives, deaths = 0, []
    while not deaths or deaths[-1]:
        lives += 1
        store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
        if lives == 1:
            await store.accept(
                [
                    received(a_share("deadly", "a", body=body("deadly"))),
                    received(a_share("other", "b", body=body("other"))),
                ],
                decide,
            )
        died = dying_over(store, "deadly")
        inbox_planner = InboxPlanner(
            store, ShareParser("X"), decide, ManualClock(), lambda: None, metrics=Metrics(), basis=lambda: "1.0"
        )
        running = asyncio.ensure_future(inbox_planner.run())
        async with asyncio.timeout(100):
            while not died.is_set() and not await store.failed_shares():  # noqa: ASYNC110  nothing tells it
                await asyncio.sleep(0.01)
        deaths.append(died.is_set())
        assert await count(store, "incident") == (len(deaths) > 2)  # the other share waits for one suspect at most
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()
    assert deaths == [True] * inbox.MAX_STARTS + [False]
    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
    [failed] = await store.failed_shares()
    assert (failed.incident, failed.error) == ("deadly", inbox.SET_ASIDE)
    await store.close()


def dying_over(store, incident):
    """Let the process die whenever it plans that incident."""
    plan, died = store.plan_shares, asyncio.Event()

    async def dying(shares, *arguments, **named):
        if any(share.incident == incident for share in shares.values()):
            died.set()
            await asyncio.Event().wait()
        return await plan(shares, *arguments, **named)

    store.plan_shares = dying
    return died


async def test_only_the_end_of_the_process_counts_as_an_interrupted_planning(tmp_path, monkeypatch):
    """A share that relay tries again and again, since the database fails, is not suspected of ending relay."""
    monkeypatch.setattr(planner, "RETRY_AFTER", 0.0)
    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
    await store.accept([received(a_share("i1", "a", body=body("i1")))], one_entry)
    plan, failures = store.plan_shares, []

    async def failing(*arguments, **named):
        failures.append(1)
        if len(failures) <= 2 * inbox.MAX_STARTS:
            raise StoreUnusable("The disk is full.")
        [again] = await store.due_shares(1e12, 9)
        assert again.starts == 1
        return await plan(*arguments, **named)

    store.plan_shares = failing
    inbox_planner = InboxPlanner(
        store, ShareParser("X"), one_entry, ManualClock(), lambda: None, metrics=Metrics(), basis=lambda: "1.0"
    )
    running = asyncio.ensure_future(inbox_planner.run())
    async with asyncio.timeout(100):
        while not await count(store, "incident"):  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await store.close()


async def test_a_relay_keeps_its_claim_on_a_share_that_takes_longer_than_the_claim():
    clock, parsing = ManualClock(), asyncio.Event()
    with postgresql_with_tables() as url:
        store, other = await Store.open(url), await Store.open(url)
        await store.accept([received(a_share("i1", "a", body=body("i1")))], one_entry)
        clock.advance(2 * inbox.CLAIM_SECONDS)
        parser = ShareParser("X")

        async def slow(_bodies):
            parsing.set()
            await asyncio.Event().wait()

        parser.parse_all = slow
        inbox_planner = InboxPlanner(
            store, parser, one_entry, clock, lambda: None, metrics=Metrics(), basis=lambda: "1.0"
        )
        running = asyncio.ensure_future(inbox_planner.run())
        async with asyncio.timeout(100):
            await parsing.wait()
            for _ in range(5):
                claimed = await other.next_plan_due(clock.now())
                clock.advance(inbox.CLAIM_SECONDS / 2)
                assert await other.due_shares(clock.now(), 9) == ()
                while await other.next_plan_due(clock.now()) == claimed:  # noqa: ASYNC110  nothing tells it
                    await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()
        await other.close()


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_backlog_of_fifty_thousand_shares_is_planned_while_new_ones_are_accepted(tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
    left = [received(parse_share(body(f"i{number}"), {}, 1.7e9)) for number in range(50_000)]
    for start in range(0, len(left), 200):
        await store.accept(left[start : start + 200], one_entry)
    await store.close()

    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
    rulebook = parse_rulebook(ROUTES)
    ingest = IngestService(store, lambda: rulebook, ManualClock(), lambda: None, "X-Relay-Key")
    running = asyncio.ensure_future(ingest.run())
    while await count(store, "incident") == 0:  # noqa: ASYNC110  nothing tells it
        await asyncio.sleep(0.01)
    new = await ingest.accept(body("new"), {})
    assert new.planned
    assert await count(store, "incident") < 25_000
    while not ingest.idle or await store.due_shares(1e12, 1):  # noqa: ASYNC110  nothing tells it
        await asyncio.sleep(0.1)
    assert await count(store, "incident") == 50_001
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await store.close()
