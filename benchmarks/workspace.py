"""A Slack workspace with channels for relay to post to: routes that lead there, and shares that take them."""

import asyncio
from collections.abc import Sequence

import orjson

from relay.sandbox.slack.server import FakeSlack


def channels_of(slack: FakeSlack, count: int) -> list[str]:
    """Make so many channels; gives their ids. Relay is in them, and finds all of them by one reading of the list."""
    channels = [f"C0BENCH{number:04}" for number in range(count)]
    for number, channel in enumerate(channels):
        slack.add_channel(channel, f"bench-{number}", member=True)
    return channels


def routes_to(channels: Sequence[str]) -> str:
    """A routes.yaml with a route to each channel, by a tag that names it."""
    rows = [
        f"  - {{name: r{number}, match: {{tags: {{lane: {channel}}}}}, post: ['#bench-{number}']}}\n"
        for number, channel in enumerate(channels)
    ]
    return "version: 1\nroutes:\n" + "".join(rows)


def routed(body: bytes, channel: str) -> bytes:
    """The share as it takes the route to that channel; what keeps no routes finds the channel in the incident."""
    share = orjson.loads(body)
    share["incident"]["channel"] = channel
    share["incidentTags"] = [*share.get("incidentTags", ()), {"id": "lane", "name": "lane", "value": channel}]
    return orjson.dumps(share)


async def all_found(slack: FakeSlack) -> None:
    """Wait until relay has looked its channels up."""
    async with asyncio.timeout(120):
        while not slack.calls_to("conversations.list"):  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
