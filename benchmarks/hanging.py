"""The time to accept a share while Slack never answers, against the time while Slack answers."""

from pathlib import Path

from benchmarks.accepting import RATE, SECONDS
from benchmarks.measure import relay, shares, steadily
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routed, routes_to
from relay.sandbox.faults import InjectedFault, NoAnswer
from relay.sandbox.slack.server import FakeSlack, serve_slack

P99_MS = 50.0
CHANNELS = 20
"""More than the number of calls that relay makes at the same time, each for another channel."""


async def measure(folder: Path) -> list[Figure]:
    slack = FakeSlack()
    channels = channels_of(slack, CHANNELS)
    async with serve_slack(slack) as url, relay(folder, routes_to(channels), slack=url) as server:
        await all_found(slack)
        answered = await steadily(server.port, _bodies("answered-", channels), RATE)
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method="chat.postMessage", times=None))
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method="chat.update", times=None))
        hung = await steadily(server.port, _bodies("hung-", channels), RATE)
        waiting = sum(call.answer is None for call in slack.calls)
        slack.faults.release()
    return [
        Figure(
            what=f"99th percentile of accepting at {RATE} shares per second while Slack hangs, against while "
            "it answers",
            measured=f"{hung} against {answered}",
            wanted=f"at most {P99_MS:.0f} ms",
            met=hung.p99_ms <= P99_MS and waiting > 0,
            note=f"{SECONDS} seconds each, cards for {CHANNELS} channels; {waiting} calls waited for an answer; the "
            f"generator's own lateness is {hung.late_ms:.1f} ms",
        )
    ]


def _bodies(prefix: str, channels: list[str]) -> list[bytes]:
    bodies = shares(prefix, RATE * SECONDS)
    return [routed(body, channels[number // 5 % len(channels)]) for number, body in enumerate(bodies)]
