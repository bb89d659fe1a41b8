"""`relay incidents`, `GET /incidents`, and `relay incident LINK`."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.config.settings import Settings
from relay.model.errors import QueryError
from relay.tools.incidents import IncidentQuery, as_json, find_incidents
from tests.support.relay_in_process import START, run_relay

ROUTES = """
version: 1
channels: {everyone: C0ALL00001}
fallback: C0NOC00001
tag_values: {priority: {1000: Urgent}}
routes:
  - {name: db, match: {tags: {team: db}}, post: ["#db"], continue: true}
  - {name: all, match: {status: critical}, post: [everyone]}
"""


def tags(**values):
    return [{"id": name, "value": value} for name, value in values.items()]


def shared(relay, incident, *, title, **values):
    alert = {"id": "1", "status": "Critical", "active": True, "description": title}
    return relay.share(incident, alerts=[alert], **values)


@pytest.fixture
async def relay(tmp_path, monkeypatch):
    """A relay with three incidents: `one` in two channels, `two` at the fallback, and `three`, which is over."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    async with run_relay(tmp_path, routes=ROUTES) as running:
        rulebook = running.configuration.rulebook
        await running.store.save_configuration("live", rulebook.text, {}, START)
        lead = {"email": "ann@example.org", "name": "Ann Lee"}
        await shared(
            running,
            "one",
            title="Größe of disk",
            status="critical",
            startedOn=START - 3700,
            assignee=lead,
            incidentTags=tags(team="db", priority="1000"),
        )
        running.clock.advance(10)
        await shared(running, "two", title="two is slow", status="warning")
        running.clock.advance(10)
        await shared(running, "three", title="three", status="critical")
        running.clock.advance(10)
        await shared(running, "three", title="three", status="ok")
        await running.advance(60)
        yield running


async def run(*arguments):
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def found(relay, **query):
    page = await find_incidents(relay.store, IncidentQuery(**query), relay.configuration.rulebook)
    return [each.state.record.incident for each in page.incidents]


async def test_the_list_has_state_owner_age_title_and_cards(relay):
    result = await run("incidents")
    assert (result.exit_code, result.stderr) == (0, "")
    head, three, two, one = result.stdout.splitlines()
    assert head.split() == ["incident", "state", "age", "owner", "title", "cards"]
    assert three.split()[:2] == ["three", "resolved"]
    assert two.split() == ["two", "warning", *two.split()[2:-5], "nobody", "two", "is", "slow", "#noc"]
    for part in ("one", "critical", "Ann Lee", "Größe of disk", "#db, #all"):
        assert part in one


async def test_as_json_every_card_has_its_channel_route_and_state(relay):
    result = await run("incidents", "--open", "--search", "größe", "--json")
    document = json.loads(result.stdout)
    [incident] = document["incidents"]
    assert document["next"] is None
    assert (incident["incident"], incident["open"], incident["owner"]) == ("one", True, "Ann Lee")
    assert {(card["name"], card["route"], card["state"]) for card in incident["cards"]} == {
        ("#db", "db", "posted"),
        ("#all", "all", "posted"),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["three", "two", "one"]),
        ({"open_only": True}, ["two", "one"]),
        ({"channel": "everyone"}, ["three", "one"]),
        ({"channel": "C0ALL00001"}, ["three", "one"]),
        ({"channel": "all"}, ["three", "one"]),
        ({"channel": "#ALL"}, ["three", "one"]),
        ({"route": "db"}, ["one"]),
        ({"search": "SLOW two"}, ["two"]),
        ({"search": "urgent ann"}, ["one"]),  # the label of the priority, and the owner
        ({"search": "blocks"}, []),  # a key of the record is not a word of the incident
        ({"search": 'no "such" word'}, []),
        ({"limit": 2}, ["three", "two"]),
    ],
)
async def test_the_options_select_incidents(relay, query, expected):
    assert await found(relay, **query) == expected


async def test_pages_follow_each_other_to_the_end(relay):
    pages, after = [], ""
    for _ in range(2):
        query = IncidentQuery.from_parameters({"limit": "1", "search": "o", "after": after}.items())
        page = await find_incidents(relay.store, query, relay.configuration.rulebook)
        document = as_json(page, lambda channel, ts: "", relay.configuration.rulebook.tag_labels, START)
        pages += [each["incident"] for each in document["incidents"]]
        after = document["next"] or ""
    assert (pages, after) == (["two", "one"], "")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"opne": "1"}, "did you mean 'open'?"),
        ({"open": "perhaps"}, "expected true or false"),
        ({"limit": "0"}, "from 1 to 500"),
        ({"limit": "many"}, "from 1 to 500"),
        ({"after": "later"}, "the `next` of the page before"),
        ({"after": "nan:one"}, "the `next` of the page before"),
        ({"channel": "everyon"}, "did you mean 'everyone'?"),
        ({"route": "dv"}, "There is no route 'dv'"),
        ({"search": "a\0b"}, "control characters"),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_is_expected(relay, parameters, said):
    with pytest.raises(QueryError, match=said.replace("?", r"\?")):
        await find_incidents(
            relay.store, IncidentQuery.from_parameters(parameters.items()), relay.configuration.rulebook
        )


async def test_an_unknown_channel_exits_with_1_and_a_full_list_says_that_there_is_more(relay):
    result = await run("incidents", "--channel", "everyon")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'everyone'?" in result.stderr
    result = await run("incidents", "--limit", "1", "--json")
    assert [each["incident"] for each in json.loads(result.stdout)["incidents"]] == ["three"]
    assert "--limit 0" in result.stderr
    result = await run("incidents", "--search", "nothing")
    assert (result.exit_code, result.stdout) == (0, "No incidents.\n")


@pytest.mark.parametrize("name", ["None", "#None", "none"])
async def test_a_channel_without_a_known_name_has_no_name(relay, name):
    await relay.store.add_channels(["C0NEW00001"])
    with pytest.raises(QueryError, match=f"There is no channel '{name}'"):
        await found(relay, channel=name)


async def test_an_incident_is_found_by_the_link_to_its_card_or_to_a_reply(relay):
    [root] = [each for each in relay.slack.channel("db").messages if each.thread_ts in (None, each.ts)]
    link = f"https://acme.slack.com/archives/C0DB000001/p{root.ts.replace('.', '')}"
    by_id = json.loads((await run("incident", "one", "--json")).stdout)
    for text in (
        link,
        f"https://acme.slack.com/archives/C0DB000001/p1700000099000001?thread_ts={root.ts}&cid=C0DB000001",
    ):
        result = await run("incident", text, "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (0, by_id)
    for text, said in (
        (link.replace("C0DB", "C0XX"), "not a card of relay"),
        ("https://acme.slack.com/", "not the link to a message"),
        ("four", "There is no incident four"),
    ):
        result = await run("incident", text)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr


async def test_an_incident_deleted_in_bigpanda_is_not_open_and_is_marked(relay, tmp_path):
    with closing(sqlite3.connect(tmp_path / "relay.db")) as database, database:
        database.execute("UPDATE incident SET ended_at = 1 WHERE id = 'two'")
    lines = (await run("incidents")).stdout.splitlines()
    assert [line for line in lines if "warning, no longer in BigPanda" in line]
    assert "two" not in await found(relay, open_only=True)
