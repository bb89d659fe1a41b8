"""What relay reports about itself: one message for each kind, posted once, edited until nothing is wrong any more."""

import asyncio
from contextlib import suppress

import pytest

from relay.cards.model import Channel, ChannelState
from relay.config.configuration import Configuration
from relay.http.session import make_session
from relay.reload.messages import MAX_LISTED, ROWS, NoticeTopic, open_message, over_message
from relay.reload.notifier import SEARCH_AFTER, SHARES_AFTER, SHARES_EVERY, Notifier
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.parse import parse_rulebook
from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from relay.store.types import FailedShare
from tests.support.reload_samples import GOOD

FAULTS = ("routes.yaml:6:5: unknown key 'pots' in route",)
OTHERS = ("incident/card.j2:1: <!channel> is not *closed* & so on",)
WEEK = 7 * 86_400.0


def configuration(routes=GOOD):
    return Configuration(rulebook=parse_rulebook(routes), library=TemplateLibrary({}), templates={}, hash="live")


class Bench:
    """A notifier with its workspace, and a clock that moves while it waits."""

    def __init__(self, slack, gateway, store, clock):
        self.slack, self.store, self.clock = slack, store, clock
        self.delivering = True
        self.live = configuration()
        self.gateway = gateway
        self.notifier = self.new_notifier()

    def new_notifier(self):
        return Notifier(
            self.store,
            self.gateway,
            live=lambda: self.live,
            delivering=lambda: self.delivering,
            clock=self.clock,
        )

    async def found(self, ref="C0NOC00001", **facts):
        await self.store.add_channels([ref])
        await self.store.update_channel(Channel(ref=ref, slack_id=ref, state=ChannelState.OPEN, facts=facts))

    async def run_for(self, seconds=0.0):
        """Run the notifier until it has nothing to do for so long."""
        task = asyncio.create_task(self.notifier.run())
        until = self.clock.now() + seconds
        while True:
            await self.wait_until_waiting()
            moment = self.clock.next_timer()
            if moment is None or moment > until:
                break
            self.clock.advance(max(0.0, moment - self.clock.now()))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def wait_until_waiting(self):
        """Wait until the notifier waits for time to pass, or for a notice."""
        async with asyncio.timeout(100):
            while not self.clock.waiting:  # noqa: ASYNC110  no event is set for it
                await asyncio.sleep(0.001)

    async def report(self, kind, *problems, seconds=5.0):
        """Report that, and run until nothing is left to do for so long."""
        self.notifier.report(kind, problems)
        await self.run_for(seconds)

    def restart(self):
        self.notifier = self.new_notifier()

    @property
    def messages(self):
        return [message for message in self.slack.channel("C0NOC00001").all_messages if not message.deleted]

    @property
    def texts(self):
        return [message.text for message in self.messages]


@pytest.fixture
async def bench(store, folder):
    slack = FakeSlack(clock=folder.clock.now, sleep=folder.clock.sleep)
    slack.add_channel("C0NOC00001", "noc", member=True)
    async with serve_slack(slack) as url, make_session() as session:
        made = Bench(slack, SlackGateway(session, slack.token, folder.clock, base_url=url), store, folder.clock)
        await made.found()
        yield made


@pytest.mark.parametrize("kind", NoticeTopic)
async def test_a_notice_is_posted_once_and_edited_until_the_problem_is_solved(bench, kind):
    await bench.report(kind, "one", "<!channel> is not *closed* & so on")
    await bench.report(kind, "one", "<!channel> is not *closed* & so on")
    [message] = bench.messages
    assert "<!channel> is not *closed* & so on" in bench.slack.text_of(message)
    await bench.report(kind, "another")
    assert [each.ts for each in bench.messages] == [message.ts]
    assert "another" in bench.slack.text_of(message)
    assert "closed" not in bench.slack.text_of(message)
    await bench.report(kind)
    assert bench.texts == [ROWS[kind].over]
    await bench.report(kind)
    assert not any(map(pings, bench.messages))
    await bench.report(kind, "again")
    assert len(bench.messages) == 2
    assert bench.texts[0] == ROWS[kind].over


@pytest.mark.parametrize("kind", NoticeTopic)
async def test_a_restart_neither_repeats_a_notice_nor_forgets_to_close_it(bench, kind):
    await bench.report(kind, "one")
    bench.restart()
    await bench.report(kind, "one", seconds=60)
    assert len(bench.messages) == 1
    bench.restart()
    await bench.report(kind, seconds=60)
    assert bench.texts == [ROWS[kind].over]
    edits = len(bench.slack.calls_to("chat.update"))
    bench.restart()
    await bench.report(kind, seconds=60)
    assert len(bench.slack.calls_to("chat.update")) == edits


async def test_a_notice_names_the_place_of_the_fault_and_has_a_marker(bench):
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS)
    [message] = bench.messages
    reads = bench.slack.text_of(message)
    assert "routes.yaml:6:5: unknown key 'pots' in route" in reads
    assert "The previous configuration stays active" in reads
    assert message.metadata["event_type"] == "relay_notice"
    payload = message.metadata["event_payload"]
    assert (payload["key"], payload["kind"], payload["instance"]) == ("configuration", "notice", "relay")


@pytest.mark.parametrize("kind", NoticeTopic)
async def test_a_problem_solved_before_its_notice_is_never_reported(bench, kind):
    bench.notifier.report(kind, FAULTS)
    await bench.report(kind)
    assert bench.texts == []


@pytest.mark.parametrize("trouble", [rate_limited(7), ErrorCode("invalid_auth"), ErrorCode("ratelimited")])
async def test_a_notice_that_certainly_was_not_posted_is_posted_later(bench, trouble):
    bench.slack.faults.add(InjectedFault(behaviour=trouble, method="chat.postMessage", times=2))
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=60)
    assert len(bench.slack.calls_to("chat.postMessage")) == 3
    assert len(bench.texts) == 1


async def test_a_notice_that_cannot_be_edited_now_is_edited_later(bench):
    await bench.report(NoticeTopic.CHANNELS, "one")
    bench.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_auth"), method="chat.update", times=2))
    await bench.report(NoticeTopic.CHANNELS, seconds=60)
    assert bench.texts == [ROWS[NoticeTopic.CHANNELS].over]


@pytest.mark.parametrize("kind", NoticeTopic)
@pytest.mark.parametrize("arrived", [True, False])
async def test_after_a_lost_answer_relay_searches_for_the_notice_before_it_posts_it_again(bench, kind, arrived):
    lost = InjectedFault(behaviour=SERVER_ERROR, after_effect=arrived, method="chat.postMessage", times=1)
    bench.slack.faults.add(lost)
    await bench.report(kind, "one", seconds=SEARCH_AFTER + 5)
    assert len(bench.texts) == 1
    await bench.report(kind, seconds=SEARCH_AFTER + 5)
    assert bench.texts == [ROWS[kind].over]


@pytest.mark.parametrize("kind", NoticeTopic)
async def test_a_relay_that_is_killed_while_it_posts_leaves_one_notice(bench, kind):
    bench.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method="chat.postMessage", times=1))
    await bench.report(kind, "one", seconds=1)
    bench.restart()
    await bench.report(kind, "two", seconds=SEARCH_AFTER + 5)
    [message] = bench.messages
    assert "two" in bench.slack.text_of(message)


async def test_relay_does_not_post_a_notice_twice_if_it_may_not_search(bench):
    bench.slack.remove_scope("channels:history")
    bench.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method="chat.postMessage", times=1))
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=600)
    assert len(bench.texts) == 1


async def test_a_notice_of_another_relay_with_the_same_bot_is_ignored(bench):
    await bench.report(NoticeTopic.DATABASE, "one")
    bench.restart()
    bench.notifier._instance = "staging"
    await bench.report(NoticeTopic.DATABASE, seconds=60)
    assert bench.texts == [open_message(NoticeTopic.DATABASE, ["one"]).text]


async def test_a_deleted_notice_is_posted_again_while_it_is_true(bench):
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS)
    noc = bench.slack.channel("noc")
    noc.delete(noc.messages[0].ts)
    await bench.report(NoticeTopic.CONFIGURATION, *OTHERS)
    [message] = noc.messages
    assert "incident/card.j2:1" in bench.slack.text_of(message)
    noc.delete(message.ts)
    await bench.report(NoticeTopic.CONFIGURATION)
    assert bench.texts == []


async def test_notices_go_to_their_own_channel_or_to_the_fallback_while_that_channel_rejects_messages(bench, store):
    bench.live = configuration(GOOD.replace("fallback:", 'notices: {channel: "#admins"}\nfallback:'))
    bench.slack.add_channel("C0ADMINS01", "admins", member=True)
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=30)
    assert not bench.slack.calls  # it is not looked up yet
    await store.add_channels(["#admins"])
    await store.update_channel(Channel(ref="#admins", slack_id="C0ADMINS01", state=ChannelState.OPEN))
    bench.notifier.check_channels()
    await bench.run_for(5)
    assert len(bench.slack.channel("admins").messages) == 1
    await store.update_channel(
        Channel(ref="#admins", slack_id="C0ADMINS01", state=ChannelState.REJECTED, reason="gone")
    )
    bench.notifier.check_channels()
    await bench.run_for(5)
    assert "#admins: gone" in bench.slack.text_of(bench.messages[0])


async def test_a_channel_shared_with_another_organisation_gets_no_notice(bench):
    await bench.found(external=True)
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=60)
    assert not bench.slack.calls


async def test_without_a_channel_problems_are_only_in_logs_and_metrics(bench):
    bench.live = configuration(GOOD.replace("fallback: C0NOC00001", ""))
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=60)
    assert not bench.slack.calls


async def test_the_relay_that_delivers_posts_notices_and_another_one_only_if_it_does_not(bench):
    first = ROWS[NoticeTopic.CONFIGURATION].leader_first
    bench.delivering = False
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=first - 5)
    assert not bench.texts
    other = bench.new_notifier()
    await bench.run_for(10)
    assert len(bench.texts) == 1
    bench.delivering, bench.notifier = True, other
    await bench.report(NoticeTopic.CONFIGURATION, *FAULTS, seconds=60)
    assert len(bench.texts) == 1


@pytest.mark.parametrize("kind", NoticeTopic)
@pytest.mark.parametrize("number", [1, MAX_LISTED, MAX_LISTED + 1, 500])
def test_a_notice_fits_with_any_number_of_problems(kind, number):
    message = open_message(kind, [f"{'r' * 300}:{n}: <!here> & " + "x" * 3000 for n in range(number)])
    listed = message.blocks[1]["text"]["text"]
    assert ("more" in listed) == (number > MAX_LISTED)
    for each in (message, over_message(kind)):
        validate_content(MessageContent(text=each.text, blocks=each.blocks))


@pytest.mark.parametrize("kind", NoticeTopic)
def test_a_notice_links_to_the_page_of_the_board_that_shows_the_problems(kind):
    message = open_message(kind, ["x"], "https://ops.example/board")
    validate_content(MessageContent(text=message.text, blocks=message.blocks))
    page = ROWS[kind].page
    assert (f"<https://ops.example/board{page}|" in str(message.blocks)) == bool(page)
    assert "https://" not in str(open_message(kind, ["x"]).blocks)


async def test_rejecting_channels_are_named_until_they_accept_messages(bench, store):
    bench.live = configuration(GOOD.replace("[C0ALL00001]", '["#payments", "#db", C0ALL00001]'))
    refs = ("#payments", "#db")
    await store.add_channels(refs)
    for ref in refs:
        await store.update_channel(Channel(ref=ref, state=ChannelState.REJECTED, reason="channel_not_found"))
        bench.notifier.check_channels()
        await bench.run_for(1)
    await bench.run_for(5)
    [message] = bench.messages
    assert "2 channels" in message.text
    assert "#payments: channel not found. " in bench.slack.text_of(message)
    await store.update_channel(Channel(ref="#db", slack_id="C0DB000001", state=ChannelState.OPEN))
    bench.notifier.check_channels()
    await bench.run_for(5)
    assert "1 channel " in bench.texts[0]
    bench.live = configuration(GOOD)
    bench.notifier.check_channels()
    await bench.run_for(5)
    assert bench.texts == [ROWS[NoticeTopic.CHANNELS].over]


async def test_a_relay_that_begins_to_deliver_checks_the_channels(bench, store):
    bench.live = configuration(GOOD.replace("[C0ALL00001]", '["#db"]'))
    await store.add_channels(["#db"])
    await store.update_channel(Channel(ref="#db", state=ChannelState.REJECTED, reason="channel_not_found"))
    bench.delivering = False
    bench.notifier.check_channels()
    await bench.run_for(60)
    assert bench.texts == []
    bench.delivering = True
    await bench.run_for(60)
    assert len(bench.texts) == 1


async def test_a_share_that_cannot_be_planned_is_named_until_it_is_planned(bench, monkeypatch):
    failed = [
        FailedShare(id=7, incident="i7", received=0.0, tries=1, error="KeyError: 'x'", retry_at=None),
    ]

    async def failed_shares():
        return tuple(failed)

    monkeypatch.setattr(bench.store, "failed_shares", failed_shares)
    bench.notifier.check_shares()
    await bench.run_for(SHARES_AFTER - 1)
    assert bench.texts == []  # the first retry may help
    await bench.run_for(SHARES_AFTER)
    [message] = bench.messages
    assert bench.texts == ["🚨 Relay cannot process 1 share."]
    assert "incident i7: KeyError: 'x'" in bench.slack.text_of(message)
    failed.clear()  # `relay letters` has processed it, in another process
    await bench.run_for(SHARES_EVERY + 1)
    assert bench.texts == [ROWS[NoticeTopic.SHARES].over]


async def test_a_share_that_fails_once_is_not_reported(bench):
    bench.notifier.check_shares()
    await bench.run_for(SHARES_AFTER + SHARES_EVERY)
    assert bench.texts == []
