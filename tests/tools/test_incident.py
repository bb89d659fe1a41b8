"""`relay incident`: all that relay knows of an incident, and what it did."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from typer.testing import CliRunner

from relay.cards.draw import permalink
from relay.cli import app
from relay.cli.incident import _workspace
from relay.config.settings import Settings
from relay.sandbox.faults import ErrorCode, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.tools.incident import as_json, describe
from tests.support.relay_in_process import RelayInProcess, run_relay

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    match: {status: {min: unknown}}
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT]}}]
"""


def link(channel: str, ts: str) -> str:
    return permalink("https://team.slack.com/", channel, ts)


async def lived(house: RelayInProcess) -> None:
    """An incident with a card, a comment and an end; and a share that came twice."""
    told = {"status": "critical", "incidentTags": [{"id": "team", "value": "db"}]}
    await house.share(changedOn=1_700_000_000, **told)
    await house.share(changedOn=1_700_000_000, **told)
    await house.advance(60)
    await house.share(status="critical", metadata={"comment": {"comment": "looking"}, "sender": {"name": "Ann"}})
    await house.advance(700)
    await house.share(resolved=True, active=False)
    await house.advance(700)


async def words(house: RelayInProcess) -> list[str]:
    dossier = await house.store.incident_history("i1")
    return [line.strip() for line in describe(dossier, link)]


async def test_it_tells_what_is_known_the_card_with_its_link_and_all_that_happened_in_order(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as house:
        await lived(house)
        lines = await words(house)
        ts = house.slack.channel("all").messages[0].ts
        replies = [reply.ts for reply in house.slack.channel("all").thread(ts)]
    assert lines[0] == "incident i1"
    assert "tags: team: db" in lines
    assert "card in C0ALL00001: shown" in lines
    assert "route: all" in lines
    assert "pinged at its first post: S0CRIT" in lines
    assert f"message: https://team.slack.com/archives/C0ALL00001/p{ts.replace('.', '')}" in lines
    history = lines[lines.index("What happened") + 1 :]
    moments = [line[:20] for line in history if line[:2] == "20"]
    assert moments == sorted(moments)
    told = [line[22:] for line in history if line[:2] == "20"]
    assert told[0] == "share 1, seen 2 times: the incident's first (critical); taken by all"
    assert "attempt at the card in C0ALL00001, pinging S0CRIT: done" in told
    assert f"Slack answered chat.postMessage (the card, C0ALL00001): Delivered ({link('C0ALL00001', ts)})" in told
    assert "Slack answered chat.update (C0ALL00001): Delivered" in told
    assert "new card in C0ALL00001 by route all" in history
    assert history[history.index("entry 1: 💬 Ann: looking") - 1].endswith(
        "it changed something (critical); taken by all"
    )
    assert any(line.startswith("entry 2: ✅ Resolved") for line in history)
    answered = "Slack answered chat.postMessage (a reply up to entry 2, C0ALL00001): Delivered"
    assert f"{answered} ({link('C0ALL00001', replies[-1])})" in told
    assert not [line for line in told if line.startswith("attempt at a reply")]  # nothing to say beside the answer


async def test_it_says_why_a_reply_pinged(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as house:
        await house.share(status="warning")
        await house.advance(60)
        await house.share(status="critical")
        await house.advance(60)
        await house.share(resolved=True, active=False)
        await house.advance(3_000)
        await house.share(status="critical", resolved=False, active=True)
        await house.advance(60)
        lines = await words(house)
    pinging = [line.partition("pinging ")[2] for line in lines if "pinging" in line]
    assert pinging == ["S0CRIT since it rose to critical: done", "S0CRIT since it is back: done"]


async def test_what_slack_refused_stands_there_with_the_remedy(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as house:
        house.slack.faults.add(InjectedFault(behaviour=ErrorCode("is_archived"), method="chat.postMessage", times=1))
        await house.share(status="critical")
        await house.advance(5)
        lines = await words(house)
    refusal = next(number for number, line in enumerate(lines) if ": Refused, is_archived" in line)
    assert len(lines[refusal + 1].split()) > 3


async def test_a_channel_that_cannot_be_named_is_told_in_the_same_words_everywhere(tmp_path):
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: tmpl, post: ["#inc-{{ tags.team }}"]}]\n'
    told = "meant for #inc-{{ tags.team }}, which names no channel (the incident has no tag team)"
    with structlog.testing.capture_logs() as logged:
        async with run_relay(tmp_path, routes=routes) as house:
            await house.share(status="critical")
            await house.advance(5)
            lines = await words(house)
            card = house.slack.transcript("noc")
    assert told in card
    assert f"{told}: route tmpl" in lines
    assert f"noted on it: {told}" in lines
    [warned] = [line for line in logged if line["event"] == "channel_unnamed"]
    assert (warned["log_level"], warned["incident"], warned["route"]) == ("warning", "i1", "tmpl")
    assert warned["detail"] == told


async def test_json_is_the_dossier_with_links(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as house:
        await lived(house)
        told = as_json(await house.store.incident_history("i1"), link)
        nowhere = as_json(await house.store.incident_history("i1"), lambda *_: "")
    (card,) = told["cards"]
    assert told["links"] == {str(card["id"]): link(card["slack_channel"], card["ts"])}
    assert nowhere == told | {"links": {}}
    assert list(told["words"].values()) == [["💬 Ann: looking"], ["✅ Resolved"]]
    assert [share["outcome"] for share in told["shares"]] == ["first", "update", "update"]
    assert json.loads(json.dumps(told)) == told


@pytest.fixture
def asked(tmp_path, monkeypatch) -> Any:
    async def fill() -> None:
        async with run_relay(tmp_path, routes=ROUTES) as house:
            await lived(house)
            routes = f"{ROUTES}tag_values: {{team: {{db: Databases}}}}\n"
            await house.store.save_configuration("h", routes, {}, house.clock.now())

    asyncio.run(fill())  # the command brings its own loop
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/relay.db")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["incident", *arguments])


def test_the_command_tells_it_and_leaves_with_1_where_nothing_is_known(asked, monkeypatch, tmp_path):
    result = asked("i1")
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "incident i1")
    assert "tags: team: Databases" in result.output  # in the words of the routes that are live
    assert "card in #all (C0ALL00001): shown" in result.output
    assert "message: 17000000" in result.output  # without a token there is no workspace to link to
    assert json.loads(asked("i1", "--json").stdout)["links"] == {}
    unknown = asked("i2")
    assert (unknown.exit_code, unknown.output) == (1, "relay knows no incident i2\n")
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    assert asked("i1").exit_code == 2
    assert not Path(tmp_path, "none.db").exists()


async def test_with_a_token_slack_is_asked_for_the_workspace():
    slack = FakeSlack()
    async with serve_slack(slack) as base:
        known = Settings.from_env({"SLACK_BOT_TOKEN": slack.token, "SLACK_API_URL": base})
        assert await _workspace(known) == "https://sandbox.slack.com/"
        slack.revoke()
        assert await _workspace(known) == ""
