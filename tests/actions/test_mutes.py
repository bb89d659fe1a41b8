"""Mutes from Slack: a button asks what, how long and why, and its answer is a mute. End mute is the way back."""

import pytest

from relay.actions.mute_preview import MANY
from relay.cards.mutes import InvalidMute, Mute
from relay.model.errors import StoreUnusable
from relay.sandbox.slack.views import InvalidInput
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, START, body, press, run_round_trip

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: databases
    match: {tags: {team: database}}
    post: [{channel: C0DB000001, mention: {any: [U0BOB00001]}}]
    actions: [assign, mute]
    show_tags: [service]
  - name: guarded
    match: {tags: {team: payments}}
    post: [C0NOC00001]
    actions: [assign, mute]
    actors: [S0ONCALL01]
  - name: plain
    match: {tags: {team: web}}
    post: [C0NOC00001]
    actions: [assign]
"""
CHECKOUT = ({"id": "team", "value": "database"}, {"id": "service", "value": "checkout"})


def share(incident="i1", *tags, status="Warning", **values):
    made = body(incident, **values)
    made["incident"] |= {"status": status, "severity": status}
    for alert in made["incident"]["alerts"]:
        alert["status"] = status
    return made | {"incidentTags": list(tags or CHECKOUT)}


async def start(round_trip, incident="i1", *tags, **values):
    await round_trip.panda.start_incident(share(incident, *tags, **values))
    await round_trip.settle()


@pytest.fixture
async def round_trip(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES) as opened:
        yield opened


def modal(round_trip, user=ANN):
    return round_trip.slack.open_views(user)[-1]


def options(round_trip, user=ANN):
    """What the open modal offers to mute or end: text -> (value, description)."""
    element = modal(round_trip, user).inputs["what"]["element"]
    return {
        each["text"]["text"]: (each["value"], each.get("description", {}).get("text", ""))
        for each in element["options"]
    }


async def mute(round_trip, what="This incident", *, user=ANN, channel=DB, **values):
    """Press Mute… and fill the modal in."""
    await round_trip.click("mute", user, channel)
    value, _ = options(round_trip, user)[what]
    return await round_trip.submit(user, what=value, text="deploy", **values)


async def press_on(round_trip, action, user=ANN):
    """Press a button of the first of several cards; return their messages."""
    cards = [each for each in round_trip.slack.channel(DB).messages if each.metadata]
    await press(round_trip.slack, user, DB, cards[0], action)
    await round_trip.settle()
    return cards


async def mutes(round_trip):
    return await round_trip.store.mutes_after(0.0)


async def test_a_mute_of_the_incident_shows_on_its_card_and_ends_by_the_same_menu(round_trip):
    await start(round_trip)
    assert "[⋯ Mute…]" in round_trip.card_text() or "Mute…" in round_trip.card_text()
    await mute(round_trip)
    await round_trip.advance(20)
    [made] = await mutes(round_trip)
    assert (made.incident, made.author, made.origin, made.reason) == ("i1", "Ann Lee", f"slack:{ANN}", "deploy")
    assert made.end - made.start == 3600
    assert "🔇 muted by Ann Lee until" in round_trip.card_text()
    assert "End mute" in round_trip.card_text()
    await round_trip.click("end_mute", BOB)
    assert options(round_trip, BOB) == {"This incident": (str(made.id), "Ann Lee: deploy")}
    await round_trip.submit(BOB)
    await round_trip.advance(20)
    assert (await mutes(round_trip))[0].ended_by == "Bob"
    assert "🔇" not in round_trip.card_text()
    assert "End mute" not in round_trip.card_text()
    assert round_trip.ephemeral_messages() == []
    assert round_trip.panda.calls_to("assign") == []


async def test_the_modal_offers_the_incident_and_its_tags_with_what_they_match(round_trip):
    await start(round_trip)
    await start(round_trip, "i2")
    await start(round_trip, "i3", {"id": "team", "value": "payments"}, {"id": "service", "value": "checkout"})
    await press_on(round_trip, "mute")
    offered = options(round_trip)
    assert list(offered) == ["This incident", "service: checkout", "team: database"]
    assert offered["service: checkout"][1] == "2 open now, 2 in the last 7 days"  # not i3: Ann may not mute there
    assert "*databases*" in str(modal(round_trip).definition["blocks"])


async def test_a_tag_is_muted_only_on_the_routes_where_the_person_may(round_trip):
    await start(round_trip)
    await mute(round_trip, "service: checkout")
    [by_ann] = await mutes(round_trip)
    assert by_ann.routes == ("databases",)
    await mute(round_trip, "service: checkout", user=BOB, until="4h")
    assert (await mutes(round_trip))[1].routes == ("databases", "guarded")


async def test_a_critical_incident_pings_despite_a_tag_mute_unless_the_person_ticks_the_box(round_trip):
    await start(round_trip)
    await mute(round_trip, "team: database")
    await mute(round_trip, "team: database", critical="yes")
    assert [each.unless for each in await mutes(round_trip)] == ["critical", None]


@pytest.mark.parametrize(("status", "unless"), [("Warning", "critical"), ("Critical", None)])
async def test_a_muted_incident_pings_when_it_becomes_critical_but_a_critical_one_is_muted(round_trip, status, unless):
    await start(round_trip, status=status)
    await mute(round_trip)
    assert [each.unless for each in await mutes(round_trip)] == [unless]


ODD = ["*", "/x/", "(?i).*", 'a "quoted" \\ value', "🔥*", "é" * 300 + "?", "a: {b}", "'", "[x?"]


async def test_values_that_an_alert_made_up_are_muted_literally(round_trip):
    await start(round_trip, "i1", {"id": "odd", "value": ODD}, {"id": "team", "value": "database"})
    await start(round_trip, "i2", {"id": "odd", "value": "another"}, {"id": "team", "value": "database"})
    [one, other] = await press_on(round_trip, "mute")
    offered = {text: each for text, each in options(round_trip).items() if text.startswith("odd: ")}
    assert len(offered) == len(ODD)
    assert {words for _, words in offered.values()} == {"1 open now, 1 in the last 7 days"}
    await round_trip.submit(ANN, what=offered["odd: *"][0], text="deploy")
    await round_trip.advance(20)
    assert ["🔇" in round_trip.slack.text_of(card) for card in (one, other)] == [True, False]


async def test_a_submission_that_slack_sends_twice_makes_one_mute(round_trip):
    await start(round_trip)
    await mute(round_trip)
    again = round_trip.slack.views[-1]
    again.open = True
    await round_trip.slack.submit(ANN, again, {"text": "deploy"})
    assert len(await mutes(round_trip)) == 1


async def test_a_retry_after_a_lost_commit_makes_one_mute(round_trip, monkeypatch):
    await start(round_trip)
    add = round_trip.store.add_mute

    async def lost(*arguments):
        await add(*arguments)
        raise StoreUnusable("the connection was lost during the commit")

    await round_trip.click("mute")
    monkeypatch.setattr(round_trip.store, "add_mute", lost)
    delivery = await round_trip.submit(ANN, text="deploy")
    assert not delivery.acknowledged
    assert modal(round_trip).open
    monkeypatch.setattr(round_trip.store, "add_mute", add)
    await round_trip.submit(ANN, text="deploy")
    assert round_trip.slack.open_views(ANN) == []
    assert len(await mutes(round_trip)) == 1


async def test_relay_answers_only_after_the_mute_is_stored(round_trip, monkeypatch):
    await start(round_trip)
    await round_trip.click("mute")

    async def fails(*_):
        raise StoreUnusable("the disk is full")

    monkeypatch.setattr(round_trip.store, "add_mute", fails)
    delivery = await round_trip.submit(ANN, text="deploy")
    assert not delivery.acknowledged
    assert modal(round_trip).open


async def test_a_mute_needs_a_reason(round_trip):
    await start(round_trip)
    await round_trip.click("mute")
    with pytest.raises(InvalidInput):
        await round_trip.submit(ANN)
    await round_trip.submit(ANN, text="  ")
    assert "Say why" in modal(round_trip).errors["text"]
    assert await mutes(round_trip) == ()


async def test_an_impossible_time_is_reported_beside_its_input(round_trip):
    await start(round_trip)
    await round_trip.click("mute")
    for moment, said in [(START - 3600, "past"), (START + 8 * 86400, "longer than 7 d")]:
        await round_trip.submit(ANN, text="deploy", moment=str(moment))
        assert said in modal(round_trip).errors["moment"]
    await round_trip.submit(ANN, text="deploy", moment=str(START + 6 * 86400))
    [made] = await mutes(round_trip)
    assert made.end == (START + 6 * 86400) // 60 * 60


async def test_a_person_in_none_of_the_groups_gets_no_modal_and_no_mute(round_trip):
    await start(round_trip, "i1", {"id": "team", "value": "payments"})
    await round_trip.click("mute", ANN, NOC)
    assert round_trip.slack.open_views(ANN) == []
    assert "Not muted: on this card only <!subteam^S0ONCALL01> may do that." in round_trip.ephemeral_messages()[-1]
    await round_trip.click("mute", BOB, NOC)
    round_trip.slack.add_usergroup("S0ONCALL01", "oncall", users=[ANN])
    await round_trip.advance(400)
    await round_trip.submit(BOB, text="deploy")
    assert "Only members" in modal(round_trip, BOB).errors["what"]
    assert await mutes(round_trip) == ()


async def test_the_file_says_who_may_mute_and_for_how_long(tmp_path):
    routes = ROUTES.replace("version: 1", "version: 1\nmutes: {actors: [S0ONCALL01], max: 2h}")
    async with run_round_trip(tmp_path, routes=routes) as round_trip:
        await start(round_trip)
        await round_trip.click("mute", ANN)
        assert round_trip.slack.open_views(ANN) == []
        await round_trip.click("assign", ANN)
        await round_trip.advance(10)
        assert len(round_trip.panda.calls_to("assign")) == 1  # only mutes have other actors
        await round_trip.click("mute", BOB)
        values = [each["value"] for each in modal(round_trip, BOB).inputs["until"]["element"]["options"]]
        assert values == ["1h", "morning"]
        await round_trip.submit(BOB, text="deploy", moment=str(START + 3 * 3600))
        assert "longer than 2 h" in modal(round_trip, BOB).errors["moment"]


async def test_the_mute_modal_opens_after_one_lookup_of_all_groups(tmp_path):
    teams = "".join(
        f"  - {{name: t{number}, match: {{tags: {{team: t{number}}}}}, post: [C0NOC00001], "
        f"actions: [mute], actors: [S0TEAM000{number:02}]}}\n"
        for number in range(30)
    )
    async with run_round_trip(tmp_path, routes=ROUTES + teams) as round_trip:
        for number in range(30):
            round_trip.slack.add_usergroup(f"S0TEAM000{number:02}", f"t{number}", users=[ANN] if number % 2 else [BOB])
        await start(round_trip)
        await round_trip.click("mute")
        mine = [f"t{number}" for number in range(1, 30, 2)]
        assert f"*databases, {', '.join(mine)}*" in str(modal(round_trip).definition["blocks"])
        assert len(round_trip.slack.calls_to("usergroups.list")) == 1
        assert round_trip.slack.calls_to("usergroups.users.list") == []
        await round_trip.submit(ANN, what=options(round_trip)["service: checkout"][0], text="deploy")
        assert (await mutes(round_trip))[0].routes == ("databases", *mine)


async def test_only_a_person_who_may_make_a_mute_can_end_it(round_trip):
    await start(round_trip)
    await mute(round_trip, "service: checkout", user=BOB)
    await round_trip.advance(20)
    await round_trip.click("end_mute", ANN)
    await round_trip.submit(ANN)
    assert "guarded, where you may not mute" in modal(round_trip).errors["what"]
    round_trip.slack.dismiss(ANN, modal(round_trip))
    now = round_trip.clock.now()
    by_command = await round_trip.store.add_mute(
        Mute(match="{tags: {team: database}}", start=now, end=now + 9e4, reason="r", author="op", origin="cli")
    )
    with pytest.raises(InvalidMute, match=f"relay mute end {by_command.id}"):
        await round_trip.relay._mutes.end(by_command.id, BOB)
    await round_trip.click("end_mute", BOB)
    assert list(options(round_trip, BOB)) == ["{tags: {team: database}}", "service: checkout"]
    await round_trip.submit(BOB, what=options(round_trip, BOB)["service: checkout"][0])
    assert [each.ended_by for each in await mutes(round_trip)] == ["Bob", ""]


async def test_a_mute_that_is_over_cannot_be_ended(round_trip):
    await start(round_trip)
    await mute(round_trip)
    await round_trip.advance(20)
    await round_trip.click("end_mute")
    await round_trip.advance(3600)
    await round_trip.submit(ANN)
    assert "already ended" in modal(round_trip).errors["what"]


async def test_a_tag_that_has_changed_meanwhile_is_not_muted(round_trip):
    await start(round_trip)
    await round_trip.click("mute")
    value, _ = options(round_trip)["service: checkout"]
    await start(round_trip, "i1", {"id": "team", "value": "database"}, {"id": "service", "value": "web"})
    await round_trip.submit(ANN, what=value, text="deploy")
    assert "does not have this value any more" in modal(round_trip).errors["what"]
    assert await mutes(round_trip) == ()


async def test_a_tag_mute_that_matches_many_incidents_shows_a_warning(round_trip):
    for number in range(MANY + 1):
        await round_trip.panda.start_incident(share(f"n{number}"))
    await round_trip.settle()
    await round_trip.advance(60)
    await press_on(round_trip, "mute")
    assert options(round_trip)["service: checkout"][1] == "⚠️ 51 open now, 51 in the last 7 days"
