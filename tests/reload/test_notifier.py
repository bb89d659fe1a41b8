"""The messages that the fallback channel gets about a faulty edit, and how often."""

import asyncio
from contextlib import suppress

import pytest

from relay.cards.model import Channel, ChannelState
from relay.config.configuration import Configuration
from relay.http.session import make_session
from relay.model.errors import Fault
from relay.reload import messages
from relay.reload.notifier import LEADER_GRACE, Notifier
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.parse import parse_rulebook
from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from tests.support.reload_samples import GOOD

FAULTS = (Fault(file="routes.yaml", line=6, column=5, message="unknown key 'pots' in route"),)
OTHERS = (Fault(file="incident/card.j2", line=1, message="<!channel> is not *closed* & so on"),)


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
        async with asyncio.timeout(20):
            while not self.clock.waiting:  # noqa: ASYNC110  no event is set for it
                await asyncio.sleep(0.001)

    @property
    def texts(self):
        noc = self.slack.channel("C0NOC00001")
        return [message.text for message in noc.all_messages if not message.deleted]


@pytest.fixture
async def bench(store, folder):
    slack = FakeSlack(clock=folder.clock.now, sleep=folder.clock.sleep)
    slack.add_channel("C0NOC00001", "noc", member=True)
    async with serve_slack(slack) as url, make_session() as session:
        made = Bench(slack, SlackGateway(session, slack.token, folder.clock, base_url=url), store, folder.clock)
        await made.found()
        yield made


async def test_a_fault_is_reported_once_with_its_position_and_pings_nobody(bench):
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    [message] = bench.slack.channel("noc").messages
    reads = bench.slack.text_of(message)
    assert "routes.yaml:6:5: unknown key 'pots' in route" in reads
    assert "The previous configuration stays active" in reads
    assert not pings(message)
    assert message.metadata == {
        "event_type": "relay_notice",
        "event_payload": {"incident": "", "key": "configuration:f1", "kind": "notice", "instance": "relay"},
    }


async def test_a_fault_is_reported_once_across_restarts(bench):
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    bench.notifier = bench.new_notifier()
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    assert len(bench.texts) == 1


async def test_another_fault_replaces_the_first_and_the_correction_is_reported_below_it(bench):
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    bench.notifier.report_faults("f2", OTHERS)
    await bench.run_for()
    [message] = bench.slack.channel("noc").messages
    assert "incident/card.j2:1" in bench.slack.text_of(message)
    assert not pings(message)
    bench.notifier.report_fixed("good")
    await bench.run_for()
    [reply] = bench.slack.channel("noc").thread(message.ts)
    assert reply.broadcast
    assert "valid again" in reply.text
    bench.notifier.report_fixed("good")
    await bench.run_for()
    assert len(bench.texts) == 2


async def test_the_correction_is_reported_after_a_restart_too_and_the_same_fault_can_be_reported_again(bench):
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    bench.notifier = bench.new_notifier()
    bench.notifier.report_fixed("good")
    await bench.run_for()
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    assert len(bench.texts) == 3
    assert "valid again" in bench.texts[1]


async def test_without_a_fault_nothing_is_posted(bench):
    bench.notifier.report_fixed("good")
    await bench.run_for()
    assert not bench.slack.calls


async def test_a_fault_that_is_corrected_before_it_could_be_reported_is_never_reported(bench):
    bench.notifier.report_faults("f1", FAULTS)
    bench.notifier.report_fixed("good")
    await bench.run_for()
    assert not bench.slack.calls


@pytest.mark.parametrize("trouble", [rate_limited(7), ErrorCode("invalid_auth"), ErrorCode("ratelimited")])
async def test_a_notice_that_certainly_was_not_posted_is_posted_later(bench, trouble):
    bench.slack.faults.add(InjectedFault(behaviour=trouble, method="chat.postMessage", times=2))
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(60)
    assert len(bench.slack.calls_to("chat.postMessage")) == 3
    assert len(bench.texts) == 1


async def test_a_fault_that_occurs_twice_during_an_outage_of_slack_is_reported_once(bench):
    bench.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_auth"), method="chat.postMessage", times=3))
    bench.notifier.report_faults("f1", FAULTS)
    task = asyncio.create_task(bench.notifier.run())
    await bench.wait_until_waiting()
    bench.notifier.report_faults("f1", FAULTS)
    await bench.wait_until_waiting()
    task.cancel()
    assert bench.notifier._pending is not None
    assert len(bench.slack.calls_to("chat.postMessage")) == 1


async def test_a_notice_in_doubt_is_not_sent_again(bench):
    bench.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method="chat.postMessage", times=1))
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(600)
    assert len(bench.texts) == 1


async def test_the_correction_of_an_unreported_fault_is_not_reported(bench):
    bench.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_auth"), method="chat.postMessage", times=1))
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    bench.notifier.report_fixed("good")
    await bench.run_for(60)
    assert not bench.texts


async def test_a_deleted_notice_is_posted_again(bench):
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for()
    noc = bench.slack.channel("noc")
    noc.delete(noc.messages[0].ts)
    bench.notifier.report_faults("f2", OTHERS)
    await bench.run_for(1)
    [message] = noc.messages
    assert "incident/card.j2:1" in bench.slack.text_of(message)


async def test_it_waits_for_its_channel_to_be_found(bench, store):
    bench.live = configuration(GOOD.replace("C0NOC00001", '"#later"'))
    bench.slack.add_channel("C0LATER001", "later", member=True)
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(30)
    assert not bench.slack.calls
    await store.add_channels(["#later"])
    await store.update_channel(Channel(ref="#later", slack_id="C0LATER001", state=ChannelState.OPEN))
    await bench.run_for(300)
    assert len(bench.slack.channel("later").messages) == 0  # claimed by the first run, which a restart has cut off


async def test_a_channel_shared_with_another_organisation_gets_no_notice(bench):
    await bench.found(external=True)
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(60)
    assert not bench.slack.calls


async def test_without_a_fallback_faults_are_only_in_logs_and_metrics(bench):
    bench.live = configuration(GOOD.replace("fallback: C0NOC00001", ""))
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(60)
    assert not bench.slack.calls


async def test_only_the_leader_posts_the_notice(bench):
    bench.delivering = False
    other = bench.new_notifier()
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(LEADER_GRACE - 5)
    assert not bench.texts
    assert await bench.store.claim_fault_report("f1", bench.clock.now())  # the other one tells it
    bench.notifier = other
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(LEADER_GRACE + 5)
    assert not bench.texts


async def test_a_fault_that_the_leader_does_not_have_is_reported_by_the_other_relay(bench):
    bench.delivering = False
    bench.notifier.report_faults("f1", FAULTS)
    await bench.run_for(LEADER_GRACE + 5)
    assert len(bench.texts) == 1


def test_the_notice_fits_however_many_faults_there_are():
    faults = [Fault(file="r" * 300, line=n, message="<!here> & " + "x" * 3000) for n in range(500)]
    message = messages.faults_message(faults)
    assert "490 more" in message.blocks[1]["text"]["text"]
    validate_content(MessageContent(text=message.text, blocks=message.blocks))


async def test_channels_that_take_no_messages_are_reported_together_and_once(bench):
    await bench.found()
    for ref in ("#payments", "#db"):
        bench.notifier.report_channel(ref, "channel not found. Correct the channel's name in routes.yaml.")
    await bench.run_for(60)
    assert len(bench.texts) == 1
    [message] = bench.slack.channel("C0NOC00001").messages
    assert "#payments: channel not found. Correct" in str(message.blocks)
    assert "#db: channel not found" in str(message.blocks)
    await bench.run_for(60)
    assert len(bench.texts) == 1


async def test_a_fault_and_the_channels_are_both_reported(bench):
    bench.notifier.report_channel("#payments", "channel not found.")
    await bench.run_for(5)  # the fallback is not found yet
    bench.notifier.report_faults("digest", FAULTS)
    await bench.found()
    await bench.run_for(600)
    texts = [str(message.blocks) for message in bench.slack.channel("C0NOC00001").messages]
    assert sorted("#payments" in text for text in texts) == [False, True]


async def test_a_fallback_that_takes_no_messages_is_not_told_about_itself(bench):
    bench.notifier.report_channel("C0NOC00001", "channel not found.")
    await bench.run_for(60)
    await bench.found()
    await bench.run_for(600)
    assert bench.texts == []
