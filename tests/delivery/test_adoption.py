"""A database was lost: relay takes over its cards in Slack before it posts, and no incident gets a second card."""

import pytest

from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import fake_workspace, run_relay


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slack(clock):
    return fake_workspace(clock)


@pytest.fixture
def lose(tmp_path):
    def lose():
        for file in tmp_path.glob("relay.db*"):
            file.unlink()

    return lose


async def test_the_next_share_edits_the_card_of_a_lost_database(tmp_path, clock, slack, lose):
    async with run_relay(tmp_path, clock=clock, slack=slack) as relay:
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
    lose()
    posted = len(slack.calls_to("chat.postMessage"))
    clock.advance(3600)
    async with run_relay(tmp_path, clock=clock, slack=slack, is_new=True) as relay:
        await relay.share("i1", status="critical", alerts=[ALERT], incidentTags=[{"name": "team", "value": "web"}])
        await relay.advance(60)
        [card] = cards(relay, "i1")
        assert "web" in str(card)
        assert thread_text(relay, card) == ""
        assert len(slack.calls_to("chat.postMessage")) == posted
        await relay.share("i1", status="ok")
        await relay.advance(60)
        assert "Resolved" in thread_text(relay, card)
        assert "✅" in slack.text_of(card)
