"""What routes in shadow would have done: in `relay incident`, `relay backtest` and `relay explain`."""

import json

import orjson
import pytest
from typer.testing import CliRunner

from relay.cards.plan import plan
from relay.cli import app
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.store.store import Store
from relay.store.types import ShareBody
from relay.tools.backtest import backtest
from relay.tools.shadow import on_terminal, shadow_report
from tests.support.share_sequences import START, alert, share

ROUTES = """\
version: 1
channels: {noc: C0NOC00001, new: C0NEW00001}
people: {db-oncall: S0DBONCALL}
fallback: {channel: noc, mention: {any: [here]}}
routes:
  - name: databases
    match: {tags: {team: database}}
    shadow: true
    post: [{channel: new, mention: {critical: [db-oncall]}}]
  - name: everything
    match: {status: critical}
    post: [noc]
"""
TAGS = [{"id": "team", "value": "database"}]


def configuration(routes: str = ROUTES) -> Configuration:
    return build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes, templates={}))


def shares():
    return [
        share(0, status="warning", alerts=[alert(status="warning")], incidentTags=TAGS),
        share(60, status="critical", alerts=[alert()], incidentTags=TAGS),
        share(900, status="ok", resolved=True, active=False, alerts=[alert(status="ok")], incidentTags=TAGS),
    ]


def bodies() -> list[ShareBody]:
    return [
        ShareBody(id=number, body=each.body, headers={}, received=each.received)
        for number, each in enumerate(shares(), 1)
    ]


def test_the_report_shows_the_card_the_thread_the_pings_and_the_difference():
    report = shadow_report(configuration(), bodies(), {})
    assert report
    text = "\n".join(on_terminal(report, {"C0NEW00001": "new", "S0DBONCALL": "db-oncall"}))
    assert (
        "a card in new (C0NEW00001), by route databases, posted at 2023-11-14 22:13:20Z, pinging nobody. It reads:"
        in text
    )
    assert "db-1 · lag" in text
    assert "in the thread, at 2023-11-14 22:14:20Z, pinging db-oncall (S0DBONCALL):" in text
    assert text.split("Compared with what is live:\n")[1].splitlines()[:2] == [
        "    - in noc (C0NOC00001)",
        "    + in new (C0NEW00001)",
    ]


def test_an_incident_without_matching_shadow_routes_has_no_report():
    assert shadow_report(configuration(ROUTES.replace("shadow: true", "continue: true")), bodies(), {}) is None
    assert shadow_report(configuration(ROUTES.replace("team: database", "team: web")), bodies(), {}) is None


@pytest.fixture
async def database(tmp_path, monkeypatch):
    """A database with an incident that a route in shadow matches, and the environment of the commands."""
    live = configuration()
    url = f"sqlite:///{tmp_path}/relay.db"
    store = await Store.open(url)
    try:
        await store.save_configuration(live.hash, live.rulebook.text, {}, START)
        await store.accept(
            shares(),
            lambda known: plan(live.rulebook, known.incident_state, known.cards, known.share, known.canonical_refs),
        )
    finally:
        await store.close()
    monkeypatch.setenv("RELAY_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    return url


async def test_backtest_in_shadow_compares_the_live_routes_with_everything_live(database):
    store = await Store.open(database)
    try:
        report = await backtest(store, configuration(), None, since=0.0, processes=1)
    finally:
        await store.close()
    [found] = report.different
    assert (found.live, found.candidate) == (("C0NOC00001",), ("C0NEW00001",))


def test_the_commands_show_what_is_in_shadow(database):
    text = CliRunner().invoke(app, ["incident", "i1"]).stdout
    assert "in shadow, so not sent: databases would have a card in C0NEW00001" in text
    assert "a card in new (C0NEW00001), by route databases" in text
    assert "tally" in json.loads(CliRunner().invoke(app, ["backtest", "--shadow", "--json"]).stdout)
    assert CliRunner().invoke(app, ["backtest"]).exit_code == 2


def test_explain_shows_where_a_share_would_go(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "share.json").write_bytes(shares()[1].body)
    command = ["explain", str(tmp_path / "share.json"), "--routes", str(tmp_path / "routes.yaml")]
    text = CliRunner().invoke(app, command).stdout
    assert "databases (line 6): shadow" in text
    assert "in shadow: route databases would post to new (C0NEW00001); pings db-oncall (S0DBONCALL)" in text
    document = orjson.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert document["shadow"] == [{"routes": ["databases"], "channel": "C0NEW00001", "pings": ["S0DBONCALL"]}]
