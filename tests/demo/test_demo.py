"""The demo: a night of incidents, told at once and always the same."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest
import structlog
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cli import app
from relay.demo import environment as staging
from relay.demo.clock import LeapingClock, settled
from relay.demo.player import NIGHT, Player, leap_through
from relay.demo.environment import OWN, on_stage, sample
from relay.demo.story import ANN, BILLING, BILLS, DANA, DATABASES, NOC, Act, Step, Told, before, story

APPROVED = Path(__file__).parent / "approved-night.txt"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The command sets logging up for its whole process, which here is everybody's."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


def test_the_demo_told_at_once_prints_the_channels_and_their_threads():
    """With APPROVE=1 the text is written anew: read the difference before you commit it."""
    result = CliRunner().invoke(app, ["demo", "--once"])
    assert result.exit_code == 0, result.output
    if os.environ.get("APPROVE"):
        APPROVED.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == APPROVED.read_text(encoding="utf-8")
    for word in (
        "Dana Levi",
        "Critical",
        "joined",
        "Snoozed until",
        "Reopened",
        "also in the channel",
        "Resolved after",
        "[Assign to me]",
        "*Ann Lee* has it",
        "Ann Lee: Failing over to db-118.",
        "*Dana Levi*: Rolling Mando-001 back",
    ):
        assert word in result.stdout


def test_every_step_of_bigpandas_is_a_share_with_news_of_its_own():
    told, now = Told(sample()), NIGHT
    for step in [*before(), *story(sample())]:
        now += step.pause
        if isinstance(step, Act):
            continue
        share = parse_share(orjson.dumps(told.share(step, now)), {}, now)
        assert share.incident == step.incident
        assert share.as_of == int(now)
        assert step.caption


def test_the_documented_sample_is_the_one_whose_life_is_told():
    steps = [step for step in story(sample()) if isinstance(step, Step) and step.incident == BILLING]
    assert sample()["incident"]["id"] == BILLING
    names = [step.event for step in steps]
    assert names[0] == "incident#new"
    assert names[-3:] == ["incident#resolved", "incident#reopened", "incident#resolved"]


def test_a_comment_is_told_by_one_share_alone():
    told, now = Told(sample()), NIGHT
    comments = []
    for step in (step for step in story(sample()) if isinstance(step, Step)):
        now += step.pause
        comments += [told.share(step, now)["metadata"].get("comment")]
    assert len([comment for comment in comments if comment]) == 1


async def test_what_people_do_in_slack_reaches_bigpanda_and_is_told_once():
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage:
        await leap_through(Player(stage=stage, told=Told(sample())), clock, [*before(), *story(sample())])
        [assigned] = stage.panda.called("assign")
        assert assigned.took_effect
        assert assigned.arguments["assignee"] == ANN.bigpanda
        assert stage.panda.incident("db-replica").comments == ["Ann Lee (Slack): Failing over to db-118."]
        commented = stage.panda.incident(BILLING).comments
        assert commented[1:] == ["Dana Levi (Slack): Rolling Mando-001 back, should be over in half an hour."]
        assert all(each.acknowledged for each in stage.slack.deliveries)
        assert {each.arguments["incident_id"] for each in stage.panda.called("callback")} == set(stage.panda.incidents)


def at_billing(action: str, **values: str) -> Act:
    return Act(
        incident=BILLING, pause=0, caption="", user=DANA.slack, channel=BILLS, action=f"relay_{action}", values=values
    )


async def test_what_a_reader_does_by_the_buttons_stays_true_through_the_rest_of_the_story():
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage:
        player = Player(stage=stage, told=Told(sample()))
        steps = [*before(), *story(sample())]
        events = [step.event if isinstance(step, Step) else "" for step in steps]
        rising = next(number for number, step in enumerate(steps) if "gets worse" in step.caption)
        back = events.index("incident#reopened")
        await leap_through(player, clock, steps[:rising])
        await stage.act(at_billing("resolve", text="Second run stopped"))
        await leap_through(player, clock, steps[rising:back])
        told = stage.slack.transcript(BILLS)
        assert "✅ Evyatar-11 · CPU" in told
        assert told.count("Resolved by *Dana Levi*") == told.count("✅ Resolved") == 1
        assert "Critical" not in told
        await leap_through(player, clock, steps[back:])
        assert "Reopened" in stage.slack.transcript(BILLS)


@pytest.mark.parametrize("actions", ["[]", "[snooze]"])
async def test_routes_that_take_the_buttons_away_do_not_stop_the_story(actions, monkeypatch):
    furnish = staging._furnish

    def furnish_otherwise(folder: Path) -> None:
        furnish(folder)
        routes = folder / "routes.yaml"
        routes.write_text(routes.read_text().replace("[assign, comment, snooze, resolve]", actions))

    monkeypatch.setattr(staging, "_furnish", furnish_otherwise)
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage:
        await leap_through(Player(stage=stage, told=Told(sample())), clock, [*before(), *story(sample())])
        told = "".join(stage.slack.transcript(channel) for channel in stage.slack.channels)
        assert "✅ Evyatar-11 · CPU" in told
        assert "Assign to me" not in told
        assert stage.panda.called("assign") == []


async def test_a_pasted_share_is_an_incident_of_bigpandas_whose_buttons_work():
    async with on_stage(LeapingClock(NIGHT)) as stage, aiohttp.ClientSession() as reader:
        pasted = stage.page.relay.sample.encode()
        assert (await reader.post(f"{stage.address}shares", data=pasted)).status == 202
        await settled(lambda: stage.resting)
        await stage.act(replace(at_billing("assign"), incident=OWN, channel=NOC))
        await settled(lambda: stage.resting)
        assert "*Dana Levi* has it" in stage.slack.transcript(NOC)


@pytest.mark.parametrize(
    "odd",
    [
        {"incident": {"id": 7, "alerts": 5, "snooze": "yes"}},
        {"incident": {"id": "odd", "alerts": {"id": "a"}, "tags": 7}, "incidentTags": "none", "metadata": []},
        {"incident": {"id": "odd"}, "incidentTags": [{"id": ["x"]}], "metadata": {"environment_id": {}, "sender": 1}},
        {"incident": {"id": "odd"}, "metadata": {"assignee": "Ann", "comment": {"comment": 5}}, "event_types": "new"},
    ],
)
async def test_a_pasted_share_of_a_shape_that_bigpanda_never_has_reaches_relay_and_breaks_nothing(odd):
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage, aiohttp.ClientSession() as reader:
        assert (await reader.post(f"{stage.address}shares", data=orjson.dumps(odd))).status == 202
        await settled(lambda: stage.resting)
        incident = str(odd["incident"]["id"])
        for action in ("assign", "resolve"):
            await stage.act(replace(at_billing(action), incident=incident, channel=NOC, values={}))
            await settled(lambda: stage.resting)
        await leap_through(Player(stage=stage, told=Told(sample())), clock, before())
        assert "db-117" in stage.slack.transcript(DATABASES)


async def test_a_clock_that_leaps_wakes_whoever_waited_and_nobody_else():
    clock = LeapingClock(NIGHT)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(f"{name} {clock.now() - NIGHT:.0f}")

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("near", 40), ("far", 100), ("later", 1_000))]
    await clock.leap(300, lambda: True)
    assert woken == ["near 40", "far 100"]
    assert clock.now() == NIGHT + 300
    tasks[2].cancel()


async def test_a_bell_is_heard_before_its_time_and_then_silent():
    clock = LeapingClock(NIGHT)
    bell = asyncio.Event()
    waiting = asyncio.create_task(clock.wait(bell, NIGHT + 1_000))
    await settled(lambda: True)
    bell.set()
    async with asyncio.timeout(1):
        await waiting
    assert not bell.is_set()
    assert clock.now() == NIGHT


@pytest.mark.parametrize("arguments", [["--listen", "nonsense"], ["--pace", "0"]])
def test_what_the_demo_cannot_do_is_a_question_of_usage(arguments):
    assert CliRunner().invoke(app, ["demo", *arguments]).exit_code == 2


def test_the_demo_prints_its_address_shows_its_page_there_and_leaves_when_it_is_interrupted(tmp_path):
    command = [sys.executable, "-m", "relay", "demo", "--listen", "127.0.0.1:0", "--pace", "100"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            said = process.stdout.readline()
            assert said.startswith("Open http://127.0.0.1:")
            with urllib.request.urlopen(said.removeprefix("Open ").strip(), timeout=10) as answer:
                assert b"relay sandbox" in answer.read()
            assert list(tmp_path.glob("relay-demo-*/routes.yaml"))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""
    assert not list(tmp_path.iterdir())


def test_where_the_page_cannot_listen_it_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["demo", "--listen", f"127.0.0.1:{port}"])
    assert result.exit_code == 2
    assert f"relay: the page cannot listen on 127.0.0.1 port {port}" in result.stderr
