"""Three real relays on one PostgreSQL: each accepts shares, one delivers, and another one can take over."""

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from relay.sandbox.faults import InjectedFault, NoAnswer
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.intervals import intervals
from tests.support.postgres import end_lease, postgresql
from tests.support.relay_process import Process, running

CHANNELS = {"a": "C0LANE000A", "b": "C0LANE000B", "c": "C0LANE000C"}
ROUTES = "version: 1\nroutes:\n" + "".join(
    f"  - {{name: {lane}, match: {{tags: {{lane: {lane}}}}}, post: [{channel}]}}\n"
    for lane, channel in CHANNELS.items()
)
POST = "chat.postMessage"
SOON = intervals(
    {
        "relay.cards.recovery.FIRST_SEARCH_AFTER": 0.2,
        "relay.cards.recovery.SECOND_SEARCH_AFTER": 0.2,
        "relay.ratelimit.budgets.EDIT_SPACING": 0.05,
    }
)
"""What is in doubt is searched for twice at once, and a card is edited again at once."""
HANDOVER = 60.0
"""Seconds within which another relay delivers: the lease holds for twelve, and the machine may be busy."""
LEADERSHIP_EVENTS = ("delivering", "lease_lost", "delivery_interrupted")


@dataclass
class RunningRelay:
    """One of several relays, with the names of its Slack calls in order."""

    process: Process
    calls: list[str] = field(default_factory=list)

    @property
    def delivers(self) -> bool:
        """Whether its last event about leadership is that it delivers."""
        events = [event for line in self.process.logged if (event := line.get("event")) in LEADERSHIP_EVENTS]
        return events[-1:] == ["delivering"]

    async def share(self, incident: str, lane: str, status: str, comment: str = "", at: int = 0) -> None:
        body = {
            "incident": {"id": incident, "status": status, "changedOn": 1_700_000_000 + at},
            "incidentTags": [{"id": "lane", "value": lane}],
        }
        if comment:
            body["metadata"] = {"comment": {"comment": comment}, "sender": {"name": "Dana"}}
        answer = await self.process.share(json.dumps(body))
        assert answer.status == 202


@pytest.fixture
def slack():
    workspace = FakeSlack()
    for lane, channel in CHANNELS.items():
        workspace.add_channel(channel, lane)
    return workspace


@pytest.fixture
def url():
    with postgresql() as url:
        yield url


@pytest.fixture
async def relays(tmp_path, slack, url):
    """Three running relays; each has its own address for Slack, so that its calls can be distinguished."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with AsyncExitStack() as stack:

        async def start_relay() -> RunningRelay:
            calls: list[str] = []
            record_calls = lambda app: app.middlewares.append(_recorder(calls))  # noqa: E731  one line
            address = await stack.enter_async_context(serve_slack(slack, add_routes=record_calls))
            relay = await stack.enter_async_context(running(tmp_path, address, prepare=SOON, RELAY_DATABASE_URL=url))
            return RunningRelay(relay, calls)

        relays = await asyncio.gather(*(start_relay() for _ in range(3)))
        yield relays
        for relay in relays:
            if relay.process.process.returncode is None:
                os.kill(relay.process.process.pid, signal.SIGCONT)


def _recorder(calls):
    from aiohttp import web  # noqa: PLC0415  only for its decorator

    @web.middleware
    async def note(request, handler):
        calls.append(request.path.rpartition("/")[2])
        return await handler(request)

    return note


async def until(condition, seconds=100.0):
    """Wait until the condition holds, and return the seconds that it took."""
    clock = asyncio.get_running_loop().time
    started = clock()
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  another process sets no event
            await asyncio.sleep(0.02)
    return clock() - started


def roots(slack, incident):
    return [
        message
        for lane in CHANNELS
        for message in slack.channel(lane).messages
        if f"'{incident}'" in str(message.metadata) and "relay_card" in str(message.metadata)
    ]


def thread(slack, incident):
    [root] = roots(slack, incident)
    return "\n".join(slack.text_of(reply) for reply in slack.channel(root.channel).thread(root.ts))


async def find_delivering(relays):
    await until(lambda: any(relay.delivers for relay in relays))
    [delivers] = [relay for relay in relays if relay.delivers]
    return delivers, [relay for relay in relays if relay is not delivers]


async def test_another_relay_takes_over_from_a_killed_one_and_no_post_is_lost_or_repeated(relays, slack, url):
    delivering, others = await find_delivering(relays)
    for number, relay in enumerate(relays):
        await relay.share(f"calm{number}", "c", "warning")
    await until(lambda: all(len(roots(slack, f"calm{number}")) == 1 for number in range(3)))
    assert [POST in relay.calls for relay in relays] == [relay is delivering for relay in relays]

    held = [
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=POST, channel=CHANNELS["a"])),
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=POST, channel=CHANNELS["b"], after_effect=True)),
    ]
    await others[0].share("before", "a", "warning")
    await others[1].share("after", "b", "warning")
    await until(lambda: all(fault.applied for fault in held))
    await delivering.process.stop(signal.SIGKILL)
    slack.faults.release()
    end_lease(url)
    assert await until(lambda: any(relay.delivers for relay in others)) < HANDOVER

    for number, relay in enumerate(others):
        await relay.share("before", "a", "critical", comment=f"note {number}", at=number + 1)
    await until(lambda: roots(slack, "after") and roots(slack, "before"))
    await until(lambda: "🔴" in slack.text_of(roots(slack, "before")[0]) and "note 1" in thread(slack, "before"))
    assert [len(roots(slack, name)) for name in ("before", "after", "calm0", "calm1", "calm2")] == [1] * 5
    assert [thread(slack, "before").count(f"note {number}") for number in (0, 1)] == [1, 1]
    posts = [call for call in slack.calls_to(POST) if "'after'" in str(call.arguments)]
    assert len(posts) == 1


# The same without processes is in the suite (`tests/delivery/test_lease_guard.py`).
@pytest.mark.soak
async def test_a_relay_that_sleeps_past_its_lease_sends_nothing_when_it_wakes(relays, slack):
    delivering, others = await find_delivering(relays)
    await delivering.share("early", "a", "warning")
    await until(lambda: roots(slack, "early"))
    slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=POST, channel=CHANNELS["b"], after_effect=True))
    await delivering.share("held", "b", "warning")
    await slack.faults.wait_until_blocked()
    os.kill(delivering.process.process.pid, signal.SIGSTOP)
    for number, relay in enumerate(others):
        await relay.share("early", "a", "critical", comment=f"note {number}", at=number + 1)
    await until(lambda: any(relay.delivers for relay in others), HANDOVER)
    await until(lambda: "🔴" in slack.text_of(roots(slack, "early")[0]) and "note 1" in thread(slack, "early"))

    before = len(delivering.calls)
    os.kill(delivering.process.process.pid, signal.SIGCONT)
    slack.faults.release()
    await until(lambda: not delivering.delivers)
    await others[0].share("late", "a", "warning")
    await until(lambda: roots(slack, "late"))
    assert delivering.calls[before:] == []
    assert sum(relay.delivers for relay in relays) == 1
    assert not delivering.delivers
    assert [len(roots(slack, name)) for name in ("early", "held", "late")] == [1, 1, 1]
    assert [thread(slack, "early").count(f"note {number}") for number in (0, 1)] == [1, 1]
