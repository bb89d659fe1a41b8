"""`relay mute`: makes, lists, extends and ends mutes beside a running relay."""

import asyncio
import json
import os
import re

import pytest
from typer.testing import CliRunner

from relay.actions import mute_preview
from relay.cards.mutes import Mute
from relay.cli import app
from relay.config.settings import Settings
from relay.routes.parser.parse import parse_rulebook
from relay.store.store import Store
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import run_relay

CHECKOUT = "{tags: {service: checkout}}"


@pytest.fixture
async def store(tmp_path, monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    async with run_relay(tmp_path) as running:
        real = await running.store.now()
        running.clock.set_time(real)
        await running.share("one", status="critical", incidentTags=[{"id": "service", "value": "checkout"}])
        await running.share("two", status="ok", incidentTags=[{"id": "service", "value": "checkout"}])
        await running.share("three", status="critical", incidentTags=[{"id": "service", "value": "web"}])
        await running.settle()
    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}", exclusive=False)
    yield store
    await store.close()


async def relay_mute(*arguments, answer=None):
    return await asyncio.to_thread(CliRunner().invoke, app, ["mute", *arguments], input=answer)


async def made(*arguments):
    result = await relay_mute("add", "--match", CHECKOUT, "--for", "2h", "--reason", "deploy", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_a_mute_is_made_listed_extended_and_ended(store):
    mute = await made("--author", "Dana", "--unless", "critical")
    assert (mute["author"], mute["origin"], mute["state"], mute["unless"]) == ("Dana", "cli", "active", "critical")
    assert mute["end"] - mute["start"] == 7200
    listed = await relay_mute("list")
    assert re.search(rf"{mute['id']} .*active, 2 h left.*unless critical or worse.*Dana.*deploy", listed.output)
    assert "ends at" in (await relay_mute("extend", str(mute["id"]), "--for", "5h")).output
    [stored] = (json.loads((await relay_mute("list", "--json")).stdout))["mutes"]
    assert stored["end"] == mute["end"] + 5 * 3600, "it counts from its end, so that it never gets shorter"
    assert "is over" in (await relay_mute("end", str(mute["id"]), "--author", "Ben")).output
    assert (await relay_mute("list")).output == "Nothing is muted.\n"
    assert "ended by Ben" in (await relay_mute("list", "--all")).output


async def test_mute_add_first_says_how_many_incidents_match(store):
    result = await relay_mute("add", "--match", CHECKOUT, "--for", "2h", "--reason", "deploy")
    assert "It matches 1 open incident now, and 2 of the last 7 days." in result.output
    assert "End it with: relay mute end 1" in result.output


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0), ("", 1)])
async def test_mute_add_asks_before_a_mute_that_matches_nothing(store, answer, code):
    arguments = ("add", "--match", "{tags: {service: nowhere}}", "--for", "2h", "--reason", "deploy")
    result = await relay_mute(*arguments, answer=answer)
    assert result.exit_code == code
    assert len(await store.mutes_after(0)) == (code == 0)
    assert (await relay_mute(*arguments, "--yes")).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--match", CHECKOUT, "--for", "8d"], "longer than 7 d"),
        (["--match", CHECKOUT, "--for", "0s"], "not a duration"),
        (["--match", CHECKOUT, "--for", "soon"], "such as 90m, 2h or 1d"),
        (["--match", CHECKOUT, "--for", "1h", "--from", "2020-01-01T00:00Z"], "end in the past"),
        (["--match", CHECKOUT, "--for", "1h", "--from", "tomorrow"], "not a time"),
        (["--match", "{tagz: x}", "--for", "1h"], "did you mean 'tags'"),
        (["--match", "{not: {status: critical}}", "--for", "1h"], "only what is not meant"),
        (["--for", "1h"], "either --match or --incident"),
        (["--match", CHECKOUT, "--incident", "one", "--for", "1h"], "either --match or --incident"),
    ],
)
async def test_an_invalid_mute_is_rejected_with_the_reason_and_not_made(store, arguments, said):
    result = await relay_mute("add", *arguments, "--reason", "deploy", "--yes")
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())
    assert await store.mutes_after(0) == ()


@pytest.mark.parametrize("command", [["extend", "7", "--for", "1h"], ["end", "7"]])
async def test_a_mute_that_ended_or_does_not_exist_cannot_be_changed(store, command):
    result = await relay_mute(*command)
    assert (result.exit_code, "There is no mute 7, or it is over" in result.output) == (1, True)


async def test_a_mute_ends_once(store):
    number = str((await made())["id"])
    assert (await relay_mute("end", number)).exit_code == 0
    assert (await relay_mute("end", number)).exit_code == 1
    assert (await relay_mute("extend", number, "--for", "1h")).exit_code == 1


async def test_mutes_are_stored_on_postgresql_too():
    mute = Mute(match=CHECKOUT, start=1.0, end=9.0, reason="d", author="Dana", origin="board", routes=("a", "b"))
    with postgresql_with_tables() as url:
        store = await Store.open(url)
        number = (await store.add_mute(mute)).id
        [stored] = await store.mutes_after(5.0)
        assert (stored.id, stored.routes, stored.author) == (number, ("a", "b"), "Dana")
        assert await store.extend_mute(number, 20.0, 8.0)
        assert not await store.end_mute(number, 20.0, "Ben")
        assert await store.end_mute(number, 19.0, "Ben")
        assert (await store.mute(number)).ended_by == "Ben"
        await store.close()


async def test_open_incidents_are_counted_before_all_others(store, monkeypatch):
    now = await store.now()
    mute = Mute(match=CHECKOUT, start=now, end=now + 60, reason="d", author="Dana", origin="cli")
    rulebook = parse_rulebook("version: 1\nroutes: []\n")
    seen = []
    for most in (1, 2, 9):
        monkeypatch.setattr(mute_preview, "MAX_SCANNED", most)
        seen += await mute_preview.preview(store, [mute], rulebook, now)
    assert [(each.open, each.recent, each.open_cut, each.recent_cut) for each in seen] == [
        (seen[0].open, seen[0].open, True, True),
        (1, 1, True, True),
        (1, 2, False, False),
    ]
    assert seen[1].sentence == "It matches at least 1 open incident now, and at least 1 of the last 7 days."


async def test_the_count_stops_in_time_and_shows_what_was_counted(store, monkeypatch):
    monkeypatch.setattr(mute_preview, "SECONDS_AT_ONCE", -1.0)
    monkeypatch.setattr(mute_preview, "_BATCH", 2)
    now = await store.now()
    mute = Mute(match=CHECKOUT, start=now, end=now + 60, reason="d", author="Dana", origin="cli")
    [seen] = await mute_preview.preview(store, [mute], parse_rulebook("version: 1\nroutes: []\n"), now, at_once=True)
    assert (seen.open, seen.open_cut, seen.recent_cut) == (1, True, True)


async def test_a_user_without_a_name_on_the_machine_is_shown_by_number(store, monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert (await made())["author"] == f"user {os.getuid()}"
    assert (await relay_mute("end", "1")).exit_code == 0


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30])
@pytest.mark.parametrize("command", [["extend", "--for", "1h"], ["end"]])
async def test_an_impossible_mute_number_is_rejected(store, command, number):
    result = await relay_mute(*command, "--", number)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
