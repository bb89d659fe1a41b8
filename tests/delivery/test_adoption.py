"""A database was lost: relay takes over its cards in Slack before it posts, and no incident gets a second card."""

import pytest
from structlog.testing import capture_logs

from relay.cards.model import ADOPTING
from relay.delivery import adoption
from relay.model.struct import replace
from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.server import FakeSlack
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import fake_workspace, run_relay

POST, EDIT, HISTORY = "chat.postMessage", "chat.update", "conversations.history"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: [C0DB000001]}
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT]}}]
    reopen_within: 1h
"""
DB = [{"name": "team", "value": "db"}]
OK = ALERT | {"status": "ok"}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slack(clock):
    return fake_workspace(clock)


class Life:
    """Relays that follow each other in one workspace."""

    def __init__(self, folder, clock, slack):
        self.folder, self.clock, self.slack = folder, clock, slack

    def run(self, **how):
        return run_relay(self.folder, routes=ROUTES, clock=self.clock, slack=self.slack, is_new=True, **how)

    def lose(self):
        """Delete the database; ten minutes pass."""
        for file in self.folder.glob("relay.db*"):
            file.unlink()
        self.clock.advance(600)

    def posts(self):
        return [call.arguments for call in self.slack.calls_to(POST)]


@pytest.fixture
def life(tmp_path, clock, slack):
    return Life(tmp_path, clock, slack)


@pytest.fixture
async def lost(life):
    """Relay has posted a card of `i1`, which is at warning, and then its database was lost."""
    async with life.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.advance(60)
    life.lose()
    return life


async def test_the_next_share_edits_the_card_and_reports_and_pings_nothing(lost):
    posted = len(lost.posts())
    async with lost.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT], incidentTags=[{"name": "team", "value": "web"}])
        await relay.advance(60)
        [card] = cards(relay, "i1")
        assert "web" in str(card)
        assert len(lost.posts()) == posted


async def test_a_change_since_the_last_edit_is_reported_and_pings(lost):
    async with lost.run() as relay:
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
        await relay.share("i1", status="ok", alerts=[OK])
        await relay.advance(60)
        [card] = cards(relay, "i1")
        said = thread_text(relay, card)
        assert (said.count("Critical"), said.count("Resolved")) == (1, 1)
        assert "✅" in relay.slack.text_of(card)
        assert "<!subteam^S0CRIT>" in str(lost.posts())


async def test_a_new_installation_reads_one_page_of_each_channel_and_posts_at_once(life):
    async with life.run() as relay:
        began = relay.clock.now()
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.settle()
        assert (len(cards(relay, "i1")), relay.clock.now()) == (1, began)
        assert len(relay.slack.calls_to(HISTORY)) == 3
    async with life.run() as relay:
        assert len(relay.slack.calls_to(HISTORY)) == 3


async def test_shares_wait_until_their_channel_was_read_and_other_channels_continue(lost):
    lost.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=HISTORY, channel="C0ALL00001", times=3))
    async with lost.run() as relay:
        posted = len(lost.posts())
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.share("new", status="critical", alerts=[ALERT])
        await relay.share("db", status="warning", alerts=[ALERT], incidentTags=DB)
        await relay.settle()
        assert len(cards(relay, "db", "db")) == 1
        assert len(lost.posts()) == posted + 1
        [waiting] = await relay.store.stalled_channels(relay.clock.now())
        assert (waiting.ref, waiting.waits_for) == ("C0ALL00001", ADOPTING)
        history = await relay.store.incident_history("new")
        assert [card.reason for card in history.cards] == [ADOPTING]
        await relay.advance(120)
        assert [len(cards(relay, name)) for name in ("i1", "new")] == [1, 1]
        [card] = cards(relay, "i1")
        assert "🔴" in relay.slack.text_of(card)
        assert thread_text(relay, card).count("Critical") == 1
        assert sum("<!subteam^S0CRIT>" in str(each) for each in lost.posts()[posted:]) == 2
        assert await relay.store.stalled_channels(relay.clock.now()) == ()


@pytest.mark.parametrize("named", [False, True])
async def test_a_share_waits_only_for_its_own_channel_even_with_many_new_channels(tmp_path, clock, named):
    """Slack lets an app join, and read, 50 channels a minute: a thousand take twenty minutes."""
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    slack.limits.enabled = True
    channels = [f"C0MANY{number:04}" for number in range(40)]
    for channel in channels:
        slack.add_channel(channel, channel.lower())
    routes = "version: 1\nroutes:\n" + "".join(
        f"  - {{name: {channel}, match: {{tags: {{to: {channel}}}}}, post: ['{posted}']}}\n"
        for channel in channels
        for posted in [f"#{channel.lower()}" if named else channel]
    )
    async with run_relay(tmp_path, routes=routes, clock=clock, slack=slack, is_new=True) as relay:
        for channel in reversed(channels[-4:]):
            await relay.share(channel, status="warning", incidentTags=[{"name": "to", "value": channel}])
            await relay.advance(6)
            assert len(slack.channel(channel).messages) == 1
        assert len(slack.calls_to("conversations.join")) < len(channels)
        assert len(slack.calls_to(HISTORY)) < len(channels)
        await relay.advance(120)
        assert len(slack.calls_to("conversations.join")) == len(channels)
        assert await relay.store.unread_channels() == ()


async def test_a_resolution_during_the_reading_of_the_channel_reaches_the_card(lost):
    lost.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=HISTORY, channel="C0ALL00001", times=2))
    async with lost.run() as relay:
        await relay.share("i1", status="ok", alerts=[OK], endedOn=int(relay.clock.now()) - 500)
        await relay.advance(120)
        [card] = cards(relay, "i1")
        assert "✅" in relay.slack.text_of(card)
        assert thread_text(relay, card).count("Resolved") == 1


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("waits", [False, True])
async def test_an_ended_episode_stays_ended_and_a_reopening_follows_the_usual_rules(life, late, waits):
    async with life.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.advance(60)
        await relay.share("i1", status="ok", alerts=[OK])
        await relay.advance(60)
    life.lose()
    life.clock.advance(7200 if late else 0)
    if waits:
        life.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=HISTORY, channel="C0ALL00001", times=1))
    async with life.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.advance(120)
        first, *second = cards(relay, "i1")
        assert ("✅" in relay.slack.text_of(first), len(second)) == (late, late)
        assert ("Reopened" in thread_text(relay, first)) is not late
        if late:
            assert first.ts.replace(".", "") in str(second[0])


async def test_the_newest_of_two_cards_of_an_incident_is_adopted(life):
    async with life.run() as relay:
        for status, alert in (("warning", ALERT), ("ok", OK)):
            await relay.share("i1", status=status, alerts=[alert])
            await relay.advance(60)
        await relay.advance(7200, step=30)
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "i1")) == 2
    life.lose()
    async with life.run() as relay:
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
        first, second = cards(relay, "i1")
        assert ("✅" in relay.slack.text_of(first), "🔴" in relay.slack.text_of(second)) == (True, True)
        [state] = [(await relay.store.incident_history("i1")).state]
        assert state.episode == 2


async def test_a_card_that_is_deleted_meanwhile_is_posted_again_with_the_next_share_and_not_before(lost):
    async with lost.run() as relay:
        [card] = cards(relay, "i1")
        relay.slack.channel("all").delete(card.ts)
        await relay.advance(1200, step=30)
        assert cards(relay, "i1") == []
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
        [again] = cards(relay, "i1")
        assert "🔴" in relay.slack.text_of(again)


async def test_an_incident_that_is_never_shared_again_leaves_its_card_as_it_is(lost):
    edits = len(lost.slack.calls_to(EDIT))
    async with lost.run() as relay:
        await relay.advance(3600, step=30)
        relay.clock.advance(10 * 86_400)  # at once: step by step, relay would look for work ten thousand times
        await relay.advance(3600, step=30)
        assert len(cards(relay, "i1")) == 1
        assert len(relay.slack.calls_to(EDIT)) == edits


async def test_relay_logs_a_channel_that_it_may_not_read_and_posts_there(lost):
    lost.slack.faults.add(InjectedFault(behaviour=ErrorCode("missing_scope"), method=HISTORY, times=None))
    with capture_logs() as log:
        async with lost.run() as relay:
            await relay.share("new", status="warning", alerts=[ALERT])
            await relay.settle()
            assert len(cards(relay, "new")) == 1
    [*_, line] = [each for each in log if each["event"] == "history_not_read"]
    assert (line["log_level"], bool(line["remedy"])) == ("error", True)


async def test_a_channel_that_slack_never_lets_relay_read_waits_ten_minutes_at_most(lost):
    lost.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=HISTORY, channel="C0ALL00001", times=None))
    async with lost.run() as relay:
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.advance(590)
        assert cards(relay, "new") == []
        await relay.advance(60)
        assert len(cards(relay, "new")) == 1


async def test_a_private_channel_without_relay_goes_to_the_fallback_and_is_read_once_relay_is_invited(lost):
    channel = lost.slack.channel("all")
    channel.private = True
    channel.members.clear()
    async with lost.run() as relay:
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "new", "noc")) == 1
        channel.members.add(relay.slack.bot.user_id)
        await relay.advance(900, step=30)
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.share("new", status="critical", alerts=[ALERT])
        await relay.advance(120)
        assert [len(cards(relay, name)) for name in ("i1", "new")] == [1, 1]


async def test_a_channel_that_the_routes_name_later_is_read_first(lost):
    without = ROUTES.replace("C0ALL00001", "C0DB000001")
    async with run_relay(lost.folder, routes=without, clock=lost.clock, slack=lost.slack, is_new=True) as relay:
        await relay.advance(60)
    async with lost.run() as relay:
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "i1")) == 1


@pytest.mark.parametrize("other", ["name", "bot"])
async def test_cards_of_another_relay_or_another_bot_are_left_alone(lost, other):
    """Also by everything that edits, repairs and deletes."""
    shown = [replace(message) for message in lost.slack.channel("all").all_messages]
    if other == "bot":
        lost.slack.bot = replace(lost.slack.bot, bot_id="B0AGAIN", user_id="U0AGAIN")
        lost.slack.install(lost.slack.token)
    with capture_logs() as log:
        async with lost.run(name="staging" if other == "name" else "relay") as relay:
            lost.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
            await relay.share("i1", status="critical", alerts=[ALERT])
            await relay.advance(600)
            await relay.share("i1", status="ok", alerts=[OK])
            await relay.advance(600)
            theirs, own = cards(relay, "i1")
            assert ("🟠" in relay.slack.text_of(theirs), "✅" in relay.slack.text_of(own)) == (True, True)
            assert thread_text(relay, theirs) == ""
    assert [each.versions for each in lost.slack.channel("all").all_messages[: len(shown)]] == [
        each.versions for each in shown
    ]
    assert [each["left_alone"] for each in log if each["event"] == "history_read" and each["left_alone"]] == [
        {f"another_{other}": 1}
    ]


async def test_two_relays_with_different_names_do_not_touch_each_others_cards(life, tmp_path):
    folder = tmp_path / "staging"
    folder.mkdir()
    async with (
        life.run() as relay,
        run_relay(folder, routes=ROUTES, clock=life.clock, slack=life.slack, is_new=True, name="staging") as staging,
    ):
        for status, alert in (("warning", ALERT), ("critical", ALERT), ("ok", OK)):
            for each in (relay, staging):
                await each.share("i1", status=status, alerts=[alert])
            await relay.advance(200)
            await staging.settle()
        both = cards(relay, "i1")
        assert sorted(card.metadata["event_payload"]["instance"] for card in both) == ["relay", "staging"]
        assert [thread_text(relay, card).count("Resolved") for card in both] == [1, 1]
        assert [thread_text(relay, card).count("Critical*") for card in both] == [1, 1]


async def test_relay_notices_while_it_runs_that_its_database_was_restored(life):
    async with life.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT])
        await relay.advance(60)
        searched = len(relay.slack.calls_to(HISTORY))
        await relay.store.mark_restored(relay.clock.now() - 3600)
        relay.leader.wake(everything=True)
        await relay.settle()
        await relay.share("new", status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "new")) == 1
        assert len(relay.slack.calls_to(HISTORY)) > searched


async def test_pings_of_an_adopted_card_are_those_of_new_states_only(life):
    async with life.run() as relay:
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
    life.lose()
    async with life.run() as relay:
        before = len(life.posts())
        for tag in ("a", "b"):
            await relay.share("i1", status="critical", alerts=[ALERT], incidentTags=[{"name": "x", "value": tag}])
            await relay.advance(400)
        replies = relay.slack.channel("all").thread(cards(relay, "i1")[0].ts)
        assert not any(pings(reply) for reply in replies)
        assert all("S0CRIT" not in str(each) for each in life.posts()[before:])


async def test_the_metadata_of_a_message_name_the_relay_the_card_and_the_entries(life):
    """The metadata that a new database needs to take over the message."""
    async with life.run() as relay:
        await relay.share("i1", status="warning", alerts=[ALERT], metadata={"environment_id": "env-1"})
        await relay.advance(60)
        await relay.share("i1", status="critical", alerts=[ALERT])
        await relay.advance(60)
        [card] = cards(relay, "i1")
        [reply] = relay.slack.channel("all").thread(card.ts)
        payload, reported = (each.metadata["event_payload"] for each in (card, reply))
        said = {name: payload[name] for name in ("incident", "instance", "kind", "episode", "route", "state")}
        assert said == {
            "incident": "i1",
            "instance": "relay",
            "kind": "card",
            "episode": 1,
            "route": "all",
            "state": "critical",
        }
        assert (reported["kind"], reported["incident"]) == ("entry", "i1")
        assert reported["digest"]
        assert "generation" not in payload  # 0
    life.lose()
    async with life.run() as relay:
        await relay.share("i1", status="ok", alerts=[OK])
        await relay.advance(60)
        [card] = cards(relay, "i1")
        assert card.metadata["event_payload"]["generation"] == 1
        keys = {reply.metadata["event_payload"]["key"] for reply in relay.slack.channel("all").thread(card.ts)}
        assert len(keys) == 2


@pytest.mark.parametrize("works_again", [False, True])
async def test_a_card_in_the_fallback_channel_is_taken_over_there(life, works_again):
    """In the fallback channel. Its own channel looks as it does with a database that was not lost.

    Nobody knows any more that the card there came first, so the card in the fallback channel is kept up to date, too.
    """
    seen = {}
    for loses in (False, True):
        clock = ManualClock()
        slack = fake_workspace(clock)
        folder = life.folder / str(loses)
        folder.mkdir()
        each = Life(folder, clock, slack)
        slack.channel("db").archived = True
        async with each.run() as relay:
            await relay.share("i1", status="warning", alerts=[ALERT], incidentTags=DB)
            await relay.advance(60)
            assert [len(cards(relay, "i1", name)) for name in ("db", "noc")] == [0, 1]
        if loses:
            each.lose()
        else:
            clock.advance(600)
        slack.channel("db").archived = not works_again
        async with each.run() as relay:
            await relay.advance(60)
            for status, alert in (("critical", ALERT), ("ok", OK)):
                await relay.share("i1", status=status, alerts=[alert], incidentTags=DB)
                await relay.advance(900, step=30)
            seen[loses] = {
                name: [(relay.slack.text_of(card).splitlines()[0], pings(card)) for card in cards(relay, "i1", name)]
                for name in ("db", "noc", "all")
            }
    [(shown, pinged)] = seen[True]["noc"]
    assert (shown.startswith("✅" if works_again else "↪️ meant for #db"), pinged) == (True, ())
    assert {**seen[True], "noc": []} == {**seen[False], "noc": []}


async def test_adopt_can_be_interrupted_anywhere_and_run_again(life, monkeypatch):
    async with life.run() as relay:
        for number in range(4):
            await relay.share(f"i{number}", status="warning", alerts=[ALERT])
        await relay.advance(60)
    monkeypatch.setattr(adoption, "BATCH_SIZE", 1)
    found = []
    for nth in range(6):
        life.lose()
        async with run_relay(life.folder, routes=ROUTES, clock=life.clock, slack=life.slack) as relay:
            await by_hand(relay, fails_after=nth)
            outcome = await by_hand(relay)
            assert outcome.outcomes.total() == 4
            assert outcome.adopted == max(4 - nth, 0)
            again = await by_hand(relay)
            assert (again.adopted, again.left_alone) == (0, {"known": 4})
            found.append([(await relay.store.incident_history(f"i{number}")).cards[0].ts for number in range(4)])
    assert all(each == found[0] for each in found)
    assert len(life.posts()) == 4


async def by_hand(relay, fails_after=None):
    """What `relay adopt` does for a channel; it is killed after so many batches."""
    adopt_cards, batches = relay.store.adopt_cards, 0

    async def failing(*arguments, **named):
        nonlocal batches
        if batches == fails_after:
            raise KeyboardInterrupt
        batches += 1
        return await adopt_cards(*arguments, **named)

    [channel] = [each for each in await relay.store.channels() if each.ref == "C0ALL00001"]
    relay.store.adopt_cards = failing
    try:
        return await adoption.adopt_channel(
            relay.gateway,
            relay.store,
            channel,
            identity=relay.gateway.breaker.identity,
            instance="relay",
            rulebook=relay.configuration.rulebook,
            since=0.0,
            now=relay.clock.now(),
        )
    except KeyboardInterrupt:
        return None
    finally:
        relay.store.adopt_cards = adopt_cards
