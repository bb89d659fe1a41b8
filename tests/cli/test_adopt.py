"""`relay adopt` and `relay restored`: what an operator says to a database that fell back."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.config.settings import Settings
from relay.delivery import leader
from relay.sandbox.slack.server import serve_slack
from relay.store.store import Store
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards
from tests.support.relay_in_process import fake_workspace, run_relay


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slack(clock):
    return fake_workspace(clock)


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch, slack):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    monkeypatch.setenv("SLACK_BOT_TOKEN", slack.token)
    monkeypatch.setattr(leader, "POLL_EVERY", 0.01)


@asynccontextmanager
async def api(slack, monkeypatch):
    async with serve_slack(slack) as url:
        monkeypatch.setenv("SLACK_API_URL", url)
        yield


async def relay_command(*arguments):
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def posted_by_a_lost_database(tmp_path, clock, slack, *incidents, name="relay"):
    async with run_relay(tmp_path, clock=clock, slack=slack, name=name) as relay:
        for incident in incidents:
            await relay.share(incident, status="warning", alerts=[ALERT])
        await relay.advance(60)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()


# The command lives in real time, and the workspace in the test's: all of its messages are old.
SINCE = ("--since", "3650d")


async def test_adopt_works_beside_a_running_relay_and_a_second_run_changes_nothing(tmp_path, clock, slack, monkeypatch):
    await posted_by_a_lost_database(tmp_path, clock, slack, "i1", "i2")
    await posted_by_a_lost_database(tmp_path, clock, slack, "i1", name="staging")
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay, api(slack, monkeypatch):
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.settle()
        first = await relay_command("adopt", *SINCE)
        assert first.exit_code == 0, first.output
        assert "2 cards taken over in 2 channels." in first.output
        assert "1 because the database has it already" in first.output
        assert "1 because a relay with another RELAY_NAME posted it" in first.output
        before = (await relay.store.incident_history("i1")).cards
        again = json.loads((await relay_command("adopt", *SINCE, "--json")).output)
        assert again["adopted"] == 0
        assert again["channels"]["C0ALL00001"]["left_alone"] == {"known": 3, "another_name": 1}
        assert (await relay.store.incident_history("i1")).cards == before
        for incident in ("i1", "i2"):
            await relay.share(incident, status="critical", alerts=[ALERT])
        await relay.advance(60)
        mine = [card for card in cards(relay, "i1") if "staging" not in str(card.metadata)]
        assert [len(mine), len(cards(relay, "i2"))] == [1, 1]


async def test_an_incident_whose_card_was_posted_again_keeps_both_cards(tmp_path, clock, slack, monkeypatch):
    await posted_by_a_lost_database(tmp_path, clock, slack, "i1")
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay, api(slack, monkeypatch):
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.settle()
        result = await relay_command("adopt", *SINCE, "--json")
        found = json.loads(result.output)["channels"]["C0ALL00001"]
        assert found == {"adopted": 0, "left_alone": {"older_episode": 1, "known": 1}, "complete": True}


async def test_a_channel_that_cannot_be_read_is_named_with_its_remedy(tmp_path, clock, slack, monkeypatch):
    await posted_by_a_lost_database(tmp_path, clock, slack, "i1")
    async with run_relay(tmp_path, clock=clock, slack=slack), api(slack, monkeypatch):
        slack.remove_scope("channels:history")
        result = await relay_command("adopt", *SINCE)
        assert result.exit_code == 1
        assert "C0ALL00001" in result.output
        assert "channels:history" in result.output


async def test_adopt_reports_a_missing_token_and_an_invalid_duration(tmp_path, monkeypatch, slack):
    await (await Store.open(f"sqlite:///{tmp_path}/relay.db")).close()
    assert "duration" in (await relay_command("adopt", "--since", "soon")).output
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    result = await relay_command("adopt")
    assert (result.exit_code, "SLACK_BOT_TOKEN" in result.output) == (2, True)


async def test_restored_marks_the_database_with_the_moment_of_the_copy(tmp_path):
    url = f"sqlite:///{tmp_path}/relay.db"
    await (await Store.open(url)).close()
    result = await relay_command("restored", "--at", "2023-11-26T03:00+01:00")
    assert (result.exit_code, "2023-11-26" in result.output) == (0, True)
    store = await Store.open(url)
    copied, until = await store.restore_window(1_700_980_000.0)
    await store.close()
    assert (copied, until) == (1_700_964_000.0, 1_700_980_000.0 + 86_400)


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("yesterday", "is not a time"),
        ("2023-11-26T03:00", "has no zone"),
        ("2123-11-26T03:00Z", "is in the future"),
        ("0001-01-01T00:00Z", "is too early"),
    ],
)
async def test_restored_reports_an_invalid_time(tmp_path, time, why):
    await (await Store.open(f"sqlite:///{tmp_path}/relay.db")).close()
    result = await relay_command("restored", "--at", time)
    assert (result.exit_code, why in " ".join(result.output.split())) == (2, True)
