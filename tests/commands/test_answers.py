"""What people read when they ask relay, and that nobody reads of a private channel that they are not in."""

import pytest

from relay.actions.people import MEMBERSHIPS_TTL
from relay.commands import open_list
from tests.commands.conftest import SECRET, asked, newest, with_secret_channel
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, body, run_round_trip

HOSTILE = "<!channel> *x* <https://evil.example|here> & `y` \U000f0001"


async def start(round_trip, incident, team, title="replication lag", **values):
    shared = body(incident, team=team, **values)
    shared["incident"]["alerts"][0]["tags"] = [{"name": "host", "value": "db-117"}, {"name": "check", "value": title}]
    await round_trip.panda.start_incident(shared)
    await round_trip.settle()


def permalink(message):
    return f"https://sandbox.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"


async def test_help_lists_the_verbs_with_the_commands_name_and_suggests_the_intended_one(round_trip, ask):
    assert "/relay open" in await ask("")
    unknown = await ask("opne <b>")
    assert "Did you mean `open`?" in unknown
    assert "<b>" not in unknown
    round_trip.slack.commands = frozenset({"/relay-staging"})
    delivery = await round_trip.slack.use_command(ANN, DB, "help", command="/relay-staging")
    assert "`/relay-staging mine`" in delivery.answer["text"]


async def test_open_lists_incidents_here_in_a_channel_of_a_team_and_everywhere(round_trip, ask):
    await start(round_trip, "i1", "database")
    await start(round_trip, "i2", "payments", "disk full")
    await start(round_trip, "i3", "security", "intrusion")
    here = await ask("open")
    assert "#db: 2 open, 2 critical" in here
    assert "Nobody has these 2" in here
    for name in ("#noc", "noc"):
        text = await ask(f"open {name}")
        assert "#noc: 1 open" in text
        assert "disk full" in text
    assert "#db: 2 open" in await ask("open ops", channel=NOC)
    team = await ask("open Payments")
    assert "Team Payments: 1 open" in team
    assert "replication lag" not in team
    everywhere = await ask("open all")
    assert "2 open" in everywhere
    assert "intrusion" not in everywhere
    assert "knows no channel or team" in await ask("open nothing")
    assert "Team nothing: nothing is open" in await ask("open team=nothing")


async def test_incidents_of_a_private_channel_are_shown_only_to_those_who_are_in_it(round_trip, ask):
    await start(round_trip, "i3", "security", "intrusion")
    [card] = round_trip.slack.channel(SECRET).messages
    questions = ("open all", "open secret", "open #secret", "open security", "open team=security", "why i3")
    questions += (f"why {permalink(card)}", "mine")
    for question in questions:
        answer = await ask(question)
        assert "intrusion" not in answer
        assert "secret" not in answer.replace("open secret", "")
    unknown = [await ask(each) for each in ("open zzz", "open #zzz", "why zzz")]
    private = [await ask(each) for each in ("open secret", "open #secret", "why i3")]
    assert private == [each.replace("zzz", "i3") for each in unknown]  # nobody learns whether it exists
    round_trip.slack.channel(SECRET).invite(ANN)
    await round_trip.advance(MEMBERSHIPS_TTL + 1)
    for question in questions[:-1]:
        assert "intrusion" in await ask(question)
    assert "#secret: 1 open" in await ask("open", channel=SECRET)


async def test_a_guest_sees_only_the_channels_that_they_are_in(round_trip):
    round_trip.slack.add_user("U0GUEST001", "Guest", channels=[NOC], guest=True)
    await start(round_trip, "i1", "database")
    await start(round_trip, "i2", "payments", "disk full")
    answer = await asked(round_trip, "open all", "U0GUEST001", NOC)
    assert "disk full" in answer
    assert "replication lag" not in answer
    assert "knows no channel" in await asked(round_trip, "open #db", "U0GUEST001", NOC)


@pytest.mark.parametrize("method", ["users.conversations", "users.info"])
async def test_incidents_that_relay_cannot_check_are_shown_only_in_the_channel_of_the_question(tmp_path, method):
    async with run_round_trip(tmp_path, routes=ROUTES_OF_ONE, prepare=with_secret_channel) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        round_trip.slack.channel(SECRET).invite(BOB)
        await start(round_trip, "i3", "security", "intrusion")
        round_trip.slack.remove_scope("groups:read" if method == "users.conversations" else "users:read")
        away = await asked(round_trip, "open all", BOB, NOC)
        assert ("intrusion" in away) == (method == "users.info")  # the list of their channels suffices
        assert "may be missing" in away
        assert "intrusion" in await asked(round_trip, "open", BOB, SECRET)


ROUTES_OF_ONE = f"""
version: 1
fallback: {NOC}
routes:
  - {{name: secret, match: {{tags: {{team: security}}}}, post: [{SECRET}]}}
"""


async def test_mine_finds_a_persons_incidents_by_address_by_id_and_by_a_click(round_trip, ask):
    assert "You have no open incident" in await ask("mine")
    await start(round_trip, "i1", "database")
    await start(round_trip, "i2", "database", "disk full")
    round_trip.panda.share_delay = 1e9  # BigPanda does not say yet that it is assigned
    card = round_trip.slack.channel(DB).messages[0]
    await round_trip.slack.click(ANN, DB, card.ts, "relay_assign")
    await round_trip.settle()
    calls = len(round_trip.panda.calls)
    own = await ask("mine", channel=NOC)
    assert "You have 1 open incident" in own
    assert "replication lag" in own
    assert "disk full" not in own
    assert "You have no open incident" in await ask("mine", BOB)
    assert len(round_trip.panda.calls) == calls
    round_trip.slack.add_user("U0CID00001", "Cid", email="cid@example.org", channels=[DB])
    assert "replication lag" in await ask("mine", "U0CID00001")  # `users` maps the address to Ann's id
    round_trip.slack.add_user("U0NEW00001", "New", channels=[DB])
    assert "users:read.email" in await ask("mine", "U0NEW00001")


async def test_why_shows_routes_conditions_cards_and_held_pings_by_link_id_and_shortcut(round_trip, ask):
    await start(round_trip, "i2", "payments", "disk full")
    [card] = round_trip.slack.channel(NOC).messages
    by_link, by_id = await ask(f"why {permalink(card)}"), await ask("why i2")
    assert by_link == by_id
    for words in ("disk full", "Route `payments` matches", "tags.team: payments", "Card in #noc", "Card in #db"):
        assert words in by_link
    assert "audit" not in by_link  # it leads to a private channel alone
    assert "secret" not in by_link
    delivery = await round_trip.slack.use_shortcut(ANN, NOC, card.ts)
    await round_trip.settle()
    assert (delivery.acknowledged, delivery.answer) == (True, None)
    assert round_trip.slack.text_of(newest(round_trip, channel=NOC)) == by_link
    reply = round_trip.slack.channel(NOC).post("what is this?", user=BOB, thread_ts=card.ts)
    await round_trip.slack.use_shortcut(ANN, NOC, reply.ts)
    await round_trip.settle()
    in_thread = newest(round_trip, channel=NOC)
    assert (in_thread.thread_ts, round_trip.slack.text_of(in_thread)) == (card.ts, by_link)


async def test_a_message_of_another_app_gets_an_answer_even_if_relay_may_not_write_there(round_trip, ask):
    elsewhere = round_trip.slack.add_channel("C0OTHER001", "other")
    elsewhere.invite(ANN)
    message = elsewhere.post("lunch?", user=BOB)
    assert "no incident here" in await ask(f"why {permalink(message)}")
    assert "not the link to a message" in await ask("why https://example.com/")
    await round_trip.slack.use_shortcut(ANN, "C0OTHER001", message.ts)
    await round_trip.settle()
    [direct] = round_trip.slack.direct_messages(ANN)
    assert "no incident here" in direct.text


async def test_the_shortcut_in_a_private_channel_names_no_other_channel(round_trip):
    round_trip.slack.channel(SECRET).invite(BOB)
    await start(round_trip, "i3", "security", "intrusion")
    [card] = round_trip.slack.channel(SECRET).messages
    await round_trip.slack.use_shortcut(BOB, SECRET, card.ts)
    await round_trip.settle()
    assert "Route `secret` matches" in newest(round_trip, BOB, SECRET).text


async def test_a_hostile_title_makes_no_formatting_link_or_ping(round_trip, ask):
    await start(round_trip, "i1", "database", HOSTILE)
    for question in ("open", "open all", "mine", "why i1"):
        await ask(question)
        shown = newest(round_trip)
        sent = f"{shown.text}{shown.blocks}{shown.attachments}"
        assert "<!channel" not in sent
        assert "<https://evil" not in sent


async def test_a_long_list_is_cut_and_counted(round_trip, ask):
    for number in range(30):
        await start(round_trip, f"i{number}", "database", f"check {number} " + "x" * 200)
    text = await ask("open")  # some cards wait for the channel's rate limit, and are open all the same
    assert "#db: 30 open" in text
    assert "And 10 more" in text


async def test_the_answer_says_if_there_are_more_incidents_than_relay_looked_at(round_trip, ask, monkeypatch):
    monkeypatch.setattr(open_list, "BATCH", 1)
    monkeypatch.setattr(open_list, "MAX_SCANNED", 2)
    await start(round_trip, "i1", "database")
    await start(round_trip, "i2", "database")
    assert "relay looked at the worst" not in await ask("open")
    await start(round_trip, "i3", "database")
    for question in ("open", "open all", "open database"):
        answer = await ask(question)
        assert "2 open" in answer
        assert "relay looked at the worst" in answer


async def test_over_socket_mode_the_acknowledgement_has_the_same_answer(tmp_path):
    more = {"SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-sandbox"}
    async with run_round_trip(tmp_path, **more) as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        await round_trip.start_incident()
        assert "#db: 1 open" in await asked(round_trip, "open")


async def test_open_in_a_direct_message_shows_all_channels(round_trip):
    await start(round_trip, "i1", "database")
    direct = round_trip.slack.direct(ANN)
    delivery = await round_trip.slack.use_command(ANN, direct.id, "open")
    assert delivery.answer["text"] == "All channels that you can see: 1 open, 1 critical"
    [shown] = direct.ephemeral
    assert shown.recipient == ANN


async def test_an_unexpected_error_is_logged_and_answered(round_trip, ask, monkeypatch):
    async def fails():
        raise ZeroDivisionError

    monkeypatch.setattr(round_trip.store, "channels", fails)
    assert "an unexpected error occurred" in await ask("mine")


async def test_questions_are_answered_without_a_bigpanda_api_key(tmp_path):
    async with run_round_trip(tmp_path, BIGPANDA_API_KEY="", BIGPANDA_APP_KEY="") as round_trip:
        round_trip.relay.backend.commands.answer_within = 60
        assert "nothing is open" in await asked(round_trip, "open #db")


async def test_a_slow_database_is_reported_within_slacks_timeout(round_trip, ask):
    round_trip.relay.backend.commands.answer_within = 0.0
    assert "did not answer in time" in await ask("open")
    assert "did nothing" in await ask("mute i1 1h x")
    text = (await round_trip.relay.backend.metrics())[0].decode()
    assert 'relay_commands_total{outcome="too_slow",verb="open"} 1.0' in text
