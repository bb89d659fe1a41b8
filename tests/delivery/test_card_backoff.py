"""An unexpected failure inside relay affects only its own card, which is retried and never posted twice."""

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from relay.cards.model import CardContext
from relay.delivery import executor, reconciler, render_process, service
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
    "a message is drawn": (executor, "drawn_step"),
    "an answer is written down": (executor, "apply_answer"),
    "a lost message is found": (reconciler.recovery, "adopt_message"),
    "a lost message is not found": (reconciler.recovery, "record_miss"),
}


@pytest.fixture(autouse=True)
def logged():
    """The log events as values: printing hundreds of tracebacks is slow."""
    with capture_logs() as lines:
        yield lines


class Trouble:
    """Makes one function of relay fail for one incident, until `over` is set."""

    def __init__(self, monkeypatch, module, name: str) -> None:
        self.failures = 0
        self.over = False
        self._work = getattr(module, name)
        monkeypatch.setattr(module, name, self)

    def __call__(self, *arguments, **named):
        [case] = [each for each in arguments if isinstance(each, CardContext)]
        if case.card.incident == BROKEN and not self.over:
            self.failures += 1
            raise LookupError("nobody foresaw this")
        return self._work(*arguments, **named)


def wrong(relay, incident: str) -> list[str]:
    """What is wrong with a late card: not one card, not its last state, or an entry that was posted twice."""
    standing = cards(relay, incident)
    if len(standing) != 1:
        return [f"{len(standing)} cards"]
    thread = thread_text(relay, standing[0])
    twice = [phrase for phrase in THREAD_PHRASES if thread.count(phrase) > 1]
    return twice + ["not its end"] * ("✅" not in relay.slack.text_of(standing[0]))


@pytest.mark.parametrize("place", PLACES)
async def test_an_unexpected_failure_of_one_card_does_not_stop_the_others(tmp_path, monkeypatch, logged, place):
    async with run_relay(tmp_path) as relay:
        trouble = Trouble(monkeypatch, *PLACES[place])
        for after_effect in (True, False):
            lost = place == f"a lost message is {'' if after_effect else 'not '}found"
            relay.slack.faults.add(
                InjectedFault(behaviour=DropConnection(), method=POST, times=int(lost), after_effect=after_effect)
            )
        await relay.share(BROKEN, status="warning", alerts=[ALERT])
        await relay.advance(10)
        await share_lifecycle(relay, SOUND)
        for fields in LIFECYCLE[1:]:
            await relay.share(BROKEN, **fields)
            await relay.advance(60)
        await relay.advance(3600, step=30)
        assert find_faults(relay, SOUND) == []
        assert relay.delivery.delivering
        assert {"delivery_crashed", "delivery_interrupted", "component_crashed"}.isdisjoint(
            each["event"] for each in logged
        )
        assert any(isinstance(each.get("exc_info"), LookupError) for each in logged)
        assert 0 < trouble.failures < 80  # the pauses grow
        assert len(relay.slack.calls_to("conversations.history")) < 200
        trouble.over = True
        await relay.advance(900, step=30)
        assert wrong(relay, BROKEN) == []
        assert await relay.store.dead_letters() == ()


async def test_an_unreadable_row_blocks_no_other_card_and_is_posted_once_it_is_readable(tmp_path, logged):
    """Written by another version of relay, say."""
    routes = "version: 1\nroutes: [{name: all, post: [C0ALL00001], wait: 60s}]\n"
    async with run_relay(tmp_path, routes=routes) as relay:

        async def write(options: str) -> None:
            statement = text(f"UPDATE card SET options = {options} WHERE incident = '{BROKEN}'")
            await relay.store.database.write(lambda connection: connection.execute(statement))

        await relay.share(BROKEN, status="critical", alerts=[ALERT])
        await write("json_set(options, '$.in_doubt', 'unheard of')")
        await relay.advance(3600, step=30)
        await relay.share(SOUND, status="critical", alerts=[ALERT])
        await relay.advance(120)
        assert [len(cards(relay, incident)) for incident in (BROKEN, SOUND)] == [0, 1]
        lines = [each for each in logged if each["event"] == "card_failed"]
        assert {(each["incident"], each["route"], each["channel"]) for each in lines} == {(BROKEN, "all", "C0ALL00001")}
        assert (await relay.store.backlog(relay.clock.now())).channels  # it is seen to wait
        await write("json_set(options, '$.in_doubt', 'repost')")
        await relay.advance(600)
        assert [len(cards(relay, incident)) for incident in (BROKEN, SOUND)] == [1, 1]


async def test_the_built_in_text_replaces_a_template_that_crashes(tmp_path, monkeypatch):
    async with run_relay(tmp_path) as relay:
        drawn = render_process.render_step

        def draw(configuration, *arguments):
            if configuration is relay.configuration:
                raise LookupError("nobody foresaw this")
            return drawn(configuration, *arguments)

        monkeypatch.setattr(render_process, "render_step", draw)
        await share_lifecycle(relay, SOUND)
        assert find_faults(relay, SOUND) == []


@pytest.mark.parametrize(
    "verb",
    ["next_channel_lookup_at", "attempts_in_doubt", "channels", "start_next_card", "_probe"],
    ids=["channel resolver", "reconciler", "repair", "scheduler", "circuit breaker"],
)
async def test_a_component_that_crashes_restarts_after_growing_pauses(tmp_path, monkeypatch, verb):
    async with run_relay(tmp_path) as relay:
        broken = relay.gateway.breaker if verb == "_probe" else relay.store
        work, crashes = getattr(broken, verb), []

        async def breaks(*arguments, **named):
            crashes.append(relay.clock.now())
            raise LookupError("nobody foresaw this")

        if verb == "_probe":
            relay.slack.revoke()
        monkeypatch.setattr(broken, verb, breaks)
        relay.delivery.wake(everything=True)
        await relay.share(SOUND, status="warning", alerts=[ALERT])
        await relay.advance(1800, step=30)
        assert relay.delivery.delivering
        assert 3 < len(crashes) < 400
        monkeypatch.setattr(broken, verb, work)
        relay.slack.restore()
        await relay.advance(400)
        for fields in LIFECYCLE[1:]:
            await relay.share(SOUND, **fields)
            await relay.advance(60)
        await relay.advance(400)
        assert wrong(relay, SOUND) == []
