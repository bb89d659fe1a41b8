"""`relay workspace`: whose database it is, and how an operator accepts another workspace."""

import asyncio
import json

from typer.testing import CliRunner

from relay.cli import app
from relay.slack.workspace import SlackWorkspace
from relay.store.store import Store

ACME = SlackWorkspace(team_id="T1", team="Acme", bot_id="B1")


async def bind(url, workspace=None):
    store = await Store.open(url)
    await store.marker_secret("secret")
    if workspace is not None:
        await store.bind_workspace(workspace)
    await store.close()


async def bound(url):
    store = await Store.open(url)
    found = await store.bound_workspace()
    await store.close()
    return found


def run(monkeypatch, url, *arguments):
    monkeypatch.setenv("RELAY_DATABASE_URL", url)
    return CliRunner().invoke(app, ["workspace", *arguments])


def test_workspace_shows_the_workspace_and_accepts_another_one_only_with_accept(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/relay.db"
    asyncio.run(bind(url))
    assert "belongs to no workspace yet" in run(monkeypatch, url).output
    asyncio.run(bind(url, ACME))
    assert "belongs to Acme (T1), bot B1." in run(monkeypatch, url).output
    asyncio.run(bind(url, SlackWorkspace(team_id="T2", team="Other", bot_id="B2")))
    assert asyncio.run(bound(url)) == ACME
    released = json.loads(run(monkeypatch, url, "--accept", "--json").output)
    assert released == {"workspace": {"team_id": "T1", "team": "Acme", "bot_id": "B1"}, "released": True}
    assert asyncio.run(bound(url)) is None
    assert "belongs to no workspace yet" in run(monkeypatch, url).output


def test_workspace_reports_a_missing_database(tmp_path, monkeypatch):
    result = run(monkeypatch, f"sqlite:///{tmp_path}/relay.db")
    assert (result.exit_code, "There is no SQLite database" in result.output) == (2, True)
