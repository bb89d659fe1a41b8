"""What waits, and for how long, as Prometheus and /readyz report it."""

import pytest

from relay.cards.bulletins import BulletinChange, BulletinKind, new_bulletin
from relay.cards.holds import UNKNOWN_END, Reason
from relay.cards.model import AttemptState, CardState, Channel, ChannelState
from relay.cards.mutes import Mute
from relay.cards.storms import KEY
from relay.model.incident import State
from relay.store.backlog import (
    ACTIVE_MUTES,
    CARDS_IN_DOUBT,
    DUE,
    DUE_BY_STATE,
    HELD_LATER,
    IN_DOUBT,
    LAST_SHARE,
    NEXT_CATCH_UP,
    NOT_SHOWN,
    OPEN_INCIDENTS,
    OPEN_STORMS,
)
from relay.store.store import Store
from relay.store.types import Backlog, ChannelBacklog
from tests.support.store_samples import (
    NOW,
    a_card,
    a_share,
    an_attempt,
    due,
    one_entry,
    posted,
    query_plan,
    run,
    save,
    save_attempt,
)


async def test_an_empty_store_has_no_backlog(store):
    backlog = await store.backlog(NOW)
    assert backlog == Backlog(size_bytes=backlog.size_bytes)
    assert backlog.size_bytes > 10_000


async def test_due_work_counts_by_channel_and_kind_with_the_age_of_the_oldest(store):
    await save(store, a_card(post=due(NOW), pending_since=NOW - 5))
    await save(store, posted(a_card("i2", edit=due(NOW + 3)), ts="2"), incident="i2", digest="h2")
    await save(store, a_card("i3", post=due(NOW + 8)), incident="i3", digest="h3")
    backlog = await store.backlog(NOW + 10)
    assert sorted(backlog.channels, key=lambda channel: channel.work) == [
        ChannelBacklog(channel="#noc", work="edit", cards=1, age=7),
        ChannelBacklog(channel="#noc", work="post", cards=2, age=15),
    ]


async def test_work_that_is_due_later_does_not_count(store):
    await save(store, a_card(post=due(NOW + 60)))
    assert (await store.backlog(NOW)).channels == ()


async def test_two_references_of_one_channel_count_together(store):
    await save(store, a_card(post=due(NOW)))
    await save(store, a_card("i2", channel="C1", post=due(NOW + 2)), incident="i2", digest="h2")
    for ref in ("#noc", "C1"):
        await store.update_channel(Channel(ref=ref, slack_id="C1", state=ChannelState.OPEN))
    [channel] = (await store.backlog(NOW + 3)).channels
    assert (channel.cards, channel.age) == (2, 3)


async def test_attempts_in_doubt_dead_letters_and_quarantined_bodies_are_counted(store):
    [card] = await save(store, a_card())
    await save_attempt(store, card, an_attempt(state=AttemptState.IN_DOUBT))
    letter = "INSERT INTO dead_letter (card, reason, remedy, since, closed_at) VALUES (:card, 'r', 'm', 1, :closed_at)"
    for closed_at in (None, 2):
        await run(store, letter, card=card.id, closed_at=closed_at)
    await store.quarantine(b"{", {}, "not_json", NOW)
    backlog = await store.backlog(NOW)
    assert (backlog.in_doubt, backlog.dead_letters, backlog.quarantined_bodies) == (1, 1, 1)


async def test_the_backlog_has_the_time_of_the_last_share(store):
    await store.accept([a_share(at=NOW + 1), a_share(digest="h2", at=NOW + 7)], one_entry)
    assert (await store.backlog(NOW + 60)).last_share_at == NOW + 7


async def test_open_incidents_count_by_their_state(store):
    states = (State.CRITICAL, State.CRITICAL, State.ACKNOWLEDGED)
    for number, state in enumerate(states):
        await save(store, incident=f"i{number}", digest=f"h{number}", state=state)
    await save(store, incident="over", digest="h9", state=State.RESOLVED, ended_at=NOW)
    assert (await store.backlog(NOW)).open_incidents == {State.CRITICAL: 2, State.ACKNOWLEDGED: 1}


async def test_cards_that_are_not_posted_yet_count_once_by_what_holds_them(store):
    """A reply that is due, or a card in Slack, is not held."""
    await save(store, a_card("waits", post=due(NOW + 60)), incident="waits", digest="h1")
    await save(store, a_card("failed", post=due(NOW + 60), tries=2), incident="failed", digest="h2")
    await save(store, a_card("goes", "C1", post=due(NOW)), incident="goes", digest="h3")
    await save(store, a_card("full", "#full", post=due(NOW)), incident="full", digest="h4")
    await save(store, posted(a_card("there", post=due(NOW)), ts="2"), incident="there", digest="h5")
    [lost] = await save(store, a_card("lost", state=CardState.IN_DOUBT), incident="lost", digest="h6")
    await save_attempt(store, lost, an_attempt(state=AttemptState.IN_DOUBT))
    await store.update_channel(Channel(ref="C1", slack_id="C1", state=ChannelState.OPEN))
    await save(store, a_card("unread", "C2", post=due(NOW)), incident="unread", digest="h7")
    await store.update_channel(Channel(ref="C2", slack_id="C2", state=ChannelState.OPEN))
    await run(store, "UPDATE channel SET unread_since = 1 WHERE ref = 'C2'")
    await store.update_channel(Channel(ref="#full", state=ChannelState.REJECTED, reason="channel_archived"))
    backlog = await store.backlog(NOW + 1)
    assert backlog.held_cards == {
        Reason.WAIT: 1,
        Reason.RETRY: 1,
        Reason.CHANNEL_REJECTED: 1,
        Reason.ADOPTING: 1,
        Reason.IN_DOUBT: 1,
    }
    assert backlog.due_cards == 1


async def test_a_held_ping_is_overdue_from_the_moment_at_which_it_may_be_sent(store):
    await save(store, posted(a_card("i1"), ts="1"), incident="i1", digest="h1")
    await save(store, posted(a_card("i2"), ts="2"), incident="i2", digest="h2")
    assert (await store.backlog(NOW)).catch_up_age == 0
    for incident, due_at in (("i1", NOW + 5), ("i2", UNKNOWN_END)):
        await run(store, "UPDATE card SET catch_up_due = :at WHERE incident = :incident", at=due_at, incident=incident)
    assert [(await store.backlog(NOW + after)).catch_up_age for after in (0, 5, 65)] == [0, 0, 60]


async def test_open_storms_are_counted_with_the_age_of_what_their_cards_do_not_show(store):
    storm = new_bulletin(BulletinKind.STORM, "#noc", KEY, NOW, {"reason": KEY, "since": NOW})
    await store.change_bulletins([BulletinChange(bulletin=storm, at=NOW)])
    backlog = await store.backlog(NOW + 90)
    assert (backlog.open_storms, backlog.storm_change_age) == (1, 90)
    await run(
        store,
        "UPDATE card SET post_due = NULL, post_deadline = NULL, post_since = NULL, post_urgent = FALSE, "
        "pending_since = NULL",
    )
    backlog = await store.backlog(NOW + 90)
    assert (backlog.open_storms, backlog.storm_change_age) == (1, 0), "a storm that changes nothing is not stale"
    await store.change_bulletins([BulletinChange(bulletin=storm, at=NOW + 95, closes=True)])
    assert (await store.backlog(NOW + 300)).open_storms == 0


async def test_mutes_are_counted_while_they_hold_something(store):
    mute = {"match": "{tags: {team: web}}", "reason": "deploy", "author": "Ann", "origin": "cli", "created": NOW}
    for start, end in ((NOW, NOW + 10), (NOW + 5, NOW + 20)):
        await store.add_mute(Mute(start=start, end=end, **mute))
    assert [(await store.backlog(NOW + after)).active_mutes for after in (0, 7, 10, 20)] == [1, 2, 1, 0]


SCRAPED = [
    *DUE.values(),
    IN_DOUBT,
    CARDS_IN_DOUBT,
    LAST_SHARE,
    OPEN_INCIDENTS,
    HELD_LATER,
    DUE_BY_STATE,
    NEXT_CATCH_UP,
    OPEN_STORMS,
    NOT_SHOWN,
    ACTIVE_MUTES,
]


@pytest.mark.parametrize("statement", SCRAPED)
async def test_every_scrape_is_answered_from_an_index(sqlite_url, statement):
    store = await Store.open(sqlite_url)
    steps = await query_plan(store, statement, **({"now": 1.0} if "now" in str(statement) else {}))
    assert all("INDEX" in step for step in steps if step.startswith(("SCAN", "SEARCH"))), steps
    await store.close()
