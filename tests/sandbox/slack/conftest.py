"""A workspace with a few channels, a clock that only tests move, and a connected official client."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack.channel import FakeChannel
from relay.sandbox.slack.server import FakeSlack, serve_slack


class Clock:
    """A clock that moves only when a test sets `now` or something sleeps."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> FakeSlack:
    slack = FakeSlack(clock=clock, sleep=clock.sleep)
    slack.add_channel("C0000000NOC", "noc", member=True)
    slack.add_channel("C000000OPEN", "open")
    slack.add_channel("C0000SECRET", "secret", private=True)
    slack.add_user("U00000000AN", "ann", email="Ann@example.com")
    slack.add_usergroup("S0000000DBA", "db-oncall", users=["U00000000AN"])
    return slack


@pytest.fixture
def noc(slack: FakeSlack) -> FakeChannel:
    return slack.channel("noc")


@pytest.fixture
async def base_url(slack: FakeSlack) -> AsyncIterator[str]:
    async with serve_slack(slack) as base_url:
        yield base_url


@pytest.fixture
def client(slack: FakeSlack, base_url: str) -> AsyncWebClient:
    return AsyncWebClient(slack.token, base_url=base_url, retry_handlers=[])


@pytest.fixture
def rejection() -> Callable[[Awaitable[Any]], Awaitable[Any]]:
    """Await a call that Slack must reject, and return the response."""

    async def rejection(call: Awaitable[Any]) -> Any:
        with pytest.raises(SlackApiError) as caught:
            await call
        return caught.value.response

    return rejection
