"""Reminders in both databases: relay asks about a due reminder, decides it once, and saves it with its effects."""

import pytest

from relay.cards.attention import Surroundings
from relay.cards.model import AttemptState, CardState
from relay.cards.reminding import ASK_WITHIN, Blocked, remind
from relay.cards.tasks import check_task, close_task
from relay.model.entry_kinds import EntryKind
from relay.model.errors import LeaseLost
from relay.model.incident import State
from relay.model.record import Block, Record
from relay.model.struct import replace
from relay.routes.channel_template import FixedChannel
from relay.routes.options import Options
from relay.routes.remind import Remind, Then
from relay.store import integrations, reminders
from relay.store.types import Lease
from tests.support.store_samples import NOW, a_card, a_share, open_channel, posted, query_plan, save

MANAGERS = FixedChannel(source="#managers", ref="#managers")
REMIND = Remind(after=300.0, every=600.0, times=2, then=Then(channel=MANAGERS))
DUE = NOW + REMIND.after


def a_record(incident="i1"):
    state = Block(as_of=NOW, value={"status": "critical", "resolved": None, "active": None})
    return Record(incident=incident, environment_id="e1", blocks={"state": state}, integrations=("default",))


def due_card(incident="i1", channel="#noc", ts="1.000001", **values):
    fields = {"reminder_base": NOW, "reminder_due": DUE, "reported_seq": 1, **values}
    return posted(a_card(incident, channel, options=Options(remind=REMIND)), ts, **fields)


async def save_due(store, *cards, incident="i1", digest="h1"):
    return await save(store, *cards, incident=incident, digest=digest, record=a_record(incident), state=State.CRITICAL)


async def turn(store, now=DUE, *, can_ask=False, lease=None):
    def decide(channel, due, mutes):
        return remind(channel, due, Surroundings(mutes=mutes), now, can_ask=can_ask)

    return await store.remind_next(now, decide, lease=lease)


async def note(store):
    await store.database.write(lambda connection: integrations.note_assignments(connection, {"default"}, NOW))


async def history(store, incident="i1"):
    return await store.incident_history(incident)


async def test_a_due_reminder_asks_bigpanda_once_and_is_sent_when_the_answer_is_known(store):
    await open_channel(store)
    await save_due(store, due_card())
    assert await store.next_reminder_due() == DUE
    assert await turn(store, NOW, can_ask=True) is None
    [task] = (await turn(store, can_ask=True)).tasks
    assert await store.next_reminder_due() == DUE + ASK_WITHIN
    assert await turn(store, can_ask=True) is None
    await store.update_task(task.key, lambda context: close_task(context, AttemptState.DONE, ""), now=DUE)
    assert await store.next_reminder_due() == DUE
    [sent] = (await turn(store, DUE + 1, can_ask=True)).sent
    assert (sent.number, sent.of) == (1, 2)
    found = await history(store)
    [card] = found.cards
    assert (card.reminders_sent, card.reminder_base, card.reminder_due) == (1, DUE, DUE + REMIND.every)
    assert card.post is not None
    assert [(each.kind, each.data["number"]) for each in found.entries] == [(EntryKind.REMINDER, 1)]
    assert [str(each.state) for each in found.tasks] == ["done"]


async def test_the_check_before_a_reminder_comes_before_checks_of_silent_incidents(store):
    await open_channel(store)
    await save_due(store, due_card())
    await save_due(store, due_card("i2", ts="2.000001", reminder_due=None), incident="i2", digest="h2")
    await store.add_tasks([check_task("i2", f"silent at {NOW:.0f}", NOW, NOW)])
    [task] = (await turn(store, can_ask=True)).tasks
    assert (await store.next_due_task(DUE)).task.key == task.key


async def test_reminders_are_blocked_until_a_share_of_the_integration_contains_an_assignment(store):
    await open_channel(store)
    await save_due(store, due_card())
    made = await turn(store)
    assert (made.blocked, made.sent) == ({Blocked.NO_ACCESS: 1}, ())
    later = await store.next_reminder_due()
    assert later > DUE
    await note(store)
    await note(store)
    assert await store.integrations_with_owners() == {"default"}
    assert len((await turn(store, later)).sent) == 1


async def test_a_share_that_is_not_planned_yet_comes_first(store):
    await open_channel(store)
    await note(store)
    await save_due(store, due_card())

    def fails(_context):
        raise ValueError("not now")

    await store.accept([a_share("i1", "h2")], fails)
    assert len((await turn(store)).sent) == 1  # one that failed does not hold it up
    await save_due(store, due_card("i2", ts="2.000001"), incident="i2", digest="h3")
    await store.database.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE share SET planned_at = NULL, outcome = NULL, as_of = NULL WHERE incident = 'i2'"
        )
    )
    assert (await turn(store)).sent == ()


async def test_each_card_of_an_incident_has_its_own_reminder(store):
    await open_channel(store)
    await open_channel(store, "#db", "C2")
    await note(store)
    await save_due(store, due_card(), due_card(channel="#db", ts="2.000001", reminder_due=DUE + 200.0))
    await turn(store)
    cards = {card.channel: card for card in (await history(store)).cards}
    assert (cards["#noc"].reported_seq, cards["#db"].reported_seq) == (1, 2)


async def test_then_makes_one_card_in_the_other_channel_with_nothing_of_the_route(store):
    await open_channel(store)
    await note(store)
    await save_due(store, due_card(reminders_sent=2, reminder_base=DUE - REMIND.every))
    [sent] = (await turn(store)).sent
    assert sent.number == 0
    told = next(card for card in (await history(store)).cards if card.channel == "#managers")
    assert (told.state, told.options) == (CardState.PENDING, Options(storm=False))
    assert await store.next_reminder_due() is None


async def test_a_relay_that_has_lost_its_lease_decides_nothing(store):
    await open_channel(store)
    await note(store)
    await save_due(store, due_card())
    with pytest.raises(LeaseLost):
        await turn(store, lease=Lease(name="delivery", holder="other", epoch=9))
    assert (await history(store)).entries == ()


async def test_changed_rules_reach_every_open_card_batch_by_batch(store):
    await open_channel(store)
    for number in range(3):
        await save_due(store, due_card(f"i{number}", ts=f"{number}.000001"), incident=f"i{number}", digest=f"h{number}")
    after, batches = "", 0
    while after is not None:
        after = await store.change_open_cards(after, 2, lambda card, _state: replace(card, reminder_due=None))
        batches += 1
    assert batches == 2
    assert not await store.has_reminders()


async def test_a_mute_or_a_reload_re_evaluates_every_reminder(store):
    await open_channel(store)
    await save_due(store, due_card())
    await store.look_at_held(NOW)
    assert await store.next_reminder_due() == NOW
    await turn(store, NOW)
    assert await store.next_reminder_due() == DUE


async def test_the_queries_find_their_cards_along_an_index(store):
    if store.shared:
        pytest.skip("the plan is SQLite's")
    queries = ((reminders.FIRST_DUE, {}), (reminders.IN_CHANNEL, {"channel": "#noc", "most": 10}))
    for statement, parameters in queries:
        plan = await query_plan(store, statement.params(parameters), now=NOW)
        assert [step for step in plan if step.startswith("SCAN")] == []
