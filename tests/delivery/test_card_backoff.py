"""Whatever goes wrong with one card, in relay itself, concerns that card alone; it is tried again, never doubled."""

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from relay.cards.model import CardContext
from relay.delivery import executor, reconciler, service
from relay.sandbox.faults import DropConnection, InjectedFault
from tests.support.incident_lifecycle import (
    ALERT,
    LIFECYCLE,
    THREAD_PHRASES,
    cards,
    find_faults,
    share_lifecycle,
    thread_text,
)
from tests.support.relay_in_process import run_relay

POST = "chat.postMessage"
BROKEN, SOUND = "broken", "sound"
PLACES = {
    "a post is begun": (service, "begin_post"),
    "an edit is begun": (service, "begin_edit"),
    "a message is drawn": (executor, "draw"),
    "an answer is written down": (executor, "follow"),
    "a lost message is found": (reconciler.recovery, "adopted"),
    "a lost message is not found": (reconciler.recovery, "missed"),
}


@pytest.fixture(autouse=True)
def logged():
    """What relay says, as values: to print hundreds of tracebacks takes long."""
    with capture_logs() as lines:
        yield lines


class Trouble:
    """Something that nobody foresaw, in one function of relay, with one incident, until it is over."""

    def __init__(self, monkeypatch, module, name: str) -> None:
        self.struck = 0
        self.over = False
        self._work = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *arguments, **named):
        [case] = [each for each in arguments if isinstance(each, CardContext)]
        if case.card.incident == BROKEN and not self.over:
            self.struck += 1
            raise LookupError("nobody foresaw this")
        return self._work(*arguments, **named)


def wrong(house, incident: str) -> list[str]:
    """What is wrong with a card that was late: not one card, not its end, or anything told twice."""
    standing = cards(house, incident)
    if len(standing) != 1:
        return [f"{len(standing)} cards"]
    told = thread_text(house, standing[0])
    twice = [phrase for phrase in THREAD_PHRASES if told.count(phrase) > 1]
    return twice + ["not its end"] * ("✅" not in house.slack.text_of(standing[0]))


@pytest.mark.parametrize("place", PLACES)
async def test_others_live_on_beside_a_card_with_which_something_unforeseen_goes_wrong(
    tmp_path, monkeypatch, logged, place
):
    async with run_relay(tmp_path) as house:
        trouble = Trouble(monkeypatch, *PLACES[place])
        for after_effect in (True, False):
            lost = place == f"a lost message is {'' if after_effect else 'not '}found"
            house.slack.faults.add(
                InjectedFault(behaviour=DropConnection(), method=POST, times=int(lost), after_effect=after_effect)
            )
        await house.share(BROKEN, status="warning", alerts=[ALERT])
        await house.advance(10)
        await share_lifecycle(house, SOUND)
        for told in LIFECYCLE[1:]:
            await house.share(BROKEN, **told)
            await house.advance(60)
        await house.advance(3600)
        assert find_faults(house, SOUND) == []
        assert house.delivery.health.delivering
        assert {"delivery_broke", "delivery_broken_off", "room_broke"}.isdisjoint(each["event"] for each in logged)
        assert any(isinstance(each.get("exc_info"), LookupError) for each in logged)
        assert 0 < trouble.struck < 80  # ever more seldom
        assert len(house.slack.calls_to("conversations.history")) < 200
        trouble.over = True
        await house.advance(900)
        assert wrong(house, BROKEN) == []
        assert await house.store.dead_letters() == ()


async def test_a_row_that_cannot_be_read_holds_up_nobody_and_is_shown_once_it_can(tmp_path, logged):
    """Written by another version of relay, say."""
    routes = "version: 1\nroutes: [{name: all, post: [C0ALL00001], wait: 60s}]\n"
    async with run_relay(tmp_path, routes=routes) as house:

        async def write(options: str) -> None:
            statement = text(f"UPDATE card SET options = {options} WHERE incident = '{BROKEN}'")
            await house.store.database.write(lambda connection: connection.execute(statement))

        await house.share(BROKEN, status="critical", alerts=[ALERT])
        await write("json_set(options, '$.in_doubt', 'unheard of')")
        await house.advance(3600)
        await house.share(SOUND, status="critical", alerts=[ALERT])
        await house.advance(120)
        assert [len(cards(house, incident)) for incident in (BROKEN, SOUND)] == [0, 1]
        told = [each for each in logged if each["event"] == "card_broke"]
        assert {(each["incident"], each["route"], each["channel"]) for each in told} == {(BROKEN, "all", "C0ALL00001")}
        assert (await house.store.backlog(house.clock.now())).channels  # it is seen to wait
        await write("json_set(options, '$.in_doubt', 'repost')")
        await house.advance(600)
        assert [len(cards(house, incident)) for incident in (BROKEN, SOUND)] == [1, 1]


async def test_where_a_message_cannot_be_drawn_relay_s_own_wording_takes_its_place(tmp_path, monkeypatch):
    async with run_relay(tmp_path) as house:
        drawn = executor.draw_step

        def draw(configuration, *arguments):
            if configuration is house.configuration:
                raise LookupError("nobody foresaw this")
            return drawn(configuration, *arguments)

        monkeypatch.setattr(executor, "draw", draw)
        await share_lifecycle(house, SOUND)
        assert find_faults(house, SOUND) == []


@pytest.mark.parametrize("room", ["_directory", "_search", "_mending", "_gate", "_posts", "_edits"])
async def test_a_room_in_which_something_unforeseen_happens_begins_again_with_ever_longer_pauses(
    tmp_path, monkeypatch, room
):
    verb = {
        "_directory": "channel_due",
        "_search": "doubts",
        "_mending": "channels",
        "_posts": "pick",
        "_edits": "pick",
    }.get(room, "")
    async with run_relay(tmp_path) as house:
        broken = house.slack_client if room == "_gate" else house.store
        name, struck = verb or "auth_test", []
        work = getattr(broken, name)

        async def breaks(*arguments, **named):
            struck.append(house.clock.now())
            raise LookupError("nobody foresaw this")

        if room == "_gate":
            house.slack.revoke()
        monkeypatch.setattr(broken, name, breaks)
        house.delivery._ring_all()
        await house.share(SOUND, status="warning", alerts=[ALERT])
        await house.advance(1800)
        assert house.delivery.health.delivering
        assert 3 < len(struck) < 400
        monkeypatch.setattr(broken, name, work)
        house.slack.restore()
        await house.advance(400)
        for told in LIFECYCLE[1:]:
            await house.share(SOUND, **told)
            await house.advance(60)
        await house.advance(400)
        assert wrong(house, SOUND) == []
