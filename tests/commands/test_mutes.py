"""Mutes that people make and end by the command: within what they may, once, and kept before Slack is answered."""

import asyncio

import pytest

from relay.model.errors import StoreUnusable
from tests.commands.conftest import SECRET, asked, newest, with_secret_channel
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, run_round_trip
from tests.support.relay_process import until

ROUTES = f"""
version: 1
fallback: {NOC}
mutes: {{max: 4h}}
routes:
  - {{name: secret, match: {{tags: {{team: security}}}}, post: [{SECRET}], actions: [mute]}}
  - {{name: databases, match: {{tags: {{team: database}}}}, post: [{DB}], actions: [assign, mute]}}
  - {{name: guarded, match: {{tags: {{team: payments}}}}, post: [{NOC}], actions: [mute], actors: [S0ONCALL01]}}
  - {{name: silent, match: {{tags: {{team: web}}}}, post: [{NOC}]}}
"""
FORM = "mute team=database 2h deploy"


@pytest.fixture
async def round_trip(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES, prepare=with_secret_channel) as opened:
        opened.relay.backend.commands.answer_within = 60
        yield opened


def permalink(message):
    return f"https://sandbox.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"


async def mutes(round_trip):
    return await round_trip.store.mutes_after(round_trip.clock.now())


async def test_a_tag_mute_covers_routes_where_the_person_may_mute_and_cards_name_that_person(round_trip, ask):
    await round_trip.start_incident()
    calls = len(round_trip.panda.calls)
    answer = await ask(FORM)
    [mute] = await mutes(round_trip)
    assert (mute.origin, mute.author, mute.reason, mute.routes) == (f"slack:{ANN}", "Ann Lee", "deploy", ("databases",))
    assert mute.end - mute.start == 7200
    for words in (
        "`team=database` is muted until",
        "deploy",
        "It matches 1 open incident now",
        f"`/relay unmute {mute.id}`",
        "Critical",
    ):
        assert words in answer
    assert len(round_trip.panda.calls) == calls
    await round_trip.start_incident("i2", status="Warning", severity="Warning")
    [_, held] = round_trip.slack.channel(DB).messages
    assert "1 incident held" in round_trip.slack.text_of(held)
    assert f"Mute {mute.id} is over" in await ask(f"unmute {mute.id}")
    assert await mutes(round_trip) == ()


async def test_one_incident_is_muted_by_link_or_id_even_if_it_is_critical(round_trip, ask):
    await round_trip.start_incident()
    await ask(f"mute {permalink(round_trip.card())} 30m known issue")
    await ask("mute i1 30m known issue")
    first, second = await mutes(round_trip)
    assert (first.incident, first.unless, second.incident) == ("i1", None, "i1")
    await round_trip.advance(60)
    assert "muted by Ann Lee" in round_trip.card_text()


async def test_the_options_equal_those_of_the_command_line(round_trip, ask):
    await round_trip.start_incident()
    await ask("mute --match '{tags: {team: data*}, status: critical}' --for 1h --reason \"load test\" --unless never")
    [mute] = await mutes(round_trip)
    assert (mute.match, mute.unless) == ("{tags: {team: data*}, status: critical}", None)
    later = await ask("mute team=database 1h --from 2023-11-15T22:00Z planned work")
    assert "is muted from" in later
    [_, planned] = await mutes(round_trip)
    assert (planned.start, planned.end - planned.start) == (1_700_085_600, 3600)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mute team=database 5h deploy", "would last longer than 4 h"),
        ("mute team=database 0m deploy", "is not a duration"),
        ("mute team=database 1h --from tomorrow x", "is not a time"),
        ("mute team=database 1h --unless resolved x", "is no state"),
        ("mute --match '{tags: {team' --for 1h --reason x", "Not muted"),
        ("mute --match '{tags: {team: {not: database}}}' --for 1h --reason x", "says only what is not meant"),
        ("mute i9 1h x", "knows no such incident"),
        ("mute team=database 1h " + "x" * 201, "more than 200 characters"),
        ("unmute 99", "Not ended"),
    ],
)
async def test_an_invalid_mute_request_is_rejected_with_the_reason(round_trip, ask, text, why):
    assert why in await ask(text)
    assert await mutes(round_trip) == ()


async def test_a_mute_that_matches_nothing_is_made_once_after_a_confirmation(round_trip, ask):
    answer = await ask(FORM)
    assert "Nothing is muted yet" in answer
    assert "no open incident" in answer or "0 open incidents" in answer
    assert await mutes(round_trip) == ()
    question = newest(round_trip)
    for _ in range(2):
        pressed = await round_trip.slack.click(ANN, DB, question.ts, "relay_confirm")
        await round_trip.settle()
        assert pressed.acknowledged
    [mute] = await mutes(round_trip)
    assert f"unmute {mute.id}" in newest(round_trip).text
    assert "is muted until" in await ask(f"{FORM} --yes")


async def test_a_repeated_command_makes_one_mute_even_after_relay_was_killed(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES, dies=True) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        await round_trip.start_incident()
        delivery = await round_trip.slack.use_command(ANN, DB, FORM)
        known = {"slack": round_trip.slack, "panda": round_trip.panda, "clock": round_trip.clock}
    async with run_round_trip(tmp_path, routes=ROUTES, **known) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        again = await round_trip.slack.redeliver(delivery)
        [mute] = await mutes(round_trip)
        assert f"unmute {mute.id}" in again.answer["text"]
        ended = await round_trip.slack.use_command(ANN, DB, f"unmute {mute.id}")
        assert "is over" in ended.answer["text"]
        assert "is over" in (await round_trip.slack.redeliver(ended)).answer["text"]
        assert "is muted" in (await round_trip.slack.redeliver(delivery)).answer["text"]
        assert await mutes(round_trip) == ()  # it is not made again


async def test_a_mute_that_cannot_be_stored_is_not_acknowledged_and_made_when_slack_sends_it_again(
    round_trip, monkeypatch
):
    await round_trip.start_incident()

    async def fails(*_):
        raise StoreUnusable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(round_trip.store, "add_mute", fails)
        delivery = await round_trip.slack.use_command(ANN, DB, FORM)
    assert (delivery.acknowledged, delivery.status) == (False, 503)
    assert (await round_trip.slack.redeliver(delivery)).acknowledged
    assert len(await mutes(round_trip)) == 1


async def test_why_in_the_menu_of_a_card_works_for_everybody(round_trip, ask):
    await round_trip.start_incident()
    await ask("mute i1 30m known issue")
    await round_trip.advance(60)
    by_command = await ask("why i1")
    assert "muted by Ann Lee" in by_command
    calls = len(round_trip.panda.calls)
    pressed = await round_trip.click("why", BOB)
    assert (pressed.acknowledged, pressed.answer) == (True, None)
    assert round_trip.slack.text_of(newest(round_trip, BOB)) == by_command
    assert len(round_trip.panda.calls) == calls
    assert [kind for kind, _, _ in await round_trip.tasks()] == ["callback"]  # no task for BigPanda


async def test_why_on_a_message_about_several_incidents_explains_the_message(round_trip, ask):
    await ask(f"{FORM} --yes --unless never")
    await round_trip.start_incident()
    [held] = round_trip.slack.channel(DB).messages
    await round_trip.slack.use_shortcut(BOB, DB, held.ts)
    await round_trip.settle()
    assert "It lists incidents whose cards are held" in newest(round_trip, BOB).text
    about = await ask("why i1")
    assert "held: mute, until" in about
    assert "waiting to be posted" in about


async def test_an_envelope_that_is_repeated_because_its_acknowledgement_was_lost_makes_one_mute(tmp_path, monkeypatch):
    more = {"SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-sandbox"}
    async with run_round_trip(tmp_path, routes=ROUTES, **more) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        await round_trip.start_incident()
        stored, add_mute = asyncio.Event(), round_trip.store.add_mute

        async def tell(*arguments):
            made = await add_mute(*arguments)
            stored.set()
            return made

        monkeypatch.setattr(round_trip.store, "add_mute", tell)
        [first] = round_trip.slack.socket_mode.open
        first.ignores_acknowledgements = True
        asking = asyncio.create_task(round_trip.slack.use_command(ANN, DB, FORM))
        await stored.wait()
        round_trip.slack.socket_mode.cut()
        await until(lambda: not round_trip.slack.socket_mode.open)
        await round_trip.advance(60)
        delivery = await asking
        [mute] = await mutes(round_trip)
        assert f"unmute {mute.id}" in delivery.answer["text"]


async def test_actors_decide_who_may_mute_and_routes_that_offer_no_mute_are_not_muted(round_trip, ask):
    await round_trip.start_incident(team="payments")
    assert "Not muted" in await ask("mute i1 1h x", channel=NOC)
    await ask("mute team=payments 1h x --yes", channel=NOC)
    assert all("guarded" not in mute.routes for mute in await mutes(round_trip))
    await ask("mute i1 1h x", BOB, NOC)
    mute = (await mutes(round_trip))[-1]
    assert mute.author == "Bob"
    assert "Not ended" in await ask(f"unmute {mute.id}", channel=NOC)
    assert all("silent" not in each.routes for each in await mutes(round_trip))


async def test_without_mute_in_the_actions_of_any_route_the_answer_says_what_is_missing(tmp_path):
    async with run_round_trip(tmp_path) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        assert "routes.yaml has mute in no actions" in await asked(round_trip, FORM)


@pytest.mark.parametrize("private", [True, False])
async def test_a_route_with_computed_channels_can_be_muted_by_people_who_see_one_of_them(tmp_path, private):
    def with_channel(slack):
        slack.add_channel("C0RED00001", "alerts-red", private=private, member=True)
        return slack

    routes = (
        f"version: 1\nfallback: {NOC}\nroutes:\n"
        '  - {name: made, match: {tags: {team: red}}, post: ["#alerts-{{ tags.team }}"], actions: [mute]}\n'
    )
    async with run_round_trip(tmp_path, routes=routes, prepare=with_channel) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        await round_trip.start_incident(team="red")
        answer = await asked(round_trip, "mute team=red 1h x")
        assert ("is muted until" in answer, "You can see no channel" in answer) == (not private, private)


async def test_a_person_outside_a_private_channel_mutes_nothing_in_it(round_trip, ask):
    await round_trip.start_incident(team="security")
    [card] = round_trip.slack.channel(SECRET).messages
    for text in ("mute i1 1h x", f"mute {permalink(card)} 1h x"):
        assert "knows no such incident" in await ask(text)
    assert "1 open" not in await ask("mute team=security 1h x")
    await ask("mute team=security 1h x --yes")
    assert all("secret" not in each.routes for each in await mutes(round_trip))
    round_trip.slack.channel(SECRET).invite(BOB)
    assert "1 open incident" in await asked(round_trip, "mute team=security 1h x", BOB, SECRET)
    of_secret = (await mutes(round_trip))[-1]
    assert "secret" in of_secret.routes
    unknown = await ask("unmute 999")
    assert (await ask(f"unmute {of_secret.id}")).replace(str(of_secret.id), "999") == unknown
    assert "is over" in await asked(round_trip, f"unmute {of_secret.id}", BOB, SECRET)
