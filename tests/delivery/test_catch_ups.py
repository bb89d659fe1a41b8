"""Silent hours, from a share to what people read in Slack: one catch-up, one held list, whatever comes in between."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from relay.cards.holding import CatchUp
from relay.config.files import load_configuration
from relay.model.incident import State
from relay.sandbox.faults import ErrorCode, InjectedFault
from relay.sandbox.slack.mentions import pings
from relay.slack.outcomes import Delivered
from tests.support.clocks import ManualClock
from tests.support.relay_in_process import START, RelayInProcess, fake_workspace, run_relay

ROUTES = """
version: 1
zone: Etc/UTC
hours:
  night: {from: "22:30", to: "23:00"}
  late: {from: "22:30", to: "23:10"}
fallback: C0NOC00001
routes:
  - name: databases
    match: {tags: {team: database}}
    continue: true
    post: [{channel: C0ALL00001, mention: {any: [S0DATA]}, databases}]
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], warning: [S0WARN, here]}, all}]
"""
QUIET, HOLD = "quiet: [night]", "hold: [night]"
EVENING, NIGHT, MORNING = 0.0, 1060.0, 2800.0
"""In seconds after the start, 22:13:20: before the silent hours, a minute after their begin, and their end."""
DATABASE = [{"id": "team", "value": "database"}]
OVER = {"status": "ok", "resolved": True, "active": False}


def routes(every: str = QUIET, *, databases: str = "quiet: []") -> str:
    return ROUTES.replace("databases}", f"{databases}}}").replace(", all}", f", {every}}}")


async def until(relay: RelayInProcess, seconds: float) -> None:
    """Let time pass until so many seconds after the start."""
    await relay.advance(START + seconds - relay.clock.now())


def roots(relay: RelayInProcess, channel: str = "all") -> list[str]:
    """The messages in the channel, without threads."""
    messages = relay.slack.channel(channel).messages
    return [relay.slack.text_of(each) for each in messages if each.thread_ts is None]


def pinged(relay: RelayInProcess, channel: str = "all") -> list[tuple[str, ...]]:
    """Whom the messages and replies of a channel notified, in order."""
    there = relay.slack.channel(channel)
    messages = [each for root in there.messages for each in (root, *there.thread(root.ts))]
    unique = {message.ts: message for message in messages}
    return [found for ts in sorted(unique) if (found := pings(unique[ts]))]


async def test_a_quiet_night_ends_in_one_message_that_names_what_is_open_and_pings_each_once(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        for incident, title in (("i1", "disk"), ("i2", "lag"), ("i3", "over soon")):
            await relay.share(incident, status="warning", description=title)
        await relay.advance(60)
        assert pinged(relay) == []
        assert relay.transcript().count("pings held until") == 3
        await relay.share("i3", **OVER)
        await until(relay, MORNING + 60)
        *cards, catch_up = roots(relay)
        assert "2 incidents are still open" in catch_up
        assert pinged(relay) == [("S0WARN",)]
        assert not any("pings held" in card for card in cards)


async def test_there_is_no_catch_up_if_nothing_is_open_in_the_morning(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await relay.advance(60)
        await relay.share("i1", **OVER)
        await until(relay, MORNING + 60)
        assert len(roots(relay)) == 1
        assert pinged(relay) == []


async def test_if_one_of_two_routes_in_a_channel_is_quiet_only_its_people_are_not_pinged(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning", incidentTags=DATABASE)
        await relay.advance(60)
        assert pinged(relay) == [("S0DATA",)]
        await until(relay, MORNING + 60)
        assert pinged(relay) == [("S0DATA",), ("S0WARN",)]


async def test_two_routes_that_are_quiet_until_different_times_have_a_catch_up_each(tmp_path):
    async with run_relay(tmp_path, routes=routes(databases="quiet: [late]")) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning", incidentTags=DATABASE)
        await until(relay, MORNING + 60)
        assert pinged(relay) == [("S0WARN",)]
        await until(relay, MORNING + 660)
        assert pinged(relay) == [("S0WARN",), ("S0DATA",)]


async def test_a_rise_to_critical_at_night_pings_its_own_people_at_once_and_the_others_in_the_morning(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await relay.advance(60)
        await relay.share("i1", status="critical")
        await relay.advance(60)
        assert pinged(relay) == [("S0CRIT",)]
        await until(relay, MORNING + 60)
        assert pinged(relay) == [("S0CRIT",), ("S0WARN",)]
        assert "1 incident is still open" in roots(relay)[-1]


async def test_a_rise_in_quiet_hours_is_reported_at_once_and_pings_in_the_catch_up(tmp_path):
    async with run_relay(tmp_path, routes=routes("quiet: {during: [night], unless: never}")) as relay:
        await relay.share("i1", status="warning")
        await until(relay, NIGHT)
        await relay.share("i1", status="critical")
        await relay.advance(60)
        assert pinged(relay) == [("S0WARN", "here")]
        assert "Warning → *Critical*" in relay.transcript()
        assert "pings held until" in roots(relay)[0]
        await until(relay, MORNING + 30)
        assert pinged(relay) == [("S0WARN", "here"), ("S0CRIT",)]
        assert "pings held until" not in roots(relay)[0]


async def test_a_held_night_is_listed_and_its_cards_follow_worst_first_without_pings(tmp_path):
    async with run_relay(tmp_path, routes=routes(HOLD)) as relay:
        await until(relay, NIGHT)
        for incident, state in (("i1", "unknown"), ("i2", "warning"), ("i3", "warning")):
            await relay.share(incident, status=state)
        await relay.advance(60)
        (held,) = roots(relay)
        assert "3 incidents held" in held
        thread = relay.transcript()
        assert all(thread.count(f"Incident {incident}") == 1 for incident in ("i1", "i2", "i3"))
        await relay.share("i3", **OVER)
        await relay.share("i1", status="warning")
        await relay.advance(120)
        assert "🟠 *Warning* Incident i1" in relay.transcript()
        await relay.share("i1", status="unknown")
        await until(relay, MORNING + 90)
        held, *others = roots(relay)
        assert "No longer held" in held
        assert "2 posted, 1 resolved" in held
        cards = [each for each in others if "still open" not in each]
        assert ["Incident i2" in cards[0], "Incident i1" in cards[1], len(cards)] == [True, True, 2]
        [catch_up] = [each for each in others if each not in cards]
        assert "2 incidents are still open" in catch_up
        assert pinged(relay) == [("S0WARN",)]


async def test_a_held_card_that_becomes_critical_is_posted_at_once(tmp_path):
    async with run_relay(tmp_path, routes=routes(HOLD)) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await relay.advance(60)
        await relay.share("i1", status="critical")
        await relay.advance(60)
        assert len(roots(relay)) == 2
        assert [set(each) for each in pinged(relay)] == [{"S0CRIT", "S0WARN", "here"}]
        await until(relay, MORNING + 60)
        assert len(pinged(relay)) == 1


async def test_if_quiet_hours_end_while_relay_is_down_one_late_catch_up_follows(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, dies=True) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await relay.advance(60)
    clock.advance(MORNING)
    for _ in range(2):
        async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
            await relay.advance(60)
            assert pinged(relay) == [("S0WARN",)]
            assert "late" in roots(relay)[-1]
            assert len(roots(relay)) == 2


async def test_if_quiet_hours_began_again_while_relay_was_down_pings_wait_for_their_next_end(tmp_path):
    clock, day = ManualClock(), 86400.0
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, dies=True) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await relay.advance(60)
    clock.advance(day)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await relay.advance(60)
        assert pinged(relay) == []
        await until(relay, day + MORNING + 60)
        assert pinged(relay) == [("S0WARN",)]


@pytest.mark.parametrize("options", [QUIET, HOLD])
async def test_an_edit_that_ends_silent_hours_releases_held_pings_in_one_catch_up(tmp_path, options):
    async with run_relay(tmp_path, routes=routes(options)) as relay:
        await until(relay, NIGHT)
        for incident in ("i1", "i2"):
            await relay.share(incident, status="warning")
        await relay.advance(60)
        assert pinged(relay) == []
        await edit(relay, tmp_path, routes("quiet: []"))
        await relay.advance(60)
        assert pinged(relay) == [("S0WARN",)]
        assert sum("2 incidents are still open" in root for root in roots(relay)) == 1


async def edit(relay: RelayInProcess, folder: Path, text: str) -> None:
    """Edit routes.yaml while relay runs."""
    (folder / "routes.yaml").write_text(text)
    edited = load_configuration(folder / "routes.yaml", folder / "templates")
    live: Callable[[], object] = lambda: edited  # noqa: E731
    relay.delivery._shared.live = live
    relay.leader.wake(everything=True)


async def test_a_clock_that_is_set_back_over_the_end_loses_no_ping_and_repeats_none(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await until(relay, MORNING + 60)
        assert pinged(relay) == [("S0WARN",)]
        relay.clock.set_time(START + MORNING - 600)
        await relay.store.move_back(relay.clock.now(), 660)
        await relay.share("i2", status="warning")
        await relay.advance(60)
        assert pinged(relay) == [("S0WARN",)]
        await until(relay, MORNING + 60)
        assert pinged(relay) == [("S0WARN",), ("S0WARN",)]
        assert "1 incident is still open" in roots(relay)[-1]


async def test_shares_that_came_before_the_end_are_planned_before_anybody_is_pinged(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await until(relay, MORNING - 1)
        await relay.share("i1", status="warning", metadata={"assignee": {"id": "u1", "name": "Ann"}})
        await until(relay, MORNING + 60)
        assert pinged(relay) == []
        assert "Ann" in roots(relay)[-1]
        assert State.WARNING.value in relay.transcript().lower()


@pytest.mark.parametrize(
    "crash",
    [
        "before the transaction",
        "after the transaction",
        pytest.param("before the post", marks=pytest.mark.soak),
        pytest.param("after the post", marks=pytest.mark.soak),
    ],
)
async def test_a_crash_at_any_step_of_a_catch_up_neither_loses_nor_repeats_it(tmp_path, crash):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, dies=True) as relay:
        await until(relay, NIGHT)
        for incident in ("i1", "i2"):
            await relay.share(incident, status="warning")
        await until(relay, MORNING - 5)
        crashed = stop_at(relay, crash)
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                advancing = asyncio.create_task(until(relay, MORNING + 5))
                await crashed.wait()
        advancing.cancel()
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await until(relay, MORNING + 400)
        assert pinged(relay) == [("S0WARN",)]
        assert sum("2 incidents are still open" in root for root in roots(relay)) == 1


def stop_at(relay: RelayInProcess, crash: str) -> asyncio.Event:
    """Let relay stop for ever before or after its next transaction for a catch-up, or its next post."""
    crashed, owner, name = asyncio.Event(), relay.store, "catch_up_next"
    if "post" in crash:
        owner, name = relay.gateway, "post"
    verb = getattr(owner, name)

    async def stopped(*arguments, **named):
        if crash.startswith("before") and ("post" in crash or clock_is_past(relay)):
            crashed.set()
            await asyncio.Event().wait()
        result = await verb(*arguments, **named)
        if isinstance(result, CatchUp | Delivered):
            crashed.set()
            await asyncio.Event().wait()
        return result

    setattr(owner, name, stopped)
    return crashed


def clock_is_past(relay: RelayInProcess) -> bool:
    return relay.clock.now() >= START + MORNING


async def test_if_slack_is_paused_at_the_end_of_the_hours_the_catch_up_is_late_and_says_so(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await until(relay, NIGHT)
        await relay.share("i1", status="warning")
        await until(relay, MORNING - 60)
        refuses = InjectedFault(behaviour=ErrorCode("service_unavailable"), method="chat.postMessage", times=None)
        relay.slack.faults.add(refuses)
        await until(relay, MORNING + 400)
        assert pinged(relay) == []
        relay.slack.faults.clear()
        await relay.advance(400)
        assert pinged(relay) == [("S0WARN",)]
        assert "posted late" in roots(relay)[-1]


async def test_a_snooze_that_ends_while_the_incident_is_open_gets_a_catch_up(tmp_path):
    async with run_relay(tmp_path, routes=routes("quiet: []")) as relay:
        wake = int(relay.clock.now()) + 600
        await relay.share("i1", status="warning", snooze={"snoozed": True, "wake": wake})
        await relay.advance(500)
        assert pinged(relay) == []
        await relay.advance(200)
        assert pinged(relay) == [("S0WARN",)]
