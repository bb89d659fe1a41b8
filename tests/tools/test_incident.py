"""`relay incident`: everything that relay knows about an incident, and what it did."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from typer.testing import CliRunner

from relay.cards.draw import permalink
from relay.cards.model import Attempt, AttemptState
from relay.cli import app
from relay.config.settings import Settings
from relay.model.struct import replace
from relay.sandbox.faults import ErrorCode, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.tools.incident import as_json, describe, workspace_url
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


async def play_incident(running: RelayInProcess) -> None:
    """An incident with a card, a comment and an end; and a repeated share."""
    fields = {"status": "critical", "incidentTags": [{"id": "team", "value": "db"}]}
    await running.share(changedOn=1_700_000_000, **fields)
    await running.share(changedOn=1_700_000_000, **fields)
    await running.advance(60)
    await running.share(status="critical", metadata={"comment": {"comment": "looking"}, "sender": {"name": "Ann"}})
    await running.advance(700)
    await running.share(resolved=True, active=False)
    await running.advance(700)


async def described(running: RelayInProcess) -> list[str]:
    history = await running.store.incident_history("i1")
    return [line.strip() for line in describe(history, link)]


async def test_incident_shows_the_incident_the_card_with_its_link_and_the_history_in_order(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as running:
        await play_incident(running)
        lines = await described(running)
        ts = running.slack.channel("all").messages[0].ts
        replies = [reply.ts for reply in running.slack.channel("all").thread(ts)]
    assert lines[0] == "incident i1"
    assert "tags: team: db" in lines
    assert "card in C0ALL00001: posted" in lines
    assert "route: all" in lines
    assert "pinged by its first post: S0CRIT" in lines
    assert f"message: https://team.slack.com/archives/C0ALL00001/p{ts.replace('.', '')}" in lines
    events = lines[lines.index("History") + 1 :]
    moments = [line[:20] for line in events if line[:2] == "20"]
    assert moments == sorted(moments)
    texts = [line[22:] for line in events if line[:2] == "20"]
    assert texts[0] == "share 1, received 2 times: first share of the incident (critical); matched by all"
    assert "attempt to post the card in C0ALL00001, pinging S0CRIT: done" in texts
    assert f"Slack answered chat.postMessage (the card, C0ALL00001): delivered ({link('C0ALL00001', ts)})" in texts
    assert "Slack answered chat.update (C0ALL00001): delivered" in texts
    assert "new card in C0ALL00001 by route all" in events
    assert events[events.index("entry 1: 💬 Ann: looking") - 1].endswith("update (critical); matched by all")
    assert any(line.startswith("entry 2: ✅ Resolved") for line in events)
    answered = "Slack answered chat.postMessage (a reply up to entry 2, C0ALL00001): delivered"
    assert f"{answered} ({link('C0ALL00001', replies[-1])})" in texts
    assert not [line for line in texts if line.startswith("attempt to post a reply")]  # the answer says everything


async def test_incident_shows_why_a_reply_pinged(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as running:
        await running.share(status="warning")
        await running.advance(60)
        await running.share(status="critical")
        await running.advance(60)
        await running.share(resolved=True, active=False)
        await running.advance(3_000)
        await running.share(status="critical", resolved=False, active=True)
        await running.advance(60)
        lines = await described(running)
    pinging = [line.partition("pinging ")[2] for line in lines if "pinging" in line]
    assert pinging == ["S0CRIT because it rose to critical: done", "S0CRIT because the incident was reopened: done"]


async def test_incident_shows_what_is_held_and_until_when(tmp_path):
    hours = 'zone: Etc/UTC\nhours: {night: {from: "22:00", to: "23:00"}}\nroutes:\n'
    quiet, hold = (ROUTES.replace("routes:\n", f"{hours}") for _ in range(2))
    quiet = quiet.replace("name: all", "name: all\n    quiet: {during: [night], unless: never}")
    for name in "ab":
        (tmp_path / name).mkdir()
    async with run_relay(tmp_path / "a", routes=quiet) as running:
        await running.share(status="critical")
        await running.advance(5)
        lines = await described(running)
    since, until = "2023-11-14 22:13:20Z", "2023-11-14 23:00:00Z"
    assert f"pings held: S0CRIT since {since} (quiet, until {until})" in lines
    hold = hold.replace("name: all", "name: all\n    hold: {during: [night], unless: never}")
    async with run_relay(tmp_path / "b", routes=hold) as running:
        await running.share(status="critical")
        await running.advance(5)
        lines = await described(running)
    assert f"held: hold, until {until}" in lines
    assert f"pings held: S0CRIT since {since} (hold, until {until})" in lines


async def test_a_rejection_by_slack_is_shown_with_the_remedy(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as running:
        running.slack.faults.add(InjectedFault(behaviour=ErrorCode("is_archived"), method="chat.postMessage", times=1))
        await running.share(status="critical")
        await running.advance(5)
        lines = await described(running)
    rejection = next(number for number, line in enumerate(lines) if ": rejected, is_archived" in line)
    assert len(lines[rejection + 1].split()) > 3


async def test_a_channel_without_a_name_is_described_with_the_same_words_everywhere(tmp_path):
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: tmpl, post: ["#inc-{{ tags.team }}"]}]\n'
    fields = "meant for #inc-{{ tags.team }}, which names no channel (the incident has no tag team)"
    with structlog.testing.capture_logs() as logged:
        async with run_relay(tmp_path, routes=routes) as running:
            await running.share(status="critical")
            await running.advance(5)
            lines = await described(running)
            card = running.slack.transcript("noc")
    assert fields in card
    assert f"{fields}: route tmpl" in lines
    assert f"notices: {fields}" in lines
    [warned] = [line for line in logged if line["event"] == "channel_unnamed"]
    assert (warned["log_level"], warned["incident"], warned["route"]) == ("warning", "i1", "tmpl")
    assert warned["detail"] == fields


async def test_json_is_the_history_with_links(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as running:
        await play_incident(running)
        fields = as_json(await running.store.incident_history("i1"), link)
        nowhere = as_json(await running.store.incident_history("i1"), lambda *_: "")
    (card,) = fields["cards"]
    assert fields["links"] == {str(card["id"]): link(card["slack_channel"], card["ts"])}
    assert nowhere == fields | {"links": {}}
    assert list(fields["words"].values()) == [["💬 Ann: looking"], ["✅ Resolved"]]
    assert [share["outcome"] for share in fields["shares"]] == ["first", "update", "update"]
    assert json.loads(json.dumps(fields)) == fields


@pytest.fixture
def command(tmp_path, monkeypatch) -> Any:
    async def fill() -> None:
        async with run_relay(tmp_path, routes=ROUTES) as running:
            await play_incident(running)
            routes = f"{ROUTES}tag_values: {{team: {{db: Databases}}}}\n"
            await running.store.save_configuration("h", routes, {}, running.clock.now())

    asyncio.run(fill())  # the command runs its own loop
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/relay.db")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["incident", *arguments])


def test_the_command_prints_it_and_exits_with_1_for_an_unknown_incident(command, monkeypatch, tmp_path):
    result = command("i1")
    assert (result.exit_code, result.output.splitlines()[0]) == (0, "incident i1")
    assert "tags: team: Databases" in result.output  # with the labels of the live routes
    assert "card in #all (C0ALL00001): posted" in result.output
    assert "message: 17000000" in result.output  # without a token, links are not possible
    assert json.loads(command("i1", "--json").stdout)["links"] == {}
    unknown = command("i2")
    assert (unknown.exit_code, unknown.output) == (
        1,
        "relay: There is no incident i2 in the database; `relay incidents` lists them.\n",
    )
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    assert command("i1").exit_code == 2
    assert not Path(tmp_path, "none.db").exists()


async def test_with_a_token_slack_is_asked_for_the_workspace_url():
    slack = FakeSlack()
    async with serve_slack(slack) as base:
        known = Settings.from_env({"SLACK_BOT_TOKEN": slack.token, "SLACK_API_URL": base})
        assert await workspace_url(known) == "https://sandbox.slack.com/"
        slack.revoke()
        assert await workspace_url(known) == ""


async def test_an_attempt_that_only_read_the_thread_is_not_listed(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as running:
        await running.share(status="warning")
        await running.advance(60)
        history = await running.store.incident_history("i1")
    read = Attempt(
        key="k",
        kind="reply",
        generation=1,
        upto_seq=0,
        started_at=1.0,
        state=AttemptState.DROPPED,
        data={"reads_thread": True},
    )
    [number] = history.attempts
    lines = list(describe(replace(history, attempts={number: (read,)}), link))
    assert not [line for line in lines if "attempt" in line]
