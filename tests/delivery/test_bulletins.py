"""Bulletins are delivered as cards are: posted once, edited in place, healed, and their lines named once."""

import asyncio
import shutil

import pytest
from sqlalchemy import text

from relay.cards.bulletins import LineEnd
from relay.model.struct import replace
from relay.routes.options import InDoubtPolicy
from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault
from relay.sandbox.slack.mentions import pings
from relay.store.backup import backup
from relay.store.store import Store
from relay.tools.letters import describe_result, retry
from tests.delivery.test_crashes import Crash, stopped
from tests.delivery.test_lease_guard import never_expire
from tests.support.bulletin_samples import catch, hold, release, resolved
from tests.support.clocks import ManualClock
from tests.support.relay_in_process import START, fake_workspace, on_one_postgresql, run_relay


async def change(relay, *changes):
    await relay.store.change_bulletins(changes)


def roots(relay, channel="all"):
    return [each for each in relay.slack.channel(channel).messages if each.thread_ts is None]


def thread(relay, root, channel="all"):
    return [relay.slack.text_of(reply) for reply in relay.slack.channel(channel).thread(root.ts)]


async def test_a_held_list_counts_and_its_thread_names_each_incident_once(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", "i2", at=START, until=START + 3600.0))
        await relay.advance(30)
        await change(relay, hold("i2", "i3", at=START + 30))
        await relay.advance(60)
        (root,) = roots(relay)
        assert "3 incidents held" in relay.slack.text_of(root)
        named = "\n".join(thread(relay, root))
        assert [named.count(f"Trouble with i{number}") for number in (1, 2, 3)] == [1, 1, 1]


async def test_a_resolved_incident_is_marked_in_its_line_and_in_the_count(tmp_path):
    async with run_relay(tmp_path) as relay:
        await relay.share("i1", status="critical")
        await relay.advance(10)
        await change(relay, hold("i1", "i2", at=START))
        await relay.advance(60)
        await relay.share("i1", status="ok")
        await relay.advance(120)
        root = next(each for each in roots(relay) if "held" in relay.slack.text_of(each))
        assert "1 incident held" in relay.slack.text_of(root)
        assert "✅ Trouble with i1" in "\n".join(thread(relay, root))


async def test_a_catch_up_pings_each_target_once_and_is_edited_when_an_incident_ends(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, catch("i1", "i2", at=START, targets=("S0CRIT", "here", "S0CRIT")))
        await relay.advance(60)
        (root,) = roots(relay)
        assert str(root.blocks).count("<!subteam^S0CRIT>") == 1
        assert "here" not in str(root.blocks)


async def test_a_closed_list_says_that_it_is_over(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", at=START))
        await relay.advance(60)
        await change(relay, release(at=START + 60))
        await relay.advance(60)
        (root,) = roots(relay)
        assert "No longer held" in relay.slack.text_of(root)
        await change(relay, hold("i2", at=START + 120))
        await relay.advance(60)
        assert len(roots(relay)) == 2


def named(relay, root, incidents):
    """How often the thread names each of these incidents."""
    said = "\n".join(thread(relay, root))
    return [said.count(f"Trouble with {each}") for each in incidents]


@pytest.mark.parametrize("held_at_once", [True, False], ids=["before-the-channel-is-read", "after"])
async def test_a_new_database_continues_the_held_list_of_a_lost_one(tmp_path, held_at_once):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await change(relay, hold("i1", "i2", at=START))
        await relay.advance(60)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    async with run_relay(tmp_path, slack=slack, clock=clock, is_new=True) as relay:
        if not held_at_once:
            await relay.advance(60)
        await change(relay, hold("i1", "i3", at=START + 120))
        await relay.advance(120)
        (root,) = roots(relay)
        assert named(relay, root, ["i1", "i2", "i3"]) == [1, 1, 1]
        assert "lost its database" in slack.text_of(root)


async def test_a_new_database_sends_no_catch_up_twice(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await change(relay, catch("i1", at=START))
        await relay.advance(60)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    async with run_relay(tmp_path, slack=slack, clock=clock, is_new=True) as relay:
        await relay.advance(60)
        await change(relay, catch("i1", at=START + 120, moment=START))
        await relay.advance(120)
        assert len(roots(relay)) == 1


async def test_an_older_copy_of_the_database_repeats_neither_the_list_nor_its_lines(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await change(relay, hold("i1", at=START))
        await relay.advance(60)
        backup(f"sqlite:///{tmp_path}/relay.db", tmp_path / "copy.db", now=clock.now)
        await change(relay, hold("i2", at=START + 60), hold("i3", at=START + 60, reason="mute"))
        await relay.advance(60)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    shutil.copy(tmp_path / "copy.db", tmp_path / "relay.db")
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await change(relay, hold("i2", "i4", at=START + 200), hold("i3", at=START + 200, reason="mute"))
        await relay.advance(300)
        assert sorted(named(relay, root, ["i1", "i2", "i3", "i4"]) for root in roots(relay)) == [
            [0, 0, 1, 0],
            [1, 1, 0, 1],
        ]


async def test_edits_of_a_list_wait_until_no_card_needs_the_rate_limit(tmp_path):
    async with run_relay(tmp_path) as relay:
        names = [f"c{number}" for number in range(12)]
        for name in names:
            await relay.share(name, status="critical")
        await change(relay, hold("i1", at=START))
        await relay.advance(120)
        began = len(relay.slack.calls_to("chat.update"))
        for name in names:
            await relay.share(name, status="ok")
        await change(relay, hold("i2", at=START + 120))
        await relay.advance(120)
        edited = [call.arguments["ts"] for call in relay.slack.calls_to("chat.update")][began:]
        [held] = [each.ts for each in roots(relay) if "held" in relay.slack.text_of(each)]
        assert edited.count(held) == 1
        assert edited.index(held) == len(names)


async def test_on_postgresql_one_relay_posts_the_list_and_another_continues_it_when_the_first_dies(tmp_path):
    with on_one_postgresql() as common:
        crash = Crash(5, after=True)  # the first reply is posted, and its answer is not saved
        async with run_relay(tmp_path, **common, dies=True) as first:
            never_expire(first.leader)
            other = await Store.open(common["url"])
            crash.install(first)
            await asyncio.gather(
                *(
                    store.change_bulletins([hold(name, at=START)])
                    for store in (other, first.store)
                    for name in ("i1", "i2")
                )
            )
            first.delivery.wake()
            await stopped(first.advance(120), crash)
            assert crash.happened.is_set()
        await other.database.write(lambda connection: connection.execute(text("UPDATE lease SET until = 0")))
        await other.close()
        begin = lambda relay: never_expire(relay.leader)  # the test's time leaps over the end of the lease  # noqa: E731
        async with run_relay(tmp_path, **common, begin=begin) as second:
            await second.advance(120)
            await change(second, hold("i3", at=START + 200))
            await second.advance(120)
            (root,) = roots(second)
            assert "3 incidents held" in second.slack.text_of(root)
            assert named(second, root, ["i1", "i2", "i3"]) == [1, 1, 1]


async def test_a_closed_list_is_posted_late_only_if_it_names_incidents_without_a_card(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.pause("chat.postMessage", 600)
        await change(relay, hold("i0", at=START, reason="first"))  # it meets the pause
        await relay.advance(20)
        await change(relay, *(hold(f"i{number}", at=START, reason=f"r{number}") for number in (1, 2)))
        await change(relay, catch("i3", at=START))
        ended = [resolved("i1"), resolved("i2", end=LineEnd.POSTED), resolved("i3")]
        await relay.store.change_bulletins([], ended)
        await change(relay, *(release(at=START + 30, reason=f"r{number}") for number in (1, 2)))
        await relay.advance(900)
        assert len(roots(relay)) == 2
        assert sorted(named(relay, root, ["i0", "i1"]) for root in roots(relay)) == [[0, 1], [1, 0]]


async def test_the_fallback_has_the_list_of_a_rejecting_channel_until_that_channel_works_again(
    tmp_path,
):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", at=START))
        await relay.advance(60)
        relay.slack.channel("all").archive()
        await change(relay, hold("i2", at=START + 60))
        await relay.advance(400)
        (stand_in,) = roots(relay, "noc")
        assert "meant for #all" in relay.slack.text_of(stand_in)
        assert "Trouble with i2" in "\n".join(thread(relay, stand_in, "noc"))
        relay.slack.channel("all").unarchive()
        await relay.advance(700)
        await change(relay, hold("i3", at=relay.clock.now()))
        await relay.advance(60)
        (root,) = roots(relay)
        assert named(relay, root, ["i1", "i2", "i3"]) == [1, 1, 1]
        assert "updates are in" in relay.slack.text_of(roots(relay, "noc")[0])
        assert "i3" not in "\n".join(thread(relay, stand_in, "noc"))


async def test_a_deleted_list_is_posted_again_with_all_lines_and_without_a_ping(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", "i2", at=START), catch("i3", at=START))
        await relay.advance(300)
        assert [pings(root) for root in roots(relay)].count(("S0CRIT",)) == 1
        for root in roots(relay):
            relay.slack.channel("all").delete(root.ts)
        await relay.advance(900)
        texts = [relay.slack.text_of(root) for root in roots(relay)]
        assert sorted("still open" in text for text in texts) == [False, True]
        assert all("posted again: the previous message was deleted" in text for text in texts)
        assert not any(map(pings, roots(relay)))
        held = next(root for root in roots(relay) if "held" in relay.slack.text_of(root))
        assert named(relay, held, ["i1", "i2"]) == [1, 1]


async def test_a_list_in_doubt_that_relay_may_not_search_becomes_a_dead_letter(tmp_path):
    async with run_relay(tmp_path) as relay:
        slack = relay.slack
        slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage"))
        slack.faults.add(
            InjectedFault(behaviour=ErrorCode("missing_scope"), method="conversations.history", times=None)
        )
        made = hold("i1", at=START)
        options = replace(made.bulletin.options, in_doubt=InDoubtPolicy.HOLD)
        await change(relay, replace(made, bulletin=replace(made.bulletin, options=options)))
        await relay.advance(60)
        [letter] = await relay.store.dead_letters()
        assert (letter.card.subject, letter.card.incident) == ("held list", "")
        slack.faults.clear()
        [result] = await retry(relay.store, [letter], relay.clock.now())
        relay.delivery.wake(everything=True)
        await relay.advance(120)
        (root,) = roots(relay)
        assert named(relay, root, ["i1"]) == [1]
        assert "held list" in describe_result(result, {})
        assert await relay.store.dead_letters() == ()


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
async def test_an_incident_that_ends_during_a_slow_call_is_shown_in_the_end(tmp_path, method):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", "i2", at=START))
        await relay.advance(5)  # the message is posted, its lines wait for others
        if method == "chat.update":
            await relay.advance(60)
            await relay.store.change_bulletins([], [resolved("i2", at=START + 60)])
        relay.slack.pause(method, 8)
        await relay.advance(9)
        await relay.store.change_bulletins([], [resolved("i1", at=START + 70)])
        await relay.advance(300)
        (root,) = roots(relay)
        [lines] = (text.split("\n") for text in thread(relay, root))
        assert [line[0] for line in lines] == ["✅", "✅" if method == "chat.update" else "🔴"]
        says = (
            ("No incident held", "Of 2: 2 resolved") if method == "chat.update" else ("1 incident held", "1 resolved")
        )
        assert all(words in relay.slack.text_of(root) for words in says)
