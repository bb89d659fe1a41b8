"""The demo: a night of incidents, told at once and always the same."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.demo.clock import LeapingClock, settled
from relay.demo.play import NIGHT
from relay.demo.stage import sample
from relay.demo.story import BILLING, Told, before, story
from relay.share import parse

APPROVED = Path(__file__).parent / "approved-night.txt"


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
    ):
        assert word in result.stdout


def test_every_step_is_a_share_with_news_of_its_own():
    told, now = Told(sample()), NIGHT
    for step in [*before(), *story(sample())]:
        now += step.pause
        share = parse(orjson.dumps(told.share(step, now)), {}, now)
        assert share.incident == step.incident
        assert share.news == int(now)
        assert step.caption


def test_the_documented_sample_is_the_one_whose_life_is_told():
    steps = [step for step in story(sample()) if step.incident == BILLING]
    assert sample()["incident"]["id"] == BILLING
    names = [step.event for step in steps]
    assert names[0] == "incident#new"
    assert names[-3:] == ["incident#resolved", "incident#reopened", "incident#resolved"]


def test_a_comment_is_told_by_one_share_alone():
    told, now = Told(sample()), NIGHT
    comments = []
    for step in story(sample()):
        now += step.pause
        comments += [told.share(step, now)["metadata"].get("comment")]
    assert len([comment for comment in comments if comment]) == 1


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
    await asyncio.wait_for(waiting, 1)
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
