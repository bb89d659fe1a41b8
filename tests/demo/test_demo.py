"""The demo: a story of incidents, played at once, with the same output each time."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import aiohttp
import orjson
import pytest
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cli import app
from relay.cli.options import port_note
from relay.config.settings import Listen
from relay.demo import environment as demo_environment
from relay.demo import player
from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.demo.environment import OWN_INCIDENT, DemoEnvironment, documented_sample, start_demo
from relay.demo.player import STORY_START, StoryPlayer, nth_time, play_steps
from relay.demo.story import (
    ANN,
    BILLING_CHANNEL,
    BILLING_INCIDENT,
    DANA,
    DATABASE_CHANNEL,
    HOSTS,
    NOC_CHANNEL,
    CommandStep,
    FloodStep,
    IncidentStep,
    ShareBuilder,
    UserStep,
    flood,
    prologue,
    story,
)
from relay.model.struct import replace
from relay.sandbox.http_api import PORTS_TO_TRY

APPROVED = Path(__file__).parent / "approved-night.txt"


@cache
def played_once() -> tuple[str, DemoEnvironment]:
    """What `relay demo --once` prints, and the environment that it played in. No test changes it."""
    environments = []

    @asynccontextmanager
    async def remembered(clock: SimulatedClock) -> AsyncIterator[DemoEnvironment]:
        async with start_demo(clock) as demo:
            environments.append(demo)
            yield demo

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(player, "start_demo", remembered)
        result = CliRunner().invoke(app, ["demo", "--once"])
    assert result.exit_code == 0, result.output
    [demo] = environments
    return result.stdout, demo


def test_demo_once_prints_the_channels_and_their_threads():
    """APPROVE=1 rewrites the expected text: read the difference before you commit it."""
    printed, _ = played_once()
    if os.environ.get("APPROVE"):
        APPROVED.write_text(printed, encoding="utf-8")
    assert printed == APPROVED.read_text(encoding="utf-8")
    for word in (
        "Dana Levi",
        "Critical",
        "joined",
        "Snoozed until",
        "Reopened",
        "also in the channel",
        "Resolved after",
        "[Assign to me]",
        "Assigned to Ann Lee",
        "Ann Lee: Failing over to db-118.",
        "Dana Levi: Rolling Mando-001 back",
        "Nobody has had this for",
        "Storm over: 9 incidents",
        "No longer held since",
    ):
        assert word in printed
    assert "*" not in printed
    signed = re.findall(r"^(.*?)(?:↳ )?(?:relay|Ann Lee)(?: \(also in the channel\))?: ", printed, re.MULTILINE)
    assert signed
    assert all(re.fullmatch(r" {0,4}0[234]:\d\d ", before) for before in signed)


def test_every_incident_step_is_a_share_with_a_change():
    builder, now = ShareBuilder(documented_sample()), STORY_START
    for step in (*prologue(), *story(documented_sample()), *flood()):
        now += step.pause
        assert step.caption
        for each in step.steps if isinstance(step, FloodStep) else (step,):
            if isinstance(each, IncidentStep):
                share = parse_share(orjson.dumps(builder.share(each, now)), {}, now)
                assert share.incident == each.incident
                assert share.as_of == int(now)


def test_the_story_contains_the_incident_of_the_documented_sample():
    steps = [
        step
        for step in story(documented_sample())
        if isinstance(step, IncidentStep) and step.incident == BILLING_INCIDENT
    ]
    assert documented_sample()["incident"]["id"] == BILLING_INCIDENT
    names = [step.event for step in steps]
    assert names[0] == "incident#new"
    assert names[-3:] == ["incident#resolved", "incident#reopened", "incident#resolved"]


def test_a_comment_is_part_of_one_share():
    builder, now = ShareBuilder(documented_sample()), STORY_START
    comments = []
    for step in (step for step in story(documented_sample()) if isinstance(step, IncidentStep)):
        now += step.pause
        comments += [builder.share(step, now)["metadata"].get("comment")]
    assert len([comment for comment in comments if comment]) == 1


def test_actions_in_slack_reach_bigpanda_and_are_reported_once():
    _, demo = played_once()
    [assigned] = demo.bigpanda.calls_to("assign")
    assert assigned.took_effect
    assert assigned.arguments["assignee"] == ANN.bigpanda
    assert demo.bigpanda.incident("db-replica").comments == ["Ann Lee (Slack): Failing over to db-118."]
    commented = demo.bigpanda.incident(BILLING_INCIDENT).comments
    assert commented[1:] == ["Dana Levi (Slack): Rolling Mando-001 back, should be over in half an hour."]
    assert all(each.acknowledged for each in demo.slack.deliveries)
    assert {each.arguments["incident_id"] for each in demo.bigpanda.calls_to("callback")} == set(
        demo.bigpanda.incidents
    )


def at_billing(action: str, **values: str) -> UserStep:
    return UserStep(
        incident=BILLING_INCIDENT,
        pause=0,
        caption="",
        user=DANA.slack,
        channel=BILLING_CHANNEL,
        action=f"relay_{action}",
        values=values,
    )


async def test_the_story_keeps_the_changes_that_a_reader_makes_with_buttons():
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()))
        steps = [*prologue(), *story(documented_sample())]
        events = [step.event if isinstance(step, IncidentStep) else "" for step in steps]
        worsening = next(number for number, step in enumerate(steps) if "gets worse" in step.caption)
        reopening = events.index("incident#reopened")
        await play_steps(player, clock, steps[:worsening])
        await demo.perform(at_billing("resolve", text="Second run stopped"))
        await play_steps(player, clock, steps[worsening:reopening])
        transcript = demo.slack.transcript(BILLING_CHANNEL)
        assert "✅ Evyatar-11 · CPU" in transcript
        assert transcript.count("Resolved by *Dana Levi*") == transcript.count("✅ Resolved") == 1
        assert "Critical" not in transcript
        await play_steps(player, clock, steps[reopening:])
        assert "Reopened" in demo.slack.transcript(BILLING_CHANNEL)


async def test_the_story_works_with_routes_without_buttons(monkeypatch, tmp_path):
    """One route has no buttons at all, and the others have only one that the story does not use."""
    routes = (demo_environment.files("relay.demo") / "routes.yaml").read_text()
    routes = routes.replace("actions: [assign, comment, snooze, mute, resolve]", "actions: [snooze]")
    routes = routes.replace("    actors: [S0BILLING01]", "    actions: []")
    assert routes.count("actions: [snooze]") == routes.count("    actions: []\n    continue: true") == 1
    (tmp_path / "routes.yaml").write_text(routes)
    monkeypatch.setattr(demo_environment, "files", lambda _package: tmp_path)
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        await play_steps(
            StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample())),
            clock,
            [*prologue(), *story(documented_sample())],
        )
        transcripts = "".join(demo.slack.transcript(channel) for channel in demo.slack.channels)
        assert "✅ Evyatar-11 · CPU" in transcripts
        assert "Assign to me" not in transcripts
        assert demo.bigpanda.calls_to("assign") == []


async def test_a_replayed_story_has_incidents_of_its_own():
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()))
        for number in (1, 2):
            await play_steps(player, clock, [nth_time(step, number) for step in prologue()])
        assert {"db-replica", "db-replica-2"} <= set(demo.bigpanda.incidents)
        assert demo.slack.transcript(DATABASE_CHANNEL).count("✅ db-117") == 2
        assert demo.bigpanda.incident("db-replica-2").comments == ["Ann Lee (Slack): Failing over to db-118."]


def test_a_replayed_flood_has_hosts_and_a_mute_of_its_own():
    first, *_, last = [nth_time(step, 2) for step in flood()]
    assert isinstance(first, FloodStep)
    assert isinstance(last, CommandStep)
    assert [step.incident for step in first.steps] == [f"{host}-2" for host in HOSTS]
    assert last.text == "unmute 2"


async def test_a_pasted_share_becomes_an_incident_in_bigpanda_with_working_buttons():
    async with start_demo(SimulatedClock(STORY_START)) as demo, aiohttp.ClientSession() as reader:
        pasted = demo.page.relay.sample.encode()
        assert (await reader.post(f"{demo.address}shares", data=pasted)).status == 202
        await wait_until_idle(lambda: demo.idle)
        await demo.perform(replace(at_billing("assign"), incident=OWN_INCIDENT, channel=NOC_CHANNEL))
        await wait_until_idle(lambda: demo.idle)
        assert "Assigned to *Dana Levi*" in demo.slack.transcript(NOC_CHANNEL)


ODD_SHARES = (
    {"incident": {"id": 7, "alerts": 5, "snooze": "yes"}},
    {"incident": {"id": "odd tags", "alerts": {"id": "a"}, "tags": 7}, "incidentTags": "none", "metadata": []},
    {"incident": {"id": "odd ids"}, "incidentTags": [{"id": ["x"]}], "metadata": {"environment_id": {}, "sender": 1}},
    {"incident": {"id": "odd names"}, "metadata": {"assignee": "Ann", "comment": {"comment": 5}}, "event_types": "new"},
)


async def test_pasted_shares_with_unexpected_types_reach_relay_and_the_demo_continues():
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo, aiohttp.ClientSession() as reader:
        for body in ODD_SHARES:
            assert (await reader.post(f"{demo.address}shares", data=orjson.dumps(body))).status == 202, body
            await wait_until_idle(lambda: demo.idle)
            incident = str(body["incident"]["id"])
            for action in ("assign", "resolve"):
                await demo.perform(replace(at_billing(action), incident=incident, channel=NOC_CHANNEL, values={}))
                await wait_until_idle(lambda: demo.idle)
            await clock.run_for(300, lambda: demo.idle)  # four new cards in five minutes would be a storm
        await play_steps(StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample())), clock, prologue())
        assert "db-117" in demo.slack.transcript(DATABASE_CHANNEL)


async def test_the_simulated_clock_wakes_only_tasks_whose_time_has_come():
    clock = SimulatedClock(STORY_START)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(f"{name} {clock.now() - STORY_START:.0f}")

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("near", 40), ("far", 100), ("later", 1_000))]
    await clock.run_for(300, lambda: True)
    assert woken == ["near 40", "far 100"]
    assert clock.now() == STORY_START + 300
    tasks[2].cancel()


async def test_an_event_ends_a_wait_of_the_simulated_clock_and_is_cleared():
    clock = SimulatedClock(STORY_START)
    event = asyncio.Event()
    waiting = asyncio.create_task(clock.wait(event, STORY_START + 1_000))
    await wait_until_idle(lambda: True)
    event.set()
    async with asyncio.timeout(100):
        await waiting
    assert not event.is_set()
    assert clock.now() == STORY_START


@pytest.mark.parametrize("arguments", [["--listen", "nonsense"], ["--pace", "0"]])
def test_wrong_options_are_usage_errors(arguments):
    assert CliRunner().invoke(app, ["demo", *arguments]).exit_code == 2


def test_the_demo_prints_its_address_serves_its_page_and_stops_on_an_interrupt(tmp_path):
    command = [sys.executable, "-m", "relay", "demo", "--listen", "127.0.0.1:0", "--pace", "100"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("Open http://127.0.0.1:")
            with urllib.request.urlopen(line.removeprefix("Open ").strip(), timeout=100) as answer:
                assert b"relay sandbox" in answer.read()
            assert list(tmp_path.glob("relay-demo-*/routes.yaml"))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=100) == 0
        assert process.stderr.read() == ""
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_listen_is_an_error():
    result = CliRunner().invoke(app, ["demo", "--listen", "192.0.2.1:8090"])
    assert result.exit_code == 2
    assert "relay: the page cannot listen on 192.0.2.1 port 8090" in result.stderr


async def test_the_demo_takes_the_next_free_port_if_its_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with start_demo(SimulatedClock(STORY_START), port=port) as demo:
            used = int(demo.address.rstrip("/").rpartition(":")[2])
            assert port < used <= port + PORTS_TO_TRY
            message = port_note(Listen(host="127.0.0.1", port=port), demo.address)
            assert message == f"Port {port} is in use; using port {used} instead."
            assert port_note(Listen(host="127.0.0.1", port=used), demo.address) is None
            assert port_note(Listen(host="127.0.0.1", port=0), demo.address) is None
