"""A database that was restored from a backup: messages sent since then are found in Slack, and not sent again."""

import shutil

import pytest

from relay.sandbox.faults import ErrorCode, InjectedFault
from relay.store.backup import backup
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import ROUTES, fake_workspace, run_relay

POST = "chat.postMessage"


def comment(text):
    return {"comment": {"comment": text}}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slack(clock):
    return fake_workspace(clock)


@pytest.fixture
async def put_back(tmp_path, clock, slack):
    """A backup is made, relay continues, loses its disk, and the backup is restored."""
    url = f"sqlite:///{tmp_path}/relay.db"
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.share("old", status="warning", alerts=[ALERT])
        await relay.advance(60)
        slack.pause(POST, 30)
        await relay.share("due", status="warning", alerts=[ALERT])
        await relay.share("old", metadata=comment("before the copy"))
        backup(url, tmp_path / "copy.db", now=clock.now)
        await relay.advance(60)
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert [len(cards(relay, name)) for name in ("old", "due", "new")] == [1, 1, 1]
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    shutil.copy(tmp_path / "copy.db", tmp_path / "relay.db")
    clock.advance(3600)


async def test_no_card_and_no_entry_is_repeated_and_new_ones_are_posted(tmp_path, clock, slack, put_back):
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.advance(60)
        for incident in ("old", "due", "new", "fresh"):
            await relay.share(incident, status="critical", alerts=[ALERT], metadata=comment(f"after, of {incident}"))
        await relay.advance(300)
        for incident in ("old", "due", "new", "fresh"):
            [card] = cards(relay, incident)
            assert "🔴" in slack.text_of(card)
            assert thread_text(relay, card).count(f"after, of {incident}") == 1
        assert thread_text(relay, cards(relay, "old")[0]).count("before the copy") == 1
        assert await relay.store.dead_letters() == ()


async def test_cards_posted_after_the_backup_are_found_below_newer_messages(tmp_path, clock, slack, put_back):
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.share("fresh", status="warning", alerts=[ALERT])
        await relay.advance(600)
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "new")) == 1


async def test_if_relay_may_not_search_the_policy_of_the_route_applies(tmp_path, clock, slack, put_back):
    slack.faults.add(InjectedFault(behaviour=ErrorCode("missing_scope"), method="conversations.history"))
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.share("fresh", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "fresh")) == 1
        assert len(cards(relay, "due")) == 2
        assert "may be a duplicate" in "".join(slack.text_of(card) for card in cards(relay, "due"))


async def test_after_a_day_nothing_is_searched_for(tmp_path, clock, slack, put_back):
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.advance(60)
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.advance(600)
        clock.advance(86_400)  # at once: step by step, relay would look for work a thousand times
        await relay.advance(60)
        looked = len(slack.calls_to("conversations.history"))
        await relay.share("fresh", status="warning", alerts=[ALERT])
        await relay.settle()
        assert len(slack.calls_to("conversations.history")) == looked
        assert len(cards(relay, "fresh")) == 1


async def test_a_database_that_is_not_a_restored_backup_searches_for_nothing(tmp_path, clock, slack):
    async with run_relay(tmp_path, routes=ROUTES, clock=clock, slack=slack) as relay:
        await relay.share("fresh", status="warning", alerts=[ALERT])
        await relay.settle()
        assert len(cards(relay, "fresh")) == 1
        assert slack.calls_to("conversations.history") == []


async def test_a_card_that_somebody_deleted_after_the_copy_is_posted_again_once(tmp_path, clock, slack, put_back):
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        slack.channel("all").delete(cards(relay, "old")[0].ts)
        await relay.share("old", status="critical", alerts=[ALERT])
        await relay.advance(600)
        [card] = cards(relay, "old")
        assert "🔴" in slack.text_of(card)
        assert len(slack.calls_to("conversations.replies")) < 10
