"""Whoever was asleep past its lease calls nobody, even with a call already decided on."""

import asyncio

import pytest
from sqlalchemy import text

from relay.delivery import DeliveryService
from relay.delivery.lease_guard import LeaseGuard
from relay.model.errors import LeaseLost
from relay.sandbox.faults import InjectedFault, SideEffect
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.postgres import postgresql
from tests.support.relay_in_process import run_relay


@pytest.fixture
def url():
    with postgresql() as address:
        yield address


def test_without_a_lease_nothing_runs_out():
    clock = ManualClock()
    tenure = LeaseGuard(clock)
    clock.advance(1e9)
    tenure.check()


def test_a_tenure_ends_so_long_after_it_was_asked_for():
    clock = ManualClock()
    tenure = LeaseGuard(clock)
    asked = clock.monotonic()
    clock.advance(5)
    tenure.extend(asked, 12)
    clock.advance(6.9)
    tenure.check()
    clock.advance(0.2)
    with pytest.raises(LeaseLost, match="nothing is sent"):
        tenure.check()
    tenure.extend(clock.monotonic(), 12)
    tenure.check()


async def sends_nothing_until_it_has_a_lease_again(house, slept):
    async with asyncio.timeout(20):
        while not slept or house.delivery.health.delivering:  # noqa: ASYNC110  no bell rings when delivery ends
            await asyncio.sleep(0.002)
    assert house.slack.calls_to("chat.postMessage") == []
    endless(house.delivery)
    house.clock.advance(1)
    await house.advance(60)
    assert len(cards(house, "one")) == 1
    assert len(house.slack.calls_to("chat.postMessage")) == 1


async def test_a_relay_that_slept_between_the_decision_and_the_call_does_not_call(tmp_path, url):
    async with run_relay(tmp_path, url=url) as house:
        pick, slept = house.store.start_next_card, []

        async def sleepy(*arguments, **named):
            picked = await pick(*arguments, **named)
            if isinstance(picked, tuple) and not slept:
                slept.append(house.clock.now())
                house.clock.advance(13)
            return picked

        house.store.start_next_card = sleepy
        await house.share("one", status="warning")
        await sends_nothing_until_it_has_a_lease_again(house, slept)


async def test_a_relay_that_slept_while_it_connected_sends_nothing(tmp_path, url):
    async with run_relay(tmp_path, url=url) as house:
        connector = house.slack_client._session.connector
        connect, slept = connector.connect, []

        async def sleepy(*arguments, **named):
            connection = await connect(*arguments, **named)
            if house.posting and not slept:
                slept.append(house.clock.now())
                house.clock.advance(13)
            return connection

        post = house.slack_client.post

        async def posting(*arguments, **named):
            house.posting = True
            return await post(*arguments, **named)

        house.posting, house.slack_client.post, connector.connect = False, posting, sleepy
        await house.share("one", status="warning")
        await sends_nothing_until_it_has_a_lease_again(house, slept)


@pytest.mark.parametrize("lost", ["root", "reply"])
async def test_a_post_that_arrives_once_another_relay_delivers_and_has_made_it_again_does_not_stay(tmp_path, url, lost):
    """It was on its way when its sender lost the lease, and for longer than the heir looked for it."""
    arrived, lands, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(_call):
        arrived.set()
        await lands.wait()

    async def away(*_arguments):
        await over.wait()

    async with run_relay(tmp_path, url=url) as house, asyncio.TaskGroup() as tasks:
        slack = house.slack
        endless(house.delivery)
        if lost == "reply":
            await house.share("one", status="warning", alerts=[ALERT])
            await house.advance(60)
        slack.faults.add(InjectedFault(behaviour=SideEffect(late), method="chat.postMessage", times=1))
        await house.share("one", status="critical", alerts=[ALERT])
        async with asyncio.timeout(10):
            await arrived.wait()
        hold, house.store.acquire_lease = house.store.acquire_lease, away
        house.clock.advance(3)
        await asyncio.sleep(0.05)  # it asks for its lease, and gets no answer until all is over
        house.store.acquire_lease = hold
        await house.store.database.write(lambda connection: connection.execute(text("UPDATE lease SET until = 0")))

        heir = house.delivery = DeliveryService(
            house.store, house.slack_client, lambda: house.configuration, house.clock
        )
        endless(heir)
        stopping = asyncio.Event()
        tasks.create_task(heir.run(stopping))
        await house.advance(60)
        assert heir.health.delivering
        made = len(standing(slack))
        assert made == (1 if lost == "root" else 2)

        lands.set()
        async with asyncio.timeout(10):
            while not all(call.took_effect for call in slack.calls_to("chat.postMessage")):  # noqa: ASYNC110  no bell there
                await asyncio.sleep(0.002)
        # Its sender finds out by the answer, and takes a card back; a double reply goes with the heir's last look.
        await house.advance(300)
        [card] = cards(house, "one")
        assert len(standing(slack)) == made
        assert thread_text(house, card).count("Warning → *Critical*") == (lost == "reply")
        assert "🔴" in slack.text_of(card)
        assert len(slack.calls_to("chat.delete")) == 1
        over.set()
        stopping.set()
        heir.stop()


def endless(sender):
    """This clock leaps further than a lease holds: here the database alone says who has it."""
    sender._tenure.extend = lambda *_: None
    sender._tenure._until = None


def standing(slack):
    return [message for message in slack.channel("all").all_messages if not message.deleted]
