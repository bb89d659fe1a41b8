"""Whoever was asleep past its lease calls nobody, even with a call already decided on."""

import asyncio

import pytest
from clocks import ManualClock
from house import open_house
from lifetimes import cards
from soak import postgresql

from relay.delivery.tenure import Tenure
from relay.errors import LeaseLost


@pytest.fixture
def url():
    with postgresql() as address:
        yield address


def test_without_a_lease_nothing_runs_out():
    clock = ManualClock()
    tenure = Tenure(clock)
    clock.advance(1e9)
    tenure.check()


def test_a_tenure_ends_so_long_after_it_was_asked_for():
    clock = ManualClock()
    tenure = Tenure(clock)
    asked = clock.steady()
    clock.advance(5)
    tenure.extend(asked, 12)
    clock.advance(6.9)
    tenure.check()
    clock.advance(0.2)
    with pytest.raises(LeaseLost, match="nothing is sent"):
        tenure.check()
    tenure.extend(clock.steady(), 12)
    tenure.check()


async def test_a_relay_that_slept_between_the_decision_and_the_call_does_not_call(tmp_path, url):
    async with open_house(tmp_path, url=url) as house:
        pick, slept = house.store.pick, []

        async def sleepy(*arguments, **named):
            picked = await pick(*arguments, **named)
            if isinstance(picked, tuple) and not slept:
                slept.append(house.clock.now())
                house.clock.advance(13)
            return picked

        house.store.pick = sleepy
        await house.share("one", status="warning")
        async with asyncio.timeout(20):
            while not slept or house.sender.health.delivering:  # noqa: ASYNC110  no bell rings when delivery ends
                await asyncio.sleep(0.002)
        assert house.slack.called("chat.postMessage") == []
        house.clock.advance(1)
        await house.after(60)
        assert len(cards(house, "one")) == 1
        assert len(house.slack.called("chat.postMessage")) == 1
