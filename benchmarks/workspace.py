"""A Slack workspace with channels for relay, routes to these channels, and shares that match the routes."""

import asyncio
from collections.abc import Sequence

import orjson

from relay.sandbox.slack.server import FakeSlack


def channels_of(slack: FakeSlack, count: int) -> list[str]:
    """Add `count` channels with relay as a member, and return their ids; one page of the list contains all."""
    channels = [f"C0BENCH{number:04}" for number in range(count)]
    for number, channel in enumerate(channels):
        slack.add_channel(channel, f"bench-{number}", member=True)
    return channels


def routes_to(channels: Sequence[str]) -> str:
    """A routes.yaml with a route to each channel, by a tag that names it; every incident gets its card at once."""
    rows = [
        f"  - {{name: r{number}, match: {{tags: {{lane: {channel}}}}}, post: ['#bench-{number}']}}\n"
        for number, channel in enumerate(channels)
    ]
    return "version: 1\nstorm: off\nroutes:\n" + "".join(rows)


def routed(body: bytes, channel: str) -> bytes:
    """Return the share with the tag for that channel; a server without routes reads the channel of the incident."""
    share = orjson.loads(body)
    share["incident"]["channel"] = channel
    share["incidentTags"] = [*share.get("incidentTags", ()), {"id": "lane", "name": "lane", "value": channel}]
    return orjson.dumps(share)


async def all_found(slack: FakeSlack) -> None:
    """Wait until relay has read the list of channels."""
    async with asyncio.timeout(120):
        while not slack.calls_to("conversations.list"):  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
