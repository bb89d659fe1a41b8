"""A relay that was suspended past its lease makes no calls, not even one that it had decided to make."""

import asyncio

import pytest
from sqlalchemy import text

from relay.delivery.leader import Leader, LeaseGuard
from relay.delivery.service import DeliveryService
from relay.model.errors import LeaseLost
from relay.sandbox.faults import InjectedFault, SideEffect
from relay.slack.gateway import SlackGateway
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import LONG_STEP, run_relay


@pytest.fixture
def url():
    with postgresql_with_tables() as address:
        yield address


def test_without_a_lease_nothing_expires():
    clock = ManualClock()
    guard = LeaseGuard(clock)
    clock.advance(1e9)
    guard.check()


def test_a_lease_lasts_from_the_moment_of_its_request():
    clock = ManualClock()
    guard = LeaseGuard(clock)
    asked = clock.monotonic()
    clock.advance(5)
    guard.extend(asked, 12)
    clock.advance(6.9)
    guard.check()
    clock.advance(0.2)
    with pytest.raises(LeaseLost, match="nothing is sent"):
        guard.check()
    guard.extend(clock.monotonic(), 12)
    guard.check()


async def sends_nothing_until_it_has_a_lease_again(relay, slept):
    async with asyncio.timeout(100):
        while not slept or relay.delivery.delivering:  # noqa: ASYNC110  no event is set when delivery ends
            await asyncio.sleep(0.002)
    assert relay.slack.calls_to("chat.postMessage") == []
    never_expire(relay.leader)
    async with asyncio.timeout(100):
        while not relay.delivery.delivering:  # it may begin to wait for its next attempt only after a step of the clock
            relay.clock.advance(1)
            await asyncio.sleep(0.01)
    await relay.advance(60)
    assert len(cards(relay, "one")) == 1
    assert len(relay.slack.calls_to("chat.postMessage")) == 1


async def test_a_relay_that_was_suspended_between_the_decision_and_the_call_does_not_call(tmp_path, url):
    async with run_relay(tmp_path, url=url) as relay:
        pick, slept = relay.store.start_next_card, []

        async def sleepy(*arguments, **named):
            picked = await pick(*arguments, **named)
            if isinstance(picked, tuple) and not slept:
                slept.append(relay.clock.now())
                relay.clock.advance(13)
            return picked

        relay.store.start_next_card = sleepy
        await relay.share("one", status="warning")
        await sends_nothing_until_it_has_a_lease_again(relay, slept)


async def test_a_relay_that_was_suspended_while_it_connected_sends_nothing(tmp_path, url):
    async with run_relay(tmp_path, url=url) as relay:
        connector = relay.gateway._session.connector
        connect, slept = connector.connect, []

        async def sleepy(*arguments, **named):
            connection = await connect(*arguments, **named)
            if relay.posting and not slept:
                slept.append(relay.clock.now())
                relay.clock.advance(13)
            return connection

        post = relay.gateway.post

        async def posting(*arguments, **named):
            relay.posting = True
            return await post(*arguments, **named)

        relay.posting, relay.gateway.post, connector.connect = False, posting, sleepy
        await relay.share("one", status="warning")
        await sends_nothing_until_it_has_a_lease_again(relay, slept)


@pytest.mark.parametrize("lost", ["root", "reply"])
async def test_a_post_that_arrives_after_the_new_leader_repeated_it_is_deleted(tmp_path, url, lost):
    """The post was in flight when its sender lost the lease, and for longer than the new leader searched for it."""
    arrived, lands, renews, over = asyncio.Event(), asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(_call):
        arrived.set()
        await lands.wait()

    async def away(*_arguments):
        renews.set()
        await over.wait()

    async with run_relay(tmp_path, url=url) as relay, asyncio.TaskGroup() as tasks:
        slack = relay.slack
        never_expire(relay.leader)
        if lost == "reply":
            await relay.share("one", status="warning", alerts=[ALERT])
            await relay.advance(60)
        slack.faults.add(InjectedFault(behaviour=SideEffect(late), method="chat.postMessage", times=1))
        await relay.share("one", status="critical", alerts=[ALERT])
        async with asyncio.timeout(100):
            await arrived.wait()
        hold, relay.store.acquire_lease = relay.store.acquire_lease, away
        async with asyncio.timeout(100):
            while not renews.is_set():  # it renews its lease, and gets no answer until the end of the test
                relay.clock.advance(1)
                await asyncio.sleep(0.01)
        relay.store.acquire_lease = hold
        await relay.store.database.write(lambda connection: connection.execute(text("UPDATE lease SET until = 0")))

        gateway = SlackGateway(
            relay.gateway._session, slack.token, relay.clock, base_url=relay.gateway._client.base_url
        )
        new_relay = relay.delivery = DeliveryService(relay.store, gateway, lambda: relay.configuration, relay.clock)
        new_leader = Leader(relay.store, relay.clock, [new_relay])
        never_expire(new_leader)
        stopping = asyncio.Event()
        tasks.create_task(new_leader.run(stopping))
        await relay.advance(60, step=LONG_STEP)
        assert new_relay.delivering
        made = len(standing(slack))
        assert made == (1 if lost == "root" else 2)

        lands.set()
        async with asyncio.timeout(100):
            while not all(call.took_effect for call in slack.calls_to("chat.postMessage")):  # noqa: ASYNC110  no event is set
                await asyncio.sleep(0.002)
        # Its sender deletes a duplicate card at the answer; the new leader's last search deletes a duplicate reply.
        await relay.advance(300, step=LONG_STEP)
        [card] = cards(relay, "one")
        assert len(standing(slack)) == made
        assert thread_text(relay, card).count("Warning → *Critical*") == (lost == "reply")
        assert "🔴" in slack.text_of(card)
        assert len(slack.calls_to("chat.delete")) == 1
        over.set()
        stopping.set()
        new_leader.stop()


def never_expire(leader):
    """Let only the database decide who has the lease: this clock moves further than a lease lasts."""
    leader._guard.extend = lambda *_: None
    leader._guard._until = None


def standing(slack):
    return [message for message in slack.channel("all").all_messages if not message.deleted]
