"""`relay explain` and `relay render` without a file: the sample or a stored incident, changed by options."""

import asyncio
import json

import orjson
import pytest
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cli import app
from relay.config.settings import Settings
from relay.store.types import ShareBody
from relay.tools.share_source import ShareChanges, all_shares, newest_share, parse_moment, shares_of_files
from tests.support.relay_in_process import run_relay

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: payments
    match: {tags: {team: payments}, environment: Production, status: critical}
    post: [C0ALL00001]
"""
MATCHING = ("--state", "critical", "--tag", "team=payments", "--environment", "Production")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def explained(*arguments):
    result = run("explain", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("sample", [(), ("--sample",)])
def test_the_options_change_the_sample(folder, sample):
    assert explained(*sample, *MATCHING)["routes"] == ["payments"]
    for changed in (("--state", "warning"), ("--environment", "Staging"), ("--tag", "team=web")):
        assert explained(*sample, *MATCHING, *changed)["routes"] == ([] if changed[0] != "--tag" else ["payments"])
    assert explained(*sample, *MATCHING, "--tag", "team=")["routes"] == ["payments"]  # given twice: both values
    assert explained(*sample, "--state", "critical", "--tag", "team=", "--environment", "Production")["routes"] == []
    assert explained("--sample")["routes"] == []


def test_the_options_change_the_last_file(folder):
    first, second = (
        {"incident": {"id": "i1", "status": status, "changedOn": 1_700_000_000}} for status in ("ok", "ok")
    )
    for name, share in (("a.json", first), ("b.json", second)):
        (folder / name).write_bytes(orjson.dumps(share))
    assert explained("a.json", *MATCHING)["routes"] == ["payments"]
    [incident] = json.loads(run("render", "a.json", "b.json", *MATCHING, "--at", "2023-11-15 00:00", "--json").stdout)
    assert [share["routes"] for share in incident["shares"]][-1] == ["payments"]
    assert [share["received"] for share in incident["shares"]] == [1_700_000_000, 1_700_006_400]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--incident ID"),
        (("a.json", "--sample"), "either files, or --sample"),
        (("--sample", "--incident", "i1"), "either files, or --sample"),
        (("--tag", "team"), "expected name=value"),
        (("--tag", "=x"), "expected name=value"),
        (("--at", "tomorrow"), "2026-11-30T09:00+01:00"),
        (("--state", "firing"), "critical"),
        (("none.json",), "none.json cannot be read"),
        (("none.json", "--state", "ok"), "critical"),
        (("none.json", "--state", "critical"), "none.json cannot be read"),
    ],
)
@pytest.mark.parametrize("command", ["explain", "render"])
def test_wrong_options_exit_with_2_and_say_what_is_expected(folder, command, arguments, said):
    result = run(command, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.replace("│", " ").split())


async def test_a_stored_incident_is_explained_by_its_newest_share_and_rendered_with_all(folder):
    async with run_relay(folder, routes=ROUTES) as relay:
        tags = [{"id": "team", "value": "payments"}]
        await relay.share("i1", status="warning", incidentTags=tags, metadata={"environment": "Production"})
        relay.clock.advance(60)
        await relay.share("i1", status="critical", incidentTags=tags, metadata={"environment": "Production"})

    async def document(command, *arguments):
        result = await asyncio.to_thread(run, command, "--incident", "i1", *arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert (await document("explain"))["routes"] == ["payments"]
    assert (await document("explain", "--state", "warning"))["routes"] == []
    [incident] = await document("render")
    assert [share["routes"] for share in incident["shares"]] == [[], ["payments"]]
    [incident] = await document("render", "--state", "resolved")
    assert [share["outcome"] for share in incident["shares"]] == ["first", "update", "update"]
    result = await asyncio.to_thread(run, "explain", "--incident", "i2")
    assert (result.exit_code, result.stdout) == (1, "")


def test_without_changes_a_stored_share_stays_as_it_was_sent():
    changes = ShareChanges()
    body = ShareBody(id=1, received=1_700_000_000.0, headers={"X-Team": "db"}, body=b'{"incident": {"id": "\xff"}}')
    [share] = all_shares([body], changes)
    assert share == parse_share(body.body, body.headers, body.received)
    assert newest_share([body], changes) == share
    changed = newest_share([body], ShareChanges(at=1_700_000_100.0))
    assert (changed.incident, changed.received) == (share.incident, 1_700_000_100.0)


def test_the_time_of_a_single_share_is_the_given_one(tmp_path):
    at = parse_moment("2026-11-30T09:00+01:00")
    [share] = shares_of_files([], ShareChanges(at=at))
    assert share.received == at == parse_moment("2026-11-30 08:00") == parse_moment("2026-11-30T08:00:00Z")
