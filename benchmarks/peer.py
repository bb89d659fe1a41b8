"""`python -m benchmarks.peer`: relay beside Prometheus' Alertmanager, in the same run, with the same fake Slack.

Both get as many incidents over HTTP, one alert each, and post them to the same channels. It measures the time to the
call to Slack, a storm, what a `kill -9` right after the answer loses, and memory; it writes PEER.md. It needs
Debian's package `prometheus-alertmanager`, and uses no network but this machine's own.
"""

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

import relay as relay_package
from benchmarks.idle import until_called
from benchmarks.measure import (
    HERE,
    Connection,
    Server,
    free_port,
    machine,
    percentile,
    relay,
    request,
    running,
    shares,
)
from benchmarks.workspace import all_found, channels_of, routed, routes_to
from relay.sandbox.slack.server import FakeSlack, serve_slack

PROGRAM = "prometheus-alertmanager"
PACE = 0.35
"""Seconds between two incidents whose time is measured; Slack allows one post a second in a channel."""
CHANNELS, STORM_CHANNELS = 12, 3
STORM_RATE = 1000 / 60
"""Incidents per second of the storm."""
STORM_LIMIT = 1.5
"""A storm is given up after this many times the seconds that Slack's limit, a post a second in a channel, needs."""
REAPPEARS_WITHIN = 10.0
"""Seconds after a restart in which an incident has to be posted."""

_INCIDENT = re.compile(rb"peer-\w+-\d+-")


@dataclass(frozen=True, slots=True)
class Program:
    """A program to measure: how it starts, and the request that tells it of an incident for a channel."""

    name: str
    start: Callable[[Path, str, Sequence[str]], AbstractAsyncContextManager[Server]]
    request: Callable[[str, str, int], bytes]
    version: str


def relay_program() -> Program:
    def start(folder: Path, slack: str, channels: Sequence[str]) -> AbstractAsyncContextManager[Server]:
        return relay(folder, routes_to(channels), slack=slack)

    def share(incident: str, channel: str, port: int) -> bytes:
        (body,) = shares(incident, 1)
        return request(routed(body, channel), port)

    return Program("relay", start, share, relay_package.__version__)


def alertmanager(name: str, group_by: str) -> Program:
    """Alertmanager, with a message for each value of a label: `incident`, or `lane` (the channel)."""

    @asynccontextmanager
    async def start(folder: Path, slack: str, channels: Sequence[str]) -> AsyncIterator[Server]:
        port = free_port()
        (folder / "alertmanager.json").write_bytes(orjson.dumps(_configuration(slack, channels, group_by)))
        command = [
            PROGRAM,
            f"--config.file={folder / 'alertmanager.json'}",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",  # no other Alertmanager
        ]
        with (folder / "alertmanager.log").open("ab") as log:
            async with running(command, {"PATH": os.environ["PATH"]}, port, log.fileno()) as server:
                yield server

    def alert(incident: str, channel: str, port: int) -> bytes:
        labels = {"alertname": "CPU", "incident": f"{incident}0", "lane": channel, "severity": "critical"}
        body = orjson.dumps([{"labels": labels, "annotations": {"description": "CPU is 98%"}}])
        return request(body, port, "/api/v2/alerts")

    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)  # noqa: S603  our own command
    return Program(name, start, alert, (version.stdout + version.stderr).split("version ")[1].split()[0].rstrip(","))


def _configuration(slack: str, channels: Sequence[str], group_by: str) -> dict[str, object]:
    """Alertmanager's configuration (JSON is YAML); PEER.md says why it waits so long."""
    receivers = [
        {
            "name": channel,
            "slack_configs": [
                {
                    "api_url": f"{slack}chat.postMessage",
                    "http_config": {"authorization": {"credentials": "xoxb-sandbox"}},
                    "channel": channel,
                    "username": "",
                    "text": "{{ range .Alerts }}{{ .Labels.incident }}: {{ .Annotations.description }}\n{{ end }}",
                }
            ],
        }
        for channel in channels
    ]
    return {
        "route": {
            "receiver": channels[0],
            "group_by": [group_by],
            "group_wait": "0s" if group_by == "incident" else "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
            "routes": [{"matchers": [f'lane="{channel}"'], "receiver": channel} for channel in channels],
        },
        "receivers": receivers,
    }


# -- What is measured --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from a request to the call to Slack, and megabytes at rest."""

    median: float
    p99: float
    megabytes: float


async def latencies(folder: Path, programs: Sequence[Program], count: int) -> list[Latency]:
    """Measure the programs in turn, one incident at a time."""
    slack = FakeSlack()
    channels = channels_of(slack, CHANNELS)
    took: list[list[float]] = [[] for _ in programs]
    async with serve_slack(slack) as url, _all_started(folder, url, channels, programs) as servers:
        await all_found(slack)
        megabytes = [server.megabytes for server in servers]
        connections = [await Connection.connect(server.port) for server in servers]
        for number in range(-CHANNELS, count):  # those before 0 warm the programs up
            for program, server, connection, times in zip(programs, servers, connections, took, strict=True):
                sent = program.request(f"peer-idle-{number + CHANNELS}-", channels[number % CHANNELS], server.port)
                seconds = await until_called(slack, connection, sent)
                times.extend([seconds * 1000] if number >= 0 else [])
                await asyncio.sleep(PACE / len(programs))
    return [
        Latency(statistics.median(times), percentile(times, 99), most)
        for times, most in zip(took, megabytes, strict=True)
    ]


@asynccontextmanager
async def _all_started(
    folder: Path, slack: str, channels: Sequence[str], programs: Sequence[Program]
) -> AsyncIterator[list[Server]]:
    if not programs:
        yield []
        return
    first, *others = programs
    async with (
        first.start(_made(folder / first.name), slack, channels) as server,
        _all_started(folder, slack, channels, others) as servers,
    ):
        yield [server, *servers]


@dataclass(frozen=True, slots=True)
class Storm:
    """Seconds until Slack showed all incidents, how many it showed, and what was called for that."""

    seconds: float
    named: int
    messages: int
    rate_limited: int
    megabytes: float


async def storm(folder: Path, program: Program, incidents: int) -> Storm:
    """Send the incidents of a storm for three channels, and wait until a message names each of them."""
    slack = FakeSlack()
    slack.limits.enabled = True
    channels = channels_of(slack, STORM_CHANNELS)
    async with serve_slack(slack) as url, program.start(folder, url, channels) as server:
        await asyncio.sleep(5.0)  # relay reads Slack's list of channels
        connection, started = await Connection.connect(server.port), time.time()
        limit = started + max(incidents / STORM_CHANNELS, incidents / STORM_RATE) * STORM_LIMIT + 30
        for number in range(incidents):
            await asyncio.sleep(started + number / STORM_RATE - time.time())
            sent = program.request(f"peer-storm-{number}-", channels[number % STORM_CHANNELS], server.port)
            _check(await connection.send(sent))
        while len(named := _named(slack)) < incidents and time.time() < limit:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.5)
        calls = [call for call in slack.calls if call.method in ("chat.postMessage", "chat.update")]
        return Storm(
            seconds=max(named.values()) - started,
            named=len(named),
            messages=sum(call.took_effect and call.method == "chat.postMessage" for call in calls),
            rate_limited=sum(call.status == 429 for call in calls),  # noqa: PLR2004  Too Many Requests
            megabytes=server.most_megabytes,
        )


@dataclass(frozen=True, slots=True)
class Survival:
    """How many of the incidents were posted at least once, and how many twice or more."""

    tries: int
    posted: int
    doubled: int


async def survival(folder: Path, program: Program, tries: int) -> Survival:
    """Kill the program at once after it accepted an incident, start it again, and wait for the incident."""
    slack = FakeSlack()
    channels = channels_of(slack, tries)
    async with serve_slack(slack) as url:
        for number, channel in enumerate(channels):
            incident = f"peer-kill-{number}-"
            async with program.start(folder, url, channels) as server:
                connection = await Connection.connect(server.port)
                _check(await connection.send(program.request(incident, channel, server.port)))
                server.process.kill()
                await server.process.wait()
            async with program.start(folder, url, channels):
                with suppress(TimeoutError):
                    async with asyncio.timeout(REAPPEARS_WITHIN):
                        while incident.encode() not in _named(slack):  # noqa: ASYNC110  the same
                            await asyncio.sleep(0.1)
        posts = Counter(
            name
            for call in slack.calls_to("chat.postMessage")
            if call.took_effect
            for name in set(_INCIDENT.findall(orjson.dumps(call.arguments)))
        )
    return Survival(tries, len(posts), sum(count > 1 for count in posts.values()))


def _named(slack: FakeSlack) -> dict[bytes, float]:
    """Return when each incident was first in a message that Slack shows (Unix seconds)."""
    named: dict[bytes, float] = {}
    for call in slack.calls_to("chat.postMessage"):
        if call.took_effect:
            for incident in _INCIDENT.findall(orjson.dumps(call.arguments)):
                named.setdefault(incident, call.at)
    return named


def _check(status: int) -> None:
    if status not in (200, 202):
        raise SystemExit(f"answered {status}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


# -- The report --------------------------------------------------------------------------------------------------------

HOW = f"""
`python -m benchmarks.peer` measures this again; it needs Debian's package `{PROGRAM}`, and takes 25 minutes.
Both programs ran on the same machine in the same run and posted to the same fake Slack, which has Slack's rate limits
during the storm.

* **Configuration of Alertmanager.** Its `group_wait` is 0 s with a message for each incident, and 1 s with a message
  for each channel; the default is 30 s, but relay does not wait on purpose either. Its `group_interval` is 5 s, not 5
  min, because Alertmanager repeats a call that Slack has rate-limited only after that interval. With a message for
  each channel, the idle times consist of these two.
* **Messages.** A message for each incident is what relay makes. With a message for each channel, which is how
  Alertmanager deals with a storm, each message lists all incidents of the channel that fire, and each change posts
  the whole list again. A message of Alertmanager stays as it is; relay edits its card, and replies in its thread.
* **Kill.** Alertmanager keeps alerts in memory, by design: Prometheus sends each alert again every minute while it
  fires. So the loss is a delay where Prometheus is the sender. BigPanda sends a share once, so relay stores it before
  it answers.
* **Storage.** Relay commits each incident to SQLite before it answers; Alertmanager writes nothing for an alert.
  That, and a card from templates instead of a text, is what relay's time and memory pay for.
"""


def report(  # noqa: PLR0913  each is a part of it
    programs: Sequence[Program],
    idle: Sequence[Latency],
    storms: Sequence[Storm],
    kills: Sequence[Survival],
    *,
    count: int,
    load: float,
) -> str:
    incidents = max(each.named for each in storms)
    rows = [
        ("", *(program.name for program in programs)),
        ("---",) * (len(programs) + 1),
        ("incident in to call to Slack, idle: median", *(f"{each.median:.1f} ms" for each in idle)),
        (f"the same: 99th percentile of {count}", *(f"{each.p99:.1f} ms" for each in idle)),
        ("memory at rest", *(f"{each.megabytes:.0f} MB" for each in idle)),
        (
            f"storm of {incidents:,}, {STORM_RATE:.0f} per second, for {STORM_CHANNELS} channels, until all are shown",
            *(f"{each.seconds:.0f} s{'' if each.named == incidents else f' ({each.named:,} only)'}" for each in storms),
        ),
        ("its messages", *(f"{each.messages:,}" for each in storms)),
        ("its calls that Slack rate-limited", *(f"{each.rate_limited:,}" for each in storms)),
        ("most memory during it", *(f"{each.megabytes:.0f} MB" for each in storms)),
        ("`kill -9` after the answer, then a restart: posted", *(f"{each.posted} of {each.tries}" for each in kills)),
        ("the same: posted twice", *(f"{each.doubled} of {each.tries}" for each in kills)),
    ]
    versions = f"relay {programs[0].version} and Alertmanager {programs[1].version}"
    where = f"{machine()}. Load before the run: {load:.1f}."
    head = f"# Compared with Alertmanager\n\n{versions}, {datetime.now(UTC):%Y-%m-%d}, on {where}"
    return f"{head}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n{HOW}"


async def compare(*, count: int, incidents: int, tries: int) -> str:
    load = os.getloadavg()[0]
    programs = [
        relay_program(),
        alertmanager("Alertmanager, a message for each incident", "incident"),
        alertmanager("Alertmanager, a message for each channel", "lane"),
    ]
    with tempfile.TemporaryDirectory(prefix="relay-peer-", dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name)
        idle = await latencies(folder / "idle", programs, count)
        print(*idle, sep="\n", flush=True)
        kills = [await survival(_made(folder / "kill" / each.name), each, tries) for each in programs]
        print(*kills, sep="\n", flush=True)
        storms = [await storm(_made(folder / "storm" / each.name), each, incidents) for each in programs]
        print(*storms, sep="\n", flush=True)
    return report(programs, idle, storms, kills, count=count, load=load)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="incidents whose time is measured (100)")
    parser.add_argument("--incidents", type=int, default=1000, help="incidents of the storm (1000)")
    parser.add_argument("--tries", type=int, default=10, help="how often each program is killed (10)")
    options = parser.parse_args()
    if shutil.which(PROGRAM) is None:
        sys.exit(f"{PROGRAM} is not installed, so there is nothing to compare with: apt-get install {PROGRAM}")
    text = asyncio.run(compare(**vars(options)))
    print(text)
    (HERE / "PEER.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
