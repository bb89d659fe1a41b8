"""A relay that dies at any step while somebody takes the incidents of a storm: each is assigned, and said, once.

Each effect is a point, as in `test_crash_points`: relay dies right before the n-th, or right after it.
"""

import asyncio
from contextlib import suppress

import pytest

from relay.demo.clock import SimulatedClock
from tests.actions.test_batches import ROUTES, flood, owners, press_take, reports
from tests.actions.test_crash_points import Death, finish
from tests.support.bigpanda_round_trip import ANN, START, fake_organisation, fake_workspace, run_round_trip


async def take(folder, monkeypatch, point, *, after):
    """Return what people see in the end, and whether relay died at that point after the modal was confirmed."""
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    death = Death(monkeypatch)
    async with run_round_trip(folder, routes=ROUTES, slack=slack, panda=panda, clock=clock, dies=True) as storm:
        await flood(storm, 5)
        await press_take(storm)
        [question] = slack.open_views(ANN)
        death.in_(point, after=after)
        confirming = asyncio.create_task(slack.submit(ANN, question, {}))
        dying = asyncio.create_task(death.died.wait())
        done = asyncio.create_task(finish(storm, confirming))
        await asyncio.wait([dying, done], return_when=asyncio.FIRST_COMPLETED, timeout=30)
        for each in (dying, done, confirming):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each
        died = death.died.is_set()
    death.never()
    async with run_round_trip(folder, routes=ROUTES, slack=slack, panda=panda, clock=clock) as storm:
        if slack.open_views(ANN):  # Slack shows an error, or sends it again: the person confirms once more
            await slack.submit(ANN, slack.open_views(ANN)[-1], {})
            await storm.settle()
        await storm.advance(600)
        return (owners(storm, 5), reports(storm)), died


def check(seen, point):
    owned, said = seen
    assert owned == ["", "", *["Ann Lee"] * 3], point
    assert said == ["👤 *Ann Lee* took 3 incidents"], point


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # who dies closes no connection
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_relay_that_dies_at_any_effect_of_a_batch_loses_and_repeats_nothing(tmp_path, after):
    died, point = True, 1
    while died:
        folder = tmp_path / str(point)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            seen, died = await take(folder, patch, point, after=after)
        check(seen, point)
        point += 1
    assert point > 12


@pytest.mark.parametrize(("point", "after"), [(1, True), (5, False), (9, True)])
async def test_a_relay_that_dies_during_a_batch_loses_and_repeats_nothing(tmp_path, monkeypatch, point, after):
    seen, died = await take(tmp_path, monkeypatch, point, after=after)
    assert died
    check(seen, point)
