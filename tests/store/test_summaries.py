"""Summaries in both databases: relay counts what a channel shows, decides each slot once, and settles each message."""

import asyncio

import pytest

from relay.bigpanda.webhook.share import ReceivedShare
from relay.cards.model import CardState, CardUpdate, Channel, ChannelState, DeadLetter
from relay.cards.mutes import Mute
from relay.cards.notices import POINTER
from relay.cards.summaries import LATEST, SummaryOutcome, SummaryProgress
from relay.model.errors import LeaseLost
from relay.model.incident import State
from relay.model.struct import replace
from relay.store import summaries
from relay.store.types import Lease
from tests.support.bulletin_samples import hold, resolved
from tests.support.store_samples import NOW, a_card, due, open_channel, posted, query_plan, run, save
from tests.support.summary_samples import summary_of

DAY_AGO = NOW - 86_400.0


def progress(**values):
    names = {"channel": "#noc", "title": "Morning", "times": "every day 09:00 UTC", "decided": NOW - 60}
    return SummaryProgress(**{**names, **values})


def message(late=0.0):
    """The message of the summary `Morning` in #noc, whose slot was so many seconds ago."""
    change = summary_of(NOW, 1, late=late)
    data = {**change.bulletin.data, "ref": "#noc"}
    return replace(change, bulletin=replace(change.bulletin, channel="#noc", data=data))


async def content(store, ref="#noc", since=DAY_AGO, slot=NOW):
    return await store.channel_content(ref, since, slot, NOW)


def named(found):
    return sorted(state.record.incident for state, _ in found)


async def test_incidents_count_by_their_cards_and_held_lines_in_that_channel_only(store):
    await open_channel(store)
    await open_channel(store, "#db", "C2")
    cards = {
        "shown": posted(a_card("shown"), "1.000001"),
        "elsewhere": posted(a_card("elsewhere", "#db"), "2.000001"),
        "pending": a_card("pending", state=CardState.PENDING, post=due()),
        "held": a_card("held", state=CardState.PENDING, post=due(NOW + 60)),
        "pointer": posted(a_card("pointer", notices=(POINTER,)), "1.000003"),
        "earlier": posted(a_card("earlier"), "1.000004", state=CardState.SUPERSEDED),
        "ended": posted(a_card("ended"), "1.000005"),
    }
    for number, (incident, card) in enumerate(cards.items()):
        ended = {"ended_at": NOW - 60} if incident == "ended" else {}
        await save(store, card, incident=incident, digest=f"h{number}", **ended)
    await store.change_bulletins([hold("held", channel="#noc", at=NOW)])
    found = await content(store)
    assert named(found.open) == ["held", "shown"]
    by_incident = {state.record.incident: card and card.ts for state, card in found.open}
    assert by_incident == {"held": None, "shown": "1.000001"}
    assert [each.state.record.incident for each in found.resolved] == ["ended"]
    assert named((await content(store, "#db")).open) == ["elsewhere"]
    assert (await content(store, "#unknown")).says_something is False


async def test_cards_under_another_name_of_the_channel_count(store):
    await open_channel(store)
    await save(store, posted(a_card()))
    await store.update_channel(Channel(ref="C1", slack_id="C1", state=ChannelState.OPEN, facts={"name": "noc"}))
    assert named((await content(store, "C1")).open) == named((await content(store)).open) == ["i1"]


async def test_a_resolved_incident_has_the_worst_state_of_its_episode_and_counts_once(store):
    await open_channel(store)
    card = posted(a_card("i1", episode_worst=State.WARNING), "1.000001")
    await save(store, card, incident="i1", ended_at=NOW - 100)
    await save(store, posted(a_card("i2"), "1.000002"), incident="i2", digest="h2", ended_at=DAY_AGO - 1)
    await save(store, a_card("i3"), incident="i3", digest="h3", ended_at=NOW - 50)
    await store.change_bulletins([hold("i1", "i3", channel="#noc", at=NOW - 200)], [resolved("i1"), resolved("i3")])
    found = {each.state.record.incident: each for each in (await content(store)).resolved}
    assert {key: each.worst for key, each in found.items()} == {"i1": State.CRITICAL, "i3": State.CRITICAL}
    assert found["i1"].card.ts == "1.000001"
    assert found["i3"].card is None


async def test_open_dead_letters_of_the_channels_cards_and_mutes_count(store):
    await open_channel(store)
    [card] = await save(store, posted(a_card()))
    letter = DeadLetter(reason="r", remedy="m", since=NOW)
    await store.update_card(card.id, lambda _: CardUpdate(dead_letter=letter))
    await store.add_mute(Mute(match="{}", start=NOW - 9, end=NOW + 9, reason="r", author="a", origin="cli"))
    found = await content(store)
    assert found.letters == 1
    assert [each.reason for each in found.mutes] == ["r"]
    await store.update_card(card.id, lambda _: CardUpdate(closes_letter_at=NOW))
    assert (await content(store)).letters == 0


async def test_shares_that_came_before_the_slot_are_planned_first(store):
    await open_channel(store)
    share = ReceivedShare(incident="i9", received=NOW - 1, hash="x", body=b"{}", headers={})
    await store.accept([share], decide=None, within=-1.0)
    assert await content(store) is None
    assert await content(store, slot=NOW - 2) is not None


async def test_a_slot_is_decided_once_even_by_two_relays_at_a_time(store):
    await open_channel(store)
    before = progress()
    await store.save_summary_progress([before])
    after = replace(before, decided=NOW, outcome=SummaryOutcome.BEGUN)
    decided = await asyncio.gather(*(store.decide_slots(before, after, message()) for _ in range(3)))
    assert sorted(decided) == [False, False, True]
    assert await store.summary_progress() == (after,)
    assert await run(store, "SELECT count(*) FROM bulletin") == [(1,)]


async def test_a_summary_that_is_decided_twice_is_posted_once(store):
    await open_channel(store)
    for at in (NOW - 60, NOW - 50):  # the clock was set back, or an older database came back
        before = progress(decided=at)
        await store.save_summary_progress([before])
        assert await store.decide_slots(before, replace(before, decided=NOW), message())
    assert await run(store, "SELECT count(*) FROM bulletin") == [(1,)]


async def begun(store, late=0.0):
    await open_channel(store)
    before = progress()
    await store.save_summary_progress([before])
    await store.decide_slots(before, replace(before, decided=NOW - late, outcome=SummaryOutcome.BEGUN), message(late))


POSTED = "UPDATE card SET state = 'posted', ts = '1.1', slack_channel = 'C1', post_due = NULL, post_deadline = NULL, "
POSTED += "post_since = NULL, post_urgent = false"


async def test_a_summary_that_is_posted_is_closed_and_the_next_one_counts_from_it(store):
    await begun(store)
    assert (await store.settle_summaries(NOW + 1)).on_their_way == 1
    await run(store, POSTED)
    settled = await store.settle_summaries(NOW + 2)
    assert [(each.progress.key, each.outcome) for each in settled.summaries] == [(("#noc", "Morning"), "posted")]
    [found] = await store.summary_progress()
    assert (found.outcome, found.posted_as_of) == (SummaryOutcome.POSTED, NOW)
    assert await store.settle_summaries(NOW + 3) == ((), 0)


@pytest.mark.parametrize(("state", "outcome"), [("pending", "skipped"), ("posting", None), ("in_doubt", None)])
async def test_a_summary_that_comes_too_late_is_skipped_unless_it_may_be_in_slack(store, state, outcome):
    await begun(store, late=10.0)
    await run(store, f"UPDATE card SET state = '{state}'")
    assert (await store.settle_summaries(NOW + LATEST - 10)).summaries == ()
    settled = await store.settle_summaries(NOW + LATEST)
    assert [each.outcome for each in settled.summaries] == ([outcome] if outcome else [])
    [found] = await store.summary_progress()
    assert (found.outcome, found.posted_as_of) == (outcome or SummaryOutcome.BEGUN, None)


async def test_a_relay_without_the_lease_decides_nothing(store):
    await open_channel(store)
    await store.save_summary_progress([progress()])
    stale = Lease("delivery", "b", 7)
    for verb in (
        store.save_summary_progress([], lease=stale),
        store.decide_slots(progress(), progress(decided=NOW), message(), lease=stale),
        store.settle_summaries(NOW, lease=stale),
    ):
        with pytest.raises(LeaseLost):
            await verb
    assert await store.summary_progress() == (progress(),)


async def test_a_summary_reads_along_indexes(store):
    if store.shared:
        pytest.skip("PostgreSQL chooses by the number of rows")
    for statement in (summaries.OPEN_CARDS, summaries.RESOLVED_CARDS, summaries.OPEN_LINES):
        plan = await query_plan(store, statement, channel="#noc", since=DAY_AGO)
        assert not any(step.startswith(("SCAN card", "SCAN bulletin_line")) for step in plan), plan
