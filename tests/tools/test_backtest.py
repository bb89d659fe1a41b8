"""`relay backtest`: recorded shares through a candidate, compared with what is live."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.model import ChannelState
from relay.cards.plan import plan
from relay.cli import app
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.tag_labels import TagDefinition
from relay.store import Store
from relay.tools import backtest as module
from relay.tools.backtest import BacktestReport, backtest, live_configuration, with_live_templates
from relay.tools.compare import Comparison, DifferenceKind

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
    told = [{"status": "critical"}, {"status": "warning"}, {"resolved": True, "active": False}]
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
        for at, each in zip((0, 300, 900), told, strict=True)
    ]


async def fill(store: Store) -> None:
    """Three incidents, each with three shares."""
    await store.add_channels(LIVE.rulebook.channel_refs)
    every = [share for incident, team in TEAMS.items() for share in shares(incident, team)]
    await store.accept(every, lambda *what: plan(LIVE.rulebook, *what))


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    await fill(opened)
    yield opened
    await opened.close()


async def against(
    store: Store, candidate: Configuration, live: Configuration = LIVE, since: float = 0.0
) -> BacktestReport:
    return await backtest(store, live, candidate, since=since, processes=1)


def differences(report: BacktestReport) -> dict[str, list[str]]:
    return {each.incident: [str(difference) for difference in each.differences] for each in report.different}


async def test_the_same_routes_differ_in_nothing_whatever_the_comments(store):
    report = await against(store, configuration("# another comment\n" + ROUTES))
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
        (ROUTES + "tag_values: {team: {web: website}}\n", {"i-web": ["lost"]}),  # routes match the word
    ],
)
async def test_each_way_to_differ_has_a_name(store, candidate, found):
    assert differences(await against(store, configuration(candidate))) == found


@pytest.mark.parametrize("processes", [1, 2])
async def test_tags_are_read_as_bigpanda_defines_them(store, monkeypatch, processes):
    monkeypatch.setattr(module, "ALONE", 0)
    await store.keep_definitions([TagDefinition(id="team", name="squad", ranks={"web": "frontend"})], START)
    routes = ROUTES.replace("team: web", "squad: frontend")
    report = await backtest(store, configuration(routes), configuration(routes), since=0.0, processes=processes)
    assert report.different == []
    report = await backtest(store, configuration(routes), LIVE, since=0.0, processes=processes)
    assert "i-web" in differences(report)


async def test_another_template_reads_differently_where_it_is_used(store):
    report = await against(store, configuration(templates=SHORT_CARD))
    assert differences(report) == {"i-pay": ["reads"], "i-web": ["reads"]}
    details = report.different[0].details
    assert details[0] == "  in payments (C0PAY00001):"
    assert any(line.strip().startswith("- ") for line in details)
    assert report.tally[DifferenceKind.READS] == 2


async def test_details_say_where_it_would_go_and_whom_it_would_ping(store):
    candidate = configuration(ROUTES.replace("{channel: payments, mention: {critical: [S0PAY]}}", "noc"))
    (compared,) = (await against(store, candidate)).different
    assert compared.details == (
        "- in payments (C0PAY00001)",
        "+ in noc (C0NOC00001)",
        "- pings S0PAY",
    )
    assert (compared.live, compared.candidate) == (("C0PAY00001",), ("C0NOC00001",))


async def test_what_would_be_lost_says_what_would_become_of_its_shares(store):
    candidate = configuration(ROUTES.replace("post: [web]", "post: []"))
    (compared,) = (await against(store, candidate)).different
    assert compared.details[-1] == "  what would become of its shares: dropped"


async def test_the_worst_stands_first(store):
    candidate = configuration(ROUTES.replace("team: web", "team: wed").replace("S0PAY", "S0NEW"))
    assert list(differences(await against(store, candidate))) == ["i-web", "i-pay"]


async def test_only_incidents_with_a_share_since_then_count_and_they_count_whole(store):
    await store.accept(
        [replace(each, incident="i-new") for each in shares("i-new", "web")[:1]],
        lambda *what: plan(LIVE.rulebook, *what),
    )
    report = await against(store, configuration(ROUTES.replace("S0PAY", "S0NEW")), since=START + 600)
    assert (report.incidents, report.shares, differences(report)) == (3, 9, {"i-pay": ["pinged"]})


async def test_two_spellings_of_a_channel_are_no_difference(store):
    await store.want_channels(["#web"])
    await store.found_channel("C0WEB00001", slack_id="C0WEB00001", state=ChannelState.OPEN)
    await store.found_channel("#web", slack_id="C0WEB00001", state=ChannelState.OPEN)
    assert differences(await against(store, configuration(ROUTES.replace("post: [web]", 'post: ["#web"]')))) == {}


async def test_several_processes_find_what_one_finds(store, monkeypatch):
    monkeypatch.setattr(module, "ALONE", 0)
    candidate = configuration(ROUTES.replace("S0PAY", "S0NEW"), SHORT_CARD)
    alone = await against(store, candidate)
    seen: list[tuple[int, int]] = []
    together = await backtest(
        store, LIVE, candidate, since=0, processes=2, done=lambda done, of: seen.append((done, of))
    )
    assert together.as_json() == alone.as_json()
    assert seen[-1] == (3, 3)


@pytest.mark.parametrize("candidate", [ROUTES, ROUTES.replace("S0PAY", "S0NEW")])
async def test_the_short_way_finds_what_the_long_way_finds(store, candidate, monkeypatch):
    short = await against(store, configuration(candidate))
    monkeypatch.setattr(Comparison, "drawn_alike", property(lambda _: False, lambda _, __: None), raising=False)
    assert (await against(store, configuration(candidate))).as_json() == short.as_json()


# --- what is live ---


async def test_live_is_what_relay_has_kept_else_what_is_on_disk(store):
    assert await live_configuration(store, lambda: LIVE) is LIVE
    kept = ROUTES.replace("S0PAY", "S0KEPT")
    await store.keep_configuration("hash", kept, SHORT_CARD, START)
    live = await live_configuration(store, lambda: LIVE)
    assert (live.rulebook.text, live.templates) == (kept, SHORT_CARD)


def test_a_candidate_without_templates_of_its_own_has_those_that_are_live():
    live = configuration(templates=SHORT_CARD)
    written = ConfigurationFiles(routes_file="new.yaml", routes_text=ROUTES, templates={"incident/card.j2": "other"})
    assert with_live_templates(written, live, own=False).templates == SHORT_CARD
    assert with_live_templates(written, live, own=True) is written


# --- the command ---


@pytest.fixture
def asked(tmp_path, monkeypatch) -> Any:
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

    asyncio.run(filled())  # the command brings its own loop, so these tests have none
    return ask


def test_the_command_tells_a_summary_and_details(asked):
    result = asked(ROUTES.replace("S0PAY", "S0NEW"))
    assert result.exit_code == 0, result.output
    assert "3 incidents, 9 shares" in result.output
    assert "1  would ping others, or at other times" in result.output
    assert "  + pings S0NEW" in result.output
    assert asked(ROUTES.replace("S0PAY", "S0NEW"), "--strict").exit_code == 1
    assert "... and 1 more incidents" in asked(ROUTES.replace("S0PAY", "S0NEW"), "--limit", "0").output


def test_the_command_s_json_is_the_report(asked):
    told = json.loads(asked(ROUTES, "--json").stdout)
    assert told == {
        "incidents": 3,
        "shares": 9,
        "unreadable": 0,
        "tally": {"lost": 0, "gained": 0, "elsewhere": 0, "pinged": 0, "reads": 0},
        "different": [],
    }
    assert asked(ROUTES, "--strict").exit_code == 0


def test_the_command_refuses_what_it_cannot_read(asked, tmp_path, monkeypatch):
    faulty = asked(ROUTES.replace("post: [web]", "post: [wep]"))
    assert (faulty.exit_code, "new.yaml:6:" in faulty.output, "did you mean 'web'" in faulty.output) == (2, True, True)
    assert asked(ROUTES, "--since", "soon").exit_code == 2
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    missing = asked(ROUTES)
    assert (missing.exit_code, "There is no SQLite database" in missing.output) == (2, True)
    assert not Path(tmp_path, "none.db").exists()
