"""A clock that is set, at any point of an incident's life, delays nothing and doubles nothing."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Never

import pytest

from relay.ingest import service
from relay.sandbox.faults import SERVER_ERROR, DropConnection, InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack
from relay.store.monitor import CHECK_EVERY, StoreMonitor
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, THREAD_PHRASES, cards, find_faults
from tests.support.relay_in_process import RelayInProcess, run_relay

POST = "chat.postMessage"
HOUR = 3600.0
WAIT_ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], any: [here]}}, {channel: C0DB000001, wait: 2m}]
"""


class Life:
    """The life of an incident in which much goes wrong at first; every step ends with some seconds.

    Slack and BigPanda have clocks of their own: `relay.clock.monotonic` is the true time.
    """

    def __init__(self, relay: RelayInProcess) -> None:
        self.relay, self.slack = relay, relay.slack

    async def share(self, **values: object) -> None:
        await self.relay.share(changedOn=int(self.relay.clock.monotonic()), **values)

    async def refused(self) -> None:
        """Slack fails, so that relay searches for the card, and posts it again."""
        self.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST))
        await self.share(status="warning", alerts=[ALERT])
        await self.relay.advance(4)

    async def posted(self) -> None:
        await self.relay.advance(30)

    async def lost(self) -> None:
        """The answer to a reply is lost, so that relay searches for it after some seconds."""
        self.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, after_effect=True))
        await self.share(status="critical")
        await self.relay.advance(3)

    async def searched(self) -> None:
        await self.relay.advance(40)

    async def limited(self) -> None:
        """Slack allows no post for twenty seconds."""
        self.slack.faults.add(InjectedFault(behaviour=rate_limited(20), method=POST))
        comment = {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}
        await self.share(metadata=comment)
        await self.relay.advance(5)

    async def allowed(self) -> None:
        await self.relay.advance(40)

    async def unplanned(self) -> None:
        """The next share cannot be planned at first, so that it waits in the inbox."""
        plan = service.plan

        def fail_once(*_: object, **_named: object) -> Never:
            service.plan = plan
            raise ZeroDivisionError("a bug")

        service.plan = fail_once
        await self.share(status="ok")
        await self.relay.advance(3)

    async def ended(self) -> None:
        await self.relay.advance(120)

    @property
    def steps(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        parts = (self.refused, self.posted, self.lost, self.searched, self.limited, self.allowed, self.unplanned)
        return (*parts, self.ended)


STEPS = 8


async def lived(folder, at: int, seconds: float) -> tuple[list[str], dict[str, float]]:
    """Live with a clock that is set by so many seconds after a step; return what is wrong, and when what appeared."""
    clock = ManualClock()
    slack = FakeSlack(clock=clock.monotonic, sleep=clock.sleep)
    for channel, name in (("C0ALL00001", "all"), ("C0NOC00001", "noc"), ("C0DB000001", "db")):
        slack.add_channel(channel, name)
    async with run_relay(folder, routes=WAIT_ROUTES, slack=slack, clock=clock) as relay:

        def look() -> None:
            relay.leader.wake(everything=True)
            relay.ingest.check_inbox()

        monitor = StoreMonitor(relay.store, clock, is_leader=lambda: True, on_problem=lambda _: None, on_change=look)
        await monitor.start()
        began = clock.monotonic()
        for number, step in enumerate(Life(relay).steps):
            await step()
            if number == at:
                clock.step(seconds)
                await monitor.check()
                await relay.settle()
        return find_faults(relay, "i1"), {what: when - began for what, when in appeared(relay).items()}


def appeared(relay: RelayInProcess) -> Mapping[str, float]:
    """When each card and each paragraph of its thread came to be in Slack."""
    found = {}
    for channel in ("all", "db"):
        for card in cards(relay, "i1", channel):
            found[f"card in {channel}"] = card.posted_at
            for reply in relay.slack.channel(channel).thread(card.ts):
                text = relay.slack.text_of(reply)
                found |= {f"{each} in {channel}": reply.posted_at for each in THREAD_PHRASES if each in text}
    return found


AS_EVER: dict[str, float] = {}
"""When what appears if nobody sets the clock."""


@pytest.mark.parametrize(
    ("seconds", "at"),
    [
        *((-HOUR, at) for at in (0, 2, 4, 6)),
        (HOUR, 2),
        *(pytest.param(HOUR, at, marks=pytest.mark.soak) for at in (0, 4, 6)),
        *(pytest.param(step, at, marks=pytest.mark.soak) for step in (-30.0, -400 * 24 * HOUR) for at in range(STEPS)),
    ],
)
async def test_every_wait_ends_once_and_in_time_after_a_change_of_the_clock(tmp_path, seconds, at):
    if not AS_EVER:
        (tmp_path / "as ever").mkdir()
        faults, found = await lived(tmp_path / "as ever", -1, 0.0)
        assert faults == []
        AS_EVER.update(found)
    faults, appears = await lived(tmp_path, at, seconds)
    assert faults == []
    late = {what: (when, appears[what]) for what, when in AS_EVER.items() if appears[what] > when + CHECK_EVERY}
    assert late == {}
