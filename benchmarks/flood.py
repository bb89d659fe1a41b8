"""A flood of 1,000 incidents in a minute into three channels: what readers get with the default `storm`, and without.

`python -m benchmarks.flood` prints the table. Time is simulated, and Slack's rate limits hold in it; everything else is
real. A tenth of the incidents are critical, and they belong to 40 services; half of them resolve after five minutes.
"""

import asyncio
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from relay.sandbox.slack.mentions import pings
from tests.support.relay_in_process import RelayInProcess, run_relay

INCIDENTS, SECONDS, SERVICES, MINUTES, RESOLVED_IN = 1_000, 60, 40, 30, 6
CHANNELS = {"C0ALL00001": "all", "C0NOC00001": "noc", "C0DB000001": "db"}
ROUTES = """
version: 1
storm: {storm}
defaults: {{show_tags: [service]}}
routes:
"""
ROUTE = """
  - name: {name}
    match: {{tags: {{team: {name}}}}}
    post: [{{channel: {channel}, mention: {{critical: [S0CRIT], warning: [S0WARN]}}}}]
"""


@dataclass(slots=True)
class Result:
    """What readers of all channels got, and after how many minutes each incident was named there."""

    roots: int = 0
    replies: int = 0
    edits: int = 0
    pings: int = 0
    named_after: float = 0.0
    critical_cards_after: float = 0.0


async def flood(storm: str) -> Result:
    """Run the flood with that value of `storm`."""
    routes = ROUTES.format(storm=storm) + "".join(
        ROUTE.format(name=name, channel=channel) for channel, name in CHANNELS.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        async with run_relay(Path(folder), routes=routes) as relay:
            for number in range(INCIDENTS):
                await share(relay, number, "critical" if number % 10 == 0 else "warning")
                if number * SECONDS // INCIDENTS != (number + 1) * SECONDS // INCIDENTS:
                    await relay.advance(1)
            result = Result()
            for minute in range(1, MINUTES + 1):
                if minute == RESOLVED_IN:
                    for number in range(1, INCIDENTS, 2):
                        await share(relay, number, "ok")
                await relay.advance(60)
                note_progress(relay, result, minute + 1.0)
            count(relay, result)
            return result


async def share(relay: RelayInProcess, number: int, status: str) -> None:
    """Let BigPanda share one of the incidents."""
    team = list(CHANNELS.values())[number % 3]
    tags = [{"id": "service", "value": f"service-{number % SERVICES}"}, {"id": "team", "value": team}]
    ended = status == "ok"
    await relay.share(f"n{number:04}n", status=status, resolved=ended, active=not ended, incidentTags=tags)


def note_progress(relay: RelayInProcess, result: Result, minute: float) -> None:
    """Note when all incidents are named, and when all critical ones have a card."""
    texts, roots = [], []
    for name in CHANNELS.values():
        channel = relay.slack.channel(name)
        for root in channel.messages:
            roots.append(relay.slack.text_of(root))
            texts += [relay.slack.text_of(each) for each in (root, *channel.thread(root.ts))]
    every, cards = "\n".join(texts), "\n".join(roots)
    if not result.named_after and all(f"n{number:04}n" in every for number in range(INCIDENTS)):
        result.named_after = minute
    if not result.critical_cards_after and all(f"n{number:04}n" in cards for number in range(0, INCIDENTS, 10)):
        result.critical_cards_after = minute


def count(relay: RelayInProcess, result: Result) -> None:
    """Count what was sent."""
    for name in CHANNELS.values():
        channel = relay.slack.channel(name)
        roots = [each for each in channel.messages if each.thread_ts is None]
        replies = [each for root in roots for each in channel.thread(root.ts)]
        result.roots += len(roots)
        result.replies += len(replies)
        result.pings += sum(bool(pings(each)) for each in {each.ts: each for each in (*roots, *replies)}.values())
    result.edits = sum(call.method == "chat.update" for call in relay.slack.calls)


async def main() -> None:
    """Print both results."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print("| | `storm: off` | default |\n|---|---|---|")
    off, default = await flood("off"), await flood("{over: 30, within: 5m, by: service}")
    for title, name in (
        ("messages in the channels", "roots"),
        ("replies in threads", "replies"),
        ("edits", "edits"),
        ("messages that ping", "pings"),
        ("minutes until every incident is named", "named_after"),
        ("minutes until every critical incident has a card", "critical_cards_after"),
    ):
        print(f"| {title} | {getattr(off, name):g} | {getattr(default, name):g} |")


if __name__ == "__main__":
    asyncio.run(main())
