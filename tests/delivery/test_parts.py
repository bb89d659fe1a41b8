"""The parts of delivery: when each looks for work, what wakes it, and what becomes of the others if one fails."""

import asyncio
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.eligibility import Work
from relay.delivery.parts import LOOK_AGAIN_AFTER, DeliveryPart, do_due
from relay.delivery.supervision import supervise
from relay.demo.clock import wait_until_idle
from relay.model.errors import StoreUnusable
from tests.support.clocks import ManualClock
from tests.support.relay_in_process import run_relay

NOW = 1_700_000_000.0


class Running:
    """A part under its supervision, with time of its own."""

    def __init__(self, part, may_call=lambda: True):
        self.part, self.clock, self.stopping = part, ManualClock(NOW), asyncio.Event()
        self._may_call = may_call
        self.woken_before_restart = 0

    async def __aenter__(self):
        work = partial(self.part.run, self._may_call, self.clock)
        self._task = asyncio.create_task(
            supervise(
                *(self.part.name, work, self.part.wakeup, self.stopping, self.clock), before_restart=self._wake_others
            ),
            name=self.part.name,
        )
        await self.settle()
        return self

    async def __aexit__(self, *_):
        self.stopping.set()
        await self.wake(settle=False)
        await self._task

    def _wake_others(self):
        self.woken_before_restart += 1

    async def settle(self):
        await wait_until_idle(lambda: self.part.wakeup.is_idle and not self.clock.rousing)

    async def advance(self, seconds):
        self.clock.advance(seconds)
        await self.settle()

    async def wake(self, *, settle=True):
        self.part.wakeup.set()
        if settle:
            await self.settle()


async def test_a_part_looks_when_its_time_has_come_and_when_it_is_woken():
    looked = []

    async def turn():
        looked.append(running.clock.now() - NOW)
        return NOW + 60 if len(looked) == 1 else None

    running = Running(DeliveryPart("some", turn))
    async with running:
        await running.advance(59)
        assert looked == [0]
        await running.advance(1)
        assert looked == [0, 60]
        await running.advance(3600)
        assert looked == [0, 60]
        await running.wake()
        assert looked == [0, 60, 3660]


@pytest.mark.parametrize("calls_slack", [True, False])
async def test_only_a_part_that_calls_slack_waits_until_slack_accepts_calls(calls_slack):
    looked, accepts = [], False

    async def turn():
        looked.append(accepts)

    async with Running(DeliveryPart("some", turn, calls_slack=calls_slack), lambda: accepts) as running:
        accepts = True
        await running.wake()
        assert looked == ([True] if calls_slack else [False, True])


async def test_a_part_that_failed_wakes_the_others_and_prepares_itself_again():
    done = []

    async def prepare():
        done.append("begin")

    async def turn():
        done.append("turn")
        if len(done) < 3:
            raise StoreUnusable("it is gone")

    async with Running(DeliveryPart("some", turn, begin=prepare)) as running:
        assert (done, running.woken_before_restart) == (["begin", "turn"], 0)
        await running.advance(60)
        assert running.woken_before_restart == 1
        assert done == ["begin", "turn", "begin", "turn"]


@given(st.lists(st.integers(-30, 30), max_size=8), st.integers(0, 8))
def test_what_is_due_is_done_in_order_until_something_has_to_wait(moments, waits_at):
    """`moments` are the seconds from now at which each is due; the one with the number `waits_at` has to wait."""
    clock, due, done = ManualClock(NOW), sorted(moments), []

    async def next_due():
        return NOW + due[0] if due else None

    async def do_next(now):
        assert now == NOW
        if len(done) == waits_at:
            return False
        done.append(due.pop(0))
        return True

    again = asyncio.run(do_due(next_due, do_next, clock))
    may_be_done = [each for each in sorted(moments) if each <= 0]
    assert done == may_be_done[:waits_at]
    if len(may_be_done) > waits_at:
        assert again == NOW + LOOK_AGAIN_AFTER
    else:
        assert again == (NOW + due[0] if due else None)


async def test_each_kind_of_work_wakes_a_part_and_each_part_has_a_name_of_its_own(tmp_path):
    async with run_relay(tmp_path) as relay:
        service = relay.delivery
        assert {kind for kind, _ in service._lookers if kind} == set(Work) - {Work.TASK}
        names = [part.name for part in service._parts]
        assert len(set(names)) == len(names)
