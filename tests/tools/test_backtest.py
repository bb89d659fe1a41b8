"""`relay backtest`: recorded shares through a candidate, compared with the live configuration."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.model import Channel, ChannelState
from relay.cards.plan import plan
from relay.cli import app
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.struct import replace
from relay.model.tag_labels import TagDefinition
from relay.store.store import Store
from relay.tools import backtest as module
from relay.tools.backtest import BacktestReport, backtest, with_live_templates
from relay.tools.compare import ConfigurationComparison, DifferenceKind
from relay.tools.live_store import live_configuration

START = 1_700_000_000
ROUTES = """
version: 1
channels: {noc: C0NOC00001, payments: C0PAY00001, web: C0WEB00001}
routes:
  - {name: payments, match: {tags: {team: payments}}, post: [{channel: payments, mention: {critical: [S0PAY]}}]}
  - {name: web, match: {tags: {team: web}}, post: [web]}
"""
SHORT_CARD = {"incident/card.j2": "{% header %}{{ incident.title }}{% endheader %}"}


def configuration(routes: str = ROUTES, templates: dict[str, str] | None = None) -> Configuration:
    return build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=routes, templates=templates or {})
    )


LIVE = configuration()
TEAMS = {"i-pay": "payments", "i-web": "web", "i-other": "other"}


def shares(incident: str, team: str) -> list[Any]:
    changes = [{"status": "critical"}, {"status": "warning"}, {"resolved": True, "active": False}]
    return [
        parse_share(
            orjson.dumps(
                {
                    "incident": {"id": incident, "changedOn": START + at, **each},
                    "incidentTags": [{"id": "team", "value": team}],
                }
            ),
            {},
            START + at,
        )
        for at, each in zip((0, 300, 900), changes, strict=True)
    ]


def _decide(context):
    return plan(LIVE.rulebook, context.incident_state, context.cards, context.share, context.canonical_refs)


async def fill(store: Store) -> None:
    """Three incidents, each with three shares."""
    await store.add_channels(LIVE.rulebook.channel_refs)
    every = [share for incident, team in TEAMS.items() for share in shares(incident, team)]
    await store.accept(every, _decide)


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    await fill(opened)
    yield opened
    await opened.close()


async def run_backtest(
    store: Store, candidate: Configuration, live: Configuration = LIVE, since: float = 0.0
) -> BacktestReport:
    return await backtest(store, live, candidate, since=since, processes=1)


def differences(report: BacktestReport) -> dict[str, list[str]]:
    return {each.incident: [str(difference) for difference in each.differences] for each in report.different}


async def test_equal_routes_have_no_differences_even_with_other_comments(store):
    report = await run_backtest(store, configuration("# another comment\n" + ROUTES))
    assert (report.incidents, report.shares, report.unreadable, report.different) == (3, 9, 0, [])


@pytest.mark.parametrize(
    ("candidate", "found"),
    [
        (ROUTES.replace("team: web", "team: wed"), {"i-web": ["lost"]}),
        (ROUTES + "  - {name: rest, post: [noc]}\n", {"i-other": ["gained"]}),
        (ROUTES + "fallback: noc\n", {"i-other": ["gained"]}),
        (ROUTES.replace("post: [web]", "post: [noc]"), {"i-web": ["elsewhere"]}),
        (ROUTES.replace("S0PAY", "S0NEW"), {"i-pay": ["pinged"]}),
        (ROUTES.replace("post: [web]", "post: [{channel: web, mention: {any: [here]}}]"), {"i-web": ["pinged"]}),
        (ROUTES.replace("post: [web]", "post: [{channel: web, thread: [comment]}]"), {"i-web": ["reads"]}),
        (
            ROUTES.replace("{channel: payments, mention: {critical: [S0PAY]}}", "noc"),
            {"i-pay": ["elsewhere", "pinged"]},
        ),
        (ROUTES + "tag_values: {team: {web: website}}\n", {"i-web": ["lost"]}),  # routes match the label
    ],
)
async def test_each_kind_of_difference_is_found(store, candidate, found):
    assert differences(await run_backtest(store, configuration(candidate))) == found


SQUADS = [TagDefinition(id="team", name="squad", ranks={"web": "frontend"})]
BY_SQUAD = ROUTES.replace("team: web", "squad: frontend")


async def test_bigpandas_tag_definitions_are_used(store):
    await store.save_tag_definitions(SQUADS, START)
    report = await run_backtest(store, configuration(BY_SQUAD), configuration(BY_SQUAD))
    assert report.different == []
    assert "i-web" in differences(await run_backtest(store, LIVE, configuration(BY_SQUAD)))


async def test_another_template_is_a_difference_only_if_it_is_used(store):
    report = await run_backtest(store, configuration(templates=SHORT_CARD))
    assert differences(report) == {"i-pay": ["reads"], "i-web": ["reads"]}
    details = report.different[0].details
    assert details[0] == "  in payments (C0PAY00001):"
    assert any(line.strip().startswith("- ") for line in details)
    assert report.tally[DifferenceKind.READS] == 2


async def test_details_list_the_channels_and_the_pings(store):
    candidate = configuration(ROUTES.replace("{channel: payments, mention: {critical: [S0PAY]}}", "noc"))
    (compared,) = (await run_backtest(store, candidate)).different
    assert compared.details == (
        "- in payments (C0PAY00001)",
        "+ in noc (C0NOC00001)",
        "- pings S0PAY",
    )
    assert (compared.live, compared.candidate) == (("C0PAY00001",), ("C0NOC00001",))


async def test_a_lost_incident_shows_the_outcome_of_its_shares(store):
    candidate = configuration(ROUTES.replace("post: [web]", "post: []"))
    (compared,) = (await run_backtest(store, candidate)).different
    assert compared.details[-1] == "  the outcome of its shares would be: dropped"


async def test_the_worst_difference_is_first(store):
    candidate = configuration(ROUTES.replace("team: web", "team: wed").replace("S0PAY", "S0NEW"))
    assert list(differences(await run_backtest(store, candidate))) == ["i-web", "i-pay"]


async def test_only_incidents_with_a_recent_share_count_with_all_their_shares(store):
    await store.accept(
        [replace(each, incident="i-new") for each in shares("i-new", "web")[:1]],
        _decide,
    )
    report = await run_backtest(store, configuration(ROUTES.replace("S0PAY", "S0NEW")), since=START + 600)
    assert (report.incidents, report.shares, differences(report)) == (3, 9, {"i-pay": ["pinged"]})


async def test_cards_that_storms_would_have_held_are_reported(store):
    together = ROUTES.replace("post: [{channel: payments, mention: {critical: [S0PAY]}}]", "post: [web]")
    report = await run_backtest(store, configuration(together + "storm: {over: 1, within: 5m}\n"))
    assert report.storms["live"] == []
    [storm] = report.storms["candidate"]
    assert (storm.channel, storm.held, storm.critical) == ("C0WEB00001", 1, 1)
    text = "\n".join(line for line in report.lines(5) if isinstance(line, str))
    assert "candidate: 1 storm, 1 card held" in text
    assert "C0WEB00001: 1 card held, 1 of them critical, in 1 min" in text


async def test_two_references_to_a_channel_are_no_difference(store):
    await store.add_channels(["#web"])
    await store.update_channel(Channel(ref="C0WEB00001", slack_id="C0WEB00001", state=ChannelState.OPEN))
    await store.update_channel(Channel(ref="#web", slack_id="C0WEB00001", state=ChannelState.OPEN))
    assert differences(await run_backtest(store, configuration(ROUTES.replace("post: [web]", 'post: ["#web"]')))) == {}


async def test_several_processes_find_the_same_differences_as_one(store, monkeypatch):
    """Also where BigPanda's definitions of tags decide: without them, the candidate would lose an incident."""
    monkeypatch.setattr(module, "MAX_IN_ONE_PROCESS", 0)
    await store.save_tag_definitions(SQUADS, START)
    live, candidate = configuration(BY_SQUAD), configuration(BY_SQUAD.replace("S0PAY", "S0NEW"), SHORT_CARD)
    alone = await run_backtest(store, candidate, live)
    calls: list[tuple[int, int]] = []
    together = await backtest(
        store, live, candidate, since=0, processes=2, progress=lambda done, total: calls.append((done, total))
    )
    assert differences(alone)["i-web"] == ["reads"]
    assert together.as_json() == alone.as_json()
    assert calls[-1] == (3, 3)


@pytest.mark.parametrize("candidate", [ROUTES, ROUTES.replace("S0PAY", "S0NEW")])
async def test_the_fast_comparison_finds_the_same_as_the_full_comparison(store, candidate, monkeypatch):
    shortcut = await run_backtest(store, configuration(candidate))
    monkeypatch.setattr(
        ConfigurationComparison, "renders_same", property(lambda _: False, lambda _, __: None), raising=False
    )
    assert (await run_backtest(store, configuration(candidate))).as_json() == shortcut.as_json()


# --- the live configuration ---


async def test_the_live_configuration_is_the_stored_one_or_the_one_on_disk(store):
    assert await live_configuration(store, lambda: LIVE) is LIVE
    kept = ROUTES.replace("S0PAY", "S0KEPT")
    await store.save_configuration("hash", kept, SHORT_CARD, START)
    live = await live_configuration(store, lambda: LIVE)
    assert (live.rulebook.text, live.templates) == (kept, SHORT_CARD)


def test_a_candidate_without_templates_uses_the_live_ones():
    live = configuration(templates=SHORT_CARD)
    files = ConfigurationFiles(routes_file="new.yaml", routes_text=ROUTES, templates={"incident/card.j2": "other"})
    assert with_live_templates(files, live).templates == SHORT_CARD


# --- the command ---


@pytest.fixture
def command(tmp_path, monkeypatch) -> Any:
    async def filled() -> None:
        opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
        await fill(opened)
        await opened.close()

    (tmp_path / "routes.yaml").write_text(ROUTES)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/relay.db")
    monkeypatch.setenv("RELAY_ROUTES", str(tmp_path / "routes.yaml"))
    monkeypatch.setenv("RELAY_TEMPLATES", str(tmp_path / "templates"))
    new = tmp_path / "new.yaml"

    def ask(candidate: str, *arguments: str) -> Any:
        new.write_text(candidate)
        return CliRunner().invoke(app, ["backtest", "--routes", str(new), "--since", "3650d", *arguments])

    asyncio.run(filled())  # the command runs its own loop, so these tests have none
    return ask


def test_the_command_prints_a_summary_and_details(command):
    result = command(ROUTES.replace("S0PAY", "S0NEW"))
    assert result.exit_code == 0, result.output
    assert "3 incidents, 9 shares" in result.output
    assert "1  would ping others, or at other times" in result.output
    assert "  + pings S0NEW" in result.output
    assert command(ROUTES.replace("S0PAY", "S0NEW"), "--strict").exit_code == 1
    assert "... and 1 more incidents" in command(ROUTES.replace("S0PAY", "S0NEW"), "--limit", "0").output


WEB_ROW = {
    "channel": "C0WEB00001",
    "route": "web",
    "posts": 1,
    "pings": 0,
    "reminders": 0,
    "held": {},
    "held_pings": {},
}
PAYMENTS_ROW = {**WEB_ROW, "channel": "C0PAY00001", "route": "payments", "pings": 1}


def test_the_command_prints_the_report_as_json(command):
    document = json.loads(command(ROUTES, "--json").stdout)
    assert document == {
        "incidents": 3,
        "shares": 9,
        "unreadable": 0,
        "left_out": 0,
        "tally": {"lost": 0, "gained": 0, "elsewhere": 0, "pinged": 0, "reads": 0},
        "speech": {name: {"routes": [PAYMENTS_ROW, WEB_ROW], "catch_ups": []} for name in ("live", "candidate")},
        "summaries": {"live": [], "candidate": []},
        "storms": {"live": [], "candidate": []},
        "different": [],
    }
    assert command(ROUTES, "--strict").exit_code == 0


def test_the_command_reports_what_it_cannot_read(command, tmp_path, monkeypatch):
    faulty = command(ROUTES.replace("post: [web]", "post: [wep]"))
    assert (faulty.exit_code, "new.yaml:6:" in faulty.output, "did you mean 'web'" in faulty.output) == (2, True, True)
    assert command(ROUTES, "--since", "soon").exit_code == 2
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    missing = command(ROUTES)
    assert (missing.exit_code, "There is no SQLite database" in missing.output) == (2, True)
    assert not Path(tmp_path, "none.db").exists()
