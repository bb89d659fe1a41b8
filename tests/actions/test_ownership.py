"""Nobody takes an incident from somebody without knowing it, and who loses it learns of it."""

import pytest

from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.faults import InjectedFault, NoAnswer
from relay.tools.incident import describe
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, run_round_trip

CID = FakeBigPandaUser(id="5506e4fbe7e0e400000000c3", name="Cid", email="cid@example.com")
BEN = FakeBigPandaUser(id="5506e4fbe7e0e400000000b2", name="Bob", email="bob@example.com")


@pytest.fixture
async def round_trip(tmp_path):
    async with run_round_trip(tmp_path) as opened:
        opened.panda.add_user(CID)
        opened.panda.add_user(BEN)
        await opened.start_incident()
        yield opened


def give_silently(round_trip, to):
    """Assign it in BigPanda's own window; no share says so yet."""
    round_trip.panda.incident("i1").assign(to, to)


def modal_texts(round_trip, user):
    return [block["text"]["text"] for block in round_trip.slack.open_views(user)[-1].definition["blocks"]]


async def test_the_button_of_an_assigned_incident_reads_take_over_and_asks_first(round_trip):
    await round_trip.click("assign", ANN)
    await round_trip.advance(60)
    assert "[Take over]" in round_trip.card_text()
    await round_trip.click("assign", BOB)
    assert len(round_trip.panda.calls_to("assign")) == 1
    assert any("*Ann Lee* has had it since" in text and "Take over?" in text for text in modal_texts(round_trip, BOB))
    await round_trip.submit(BOB)
    await round_trip.advance(60)
    assert "assigned to *Bob*" in round_trip.card_text()
    assert "*Bob* took over from Ann Lee" in round_trip.thread()[-1]
    assert f"<@{ANN}>" in str(round_trip.slack.channel(DB).thread(round_trip.card().ts)[-1].blocks)
    history = "\n".join(describe(await round_trip.store.incident_history("i1"), lambda *_: ""))
    assert f"pinging {ANN} because they had the incident: done" in history
    assert "rose to" not in history
    assert "assign by Bob: dropped (somebody else has the incident)" in history
    assert "check the incident's state (somebody else has it): done" in history
    assert "check the incident's state (after assign): done" in history
    assert f"<@{ANN}>" not in str(round_trip.slack.channel(NOC).thread(round_trip.card(NOC).ts)[-1].blocks)


async def test_take_over_asks_even_if_the_card_does_not_show_the_owner(round_trip):
    give_silently(round_trip, CID)
    assert "[Assign to me]" in round_trip.card_text()
    await round_trip.click("assign")
    assert round_trip.panda.calls_to("assign") == []
    assert any("*Cid* has had it since" in text for text in modal_texts(round_trip, ANN))
    await round_trip.advance(10)
    assert "assigned to *Cid*" in round_trip.card_text()
    assert "[Take over]" in round_trip.card_text()
    assert round_trip.ephemeral_messages() == []


async def test_a_confirmation_is_valid_only_for_the_owner_named_in_the_question(round_trip):
    give_silently(round_trip, CID)
    await round_trip.click("assign")
    give_silently(round_trip, BEN)
    await round_trip.submit()
    await round_trip.advance(1)
    assert round_trip.panda.calls_to("assign") == []
    assert any("*Bob* has had it since" in text for text in modal_texts(round_trip, ANN))
    await round_trip.submit()
    await round_trip.advance(5)
    assert "*Ann Lee* took over from Bob" in round_trip.thread()[-1]


async def test_a_previous_owner_who_left_the_incident_meanwhile_is_not_affected(round_trip):
    give_silently(round_trip, CID)
    await round_trip.click("assign")
    await round_trip.advance(5)
    give_silently(round_trip, None)
    await round_trip.panda.send_share("i1")
    await round_trip.settle()
    await round_trip.submit()
    await round_trip.advance(60)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    assert "took over" not in "".join(round_trip.thread())


async def test_when_two_people_press_at_the_same_time_one_gets_the_incident_and_the_other_is_asked(round_trip):
    round_trip.panda.share_delay = 30
    await round_trip.click("assign", ANN)
    await round_trip.click("assign", BOB)
    await round_trip.advance(1)
    assert [call.arguments["assignee"] for call in round_trip.panda.calls_to("assign")] == ["5506e4fbe7e0e400000000a1"]
    assert any("*Ann Lee* has had it" in text for text in modal_texts(round_trip, BOB))
    await round_trip.submit(BOB)
    await round_trip.advance(120)
    assert "assigned to *Bob*" in round_trip.card_text()
    assert sum("took over" in reply for reply in round_trip.thread()) == 1
    assert f"<@{ANN}>" in str(round_trip.slack.channel(DB).thread(round_trip.card().ts)[-1].blocks)


async def test_the_question_comes_despite_a_slow_bigpanda_if_the_card_names_the_owner(round_trip):
    await round_trip.click("assign", ANN)
    await round_trip.advance(60)
    round_trip.panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="incident", times=1))
    await round_trip.click("assign", BOB)
    assert any("*Ann Lee* has had it" in text for text in modal_texts(round_trip, BOB))


async def test_if_it_is_too_late_for_a_modal_a_message_names_the_owner(round_trip):
    give_silently(round_trip, CID)
    round_trip.panda.pause("incident", 20)
    await round_trip.click("assign")
    await round_trip.advance(120)
    assert round_trip.slack.open_views(ANN) == []
    [slow, taken] = round_trip.ephemeral_messages()
    assert "when BigPanda confirms" in slow
    assert "Not assigned: *Cid* has had it since" in taken
    assert round_trip.panda.calls_to("assign") == []


async def test_the_owner_can_unassign_themselves_at_once(round_trip):
    await round_trip.click("assign")
    await round_trip.advance(60)
    await round_trip.click("unassign")
    await round_trip.advance(60)
    assert "assigned to" not in round_trip.card_text()
    assert "Unassigned (was Ann Lee)" in round_trip.thread()[-1]
    assert " by " not in round_trip.thread()[-1]
    assert "Unassign" not in round_trip.card_text()
    assert round_trip.ephemeral_messages() == []


async def test_unassigning_somebody_else_asks_first_and_pings_them(round_trip):
    await round_trip.click("assign")
    await round_trip.advance(60)
    await round_trip.click("unassign", BOB)
    assert any("*Ann Lee* has had it since" in text and "Unassign?" in text for text in modal_texts(round_trip, BOB))
    await round_trip.submit(BOB)
    await round_trip.advance(60)
    assert "Unassigned (was Ann Lee) by Bob" in round_trip.thread()[-1]
    assert f"<@{ANN}>" in str(round_trip.slack.channel(DB).thread(round_trip.card().ts)[-1].blocks)


async def test_unassigning_shows_although_no_share_reports_assignments(tmp_path):
    async with run_round_trip(tmp_path, integration={"add_assignments": False}) as round_trip:
        await round_trip.start_incident()
        await round_trip.click("assign")
        await round_trip.advance(60)
        await round_trip.click("unassign")
        await round_trip.advance(10)
        assert "assigned to" not in round_trip.card_text()
        assert "Unassigned (was Ann Lee)" in round_trip.thread()[-1]


async def test_a_replaced_person_whom_slack_does_not_know_is_not_pinged(round_trip):
    give_silently(round_trip, CID)
    await round_trip.click("assign")
    await round_trip.submit()
    await round_trip.advance(60)
    assert "*Ann Lee* took over from Cid" in round_trip.thread()[-1]
    assert "<@" not in str(round_trip.slack.channel(DB).thread(round_trip.card().ts)[-1].blocks)


async def test_only_the_groups_of_the_route_may_take_over(round_trip):
    await round_trip.start_incident("i2", team="payments")
    round_trip.panda.incident("i2").assign(CID, CID)
    card = round_trip.slack.channel(NOC).messages[-1]
    await round_trip.slack.click(ANN, NOC, card.ts, "relay_assign")
    await round_trip.settle()
    assert round_trip.slack.open_views(ANN) == []
    assert "only" in round_trip.ephemeral_messages()[-1]
