"""Reminders, from shares to what people read in Slack. Who has an incident is known from shares here."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from relay.config.files import load_configuration
from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.mentions import pings
from relay.tools.incident import describe
from tests.delivery.test_crashes import Crash, crash_everywhere, run_lifecycle, shares
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import visible_messages
from tests.support.relay_in_process import (
    LONG_STEP,
    START,
    RelayInProcess,
    fake_workspace,
    on_one_postgresql,
    run_relay,
)

MINUTE = 60.0
REMIND = "{after: 3m, every: 5m, times: 3}"
ROUTES = """
version: 1
zone: Etc/UTC
hours:
  night: {from: "22:30", to: "23:00"}
fallback: C0NOC00001
routes:
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], reminder: [S0REMIND]}}]
    remind: REMIND
    more
"""
ANN = {"name": "Ann Lee", "email": "ann@example.com"}
BOB = {"name": "Bob", "email": "bob@example.com"}
SENDER = {"sender": {"name": "AutoShare"}}


def routes(remind: str = REMIND, more: str = "") -> str:
    return ROUTES.replace("REMIND\n", f"{remind}\n").replace("    more\n", f"    {more}\n" if more else "")


@asynccontextmanager
async def running(folder: Path, text: str = "", **more: Any) -> AsyncIterator[RelayInProcess]:
    """Relay, whose integration is known to share who has an incident."""
    async with run_relay(folder, routes=text or routes(), **more) as relay:
        await relay.share("known", status="ok", metadata={**SENDER, "assignee": ANN})
        yield relay


async def until(relay: RelayInProcess, minutes: float, *, step: float = 0.0) -> None:
    """Let time pass until so many minutes after the start, 22:13:20."""
    await relay.advance(START + minutes * MINUTE - relay.clock.now(), step=step)


async def owned(relay: RelayInProcess, by: dict[str, str] | None, incident: str = "i1") -> None:
    await relay.share(incident, status="critical", metadata={**SENDER, "assignee": by})


def replies(relay: RelayInProcess, channel: str = "all") -> list[FakeMessage]:
    there = relay.slack.channel(channel)
    unique = {each.ts: each for root in there.messages for each in there.thread(root.ts)}
    return [unique[ts] for ts in sorted(unique)]


def reminders(relay: RelayInProcess, channel: str = "all") -> list[str]:
    """The reminders in threads: the minute of each after the start, and what it says."""
    return [
        f"{round((float(each.ts) - START) / MINUTE)}: {relay.slack.text_of(each)}".replace("\u00a0", " ")
        for each in replies(relay, channel)
        if "obody has" in relay.slack.text_of(each)
    ]


def minutes(found: list[str]) -> list[int]:
    return [int(each.partition(":")[0]) for each in found]


def bundles(relay: RelayInProcess, channel: str = "all") -> list[str]:
    roots = [each for each in relay.slack.channel(channel).messages if each.thread_ts is None]
    texts = [relay.slack.text_of(each).replace("\u00a0", " ") for each in roots]
    return [text for text in texts if "obody has" in text]


async def test_an_unassigned_incident_gets_reminders_and_the_last_one_is_broadcast(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 30)
        found = reminders(relay)
        assert minutes(found) == [3, 8, 13]
        assert [f"reminder {number} of 3" in text for number, text in enumerate(found, 1)] == [True] * 3
        assert "for *8 min*" in found[1]
        sent = [each for each in replies(relay) if "obody has" in relay.slack.text_of(each)]
        assert [pings(each) for each in sent] == [("S0REMIND",)] * 3
        assert [each.broadcast for each in sent] == [False, False, True]


@pytest.mark.parametrize("dies_at", [2, pytest.param(4, marks=pytest.mark.soak), 9])
async def test_the_next_leader_continues_the_series_of_the_dead_one(tmp_path, dies_at):
    with on_one_postgresql() as common:
        async with running(tmp_path, dies=True, **common) as first:
            await owned(first, None)
            await until(first, dies_at, step=LONG_STEP)
            await first.end_lease()
        async with running(tmp_path, **common) as second:
            await until(second, 20, step=LONG_STEP)
            assert minutes(reminders(second)) == [3, 8, 13]


async def test_taking_the_incident_ends_the_series_and_losing_its_owner_begins_another(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 4)
        await owned(relay, ANN)
        await until(relay, 10)
        await owned(relay, BOB)
        await until(relay, 20)
        assert minutes(reminders(relay)) == [3]
        await owned(relay, None)
        await until(relay, 40)
        assert minutes(reminders(relay)) == [3, 23, 28, 33]
        assert "for *3 min* · reminder 1 of 3" in reminders(relay)[1]


async def test_an_incident_without_an_owner_for_less_than_a_minute_starts_no_series(tmp_path):
    async with running(tmp_path, routes("{after: 1m}")) as relay:
        await owned(relay, ANN)
        await until(relay, 3)
        await owned(relay, None)
        await until(relay, 3.9)
        await owned(relay, BOB)
        await until(relay, 10)
        assert reminders(relay) == []


async def test_reminders_held_by_silent_hours_do_not_count_and_one_follows(tmp_path):
    quiet = routes("{after: 2m, every: 5m, times: 3}", "quiet: {during: [night], unless: never}")
    async with running(tmp_path, quiet) as relay:
        await until(relay, 15)
        await owned(relay, None)
        await until(relay, 46)
        assert reminders(relay) == []
        await until(relay, 70)
        assert minutes(reminders(relay)) == [47, 52, 57]


async def test_many_reminders_at_once_become_one_message_that_lists_them(tmp_path):
    async with running(tmp_path) as relay:
        for number in range(1, 7):
            await relay.share(f"disk-{number}", status="critical")
        await owned(relay, ANN, "disk-6")
        await until(relay, 5)
        assert reminders(relay) == []
        [bundle] = bundles(relay)
        assert "Nobody has these 5 incidents" in bundle
        assert [f"disk-{number}" in bundle for number in range(1, 7)] == [True] * 5 + [False]
        assert "1 of 3" in bundle
        await until(relay, 30)
        assert len(bundles(relay)) == 3


async def test_three_reminders_at_once_go_to_their_threads(tmp_path):
    async with running(tmp_path) as relay:
        for number in range(1, 4):
            await relay.share(f"i{number}", status="critical")
        await until(relay, 5)
        assert bundles(relay) == []
        assert minutes(reminders(relay)) == [3, 3, 3]


async def test_no_reminder_is_sent_without_bigpanda_and_without_assignments_in_shares(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        with structlog.testing.capture_logs() as lines:
            await relay.share("i1", status="critical", metadata={**SENDER})
            await until(relay, 20)
        assert reminders(relay) == []
        [line] = [line for line in lines if line["event"] == "reminders_blocked"]
        assert (line["log_level"], line["reason"]) == ("error", "no_access")
        await owned(relay, ANN, "other")  # now it is known that this integration shares assignments
        await until(relay, 25)
        assert len(reminders(relay)) == 1


async def test_a_resolved_incident_gets_no_reminder_and_a_reopened_one_a_new_series(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 4)
        await relay.share("i1", status="ok", resolved=True, active=False)
        await until(relay, 20)
        assert minutes(reminders(relay)) == [3]
        await relay.share("i1", status="critical", resolved=False, active=True)
        await until(relay, 50)
        assert minutes(reminders(relay)) == [3, 23, 28, 33]


async def test_a_series_pauses_while_the_state_is_below_the_routes_state(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 4)
        await relay.share("i1", status="warning")
        await until(relay, 20)
        assert minutes(reminders(relay)) == [3]
        await relay.share("i1", status="critical")
        await until(relay, 40)
        assert minutes(reminders(relay)) == [3, 20, 25]
        assert "reminder 2 of 3" in reminders(relay)[1]


async def test_the_card_of_an_escalation_says_why_it_is_there(tmp_path):
    then = "{after: 3m, every: 5m, times: 2, then: {channel: C0DB000001, mention: {any: [S0MANAGERS]}}}"
    async with running(tmp_path, routes(then)) as relay:
        await owned(relay, None)
        await until(relay, 12)
        assert relay.slack.channel("db").messages == []
        await until(relay, 20)
        [card] = relay.slack.channel("db").messages
        assert "escalated from #all, where nobody had taken it by" in relay.slack.text_of(card)
        assert pings(card) == ("S0MANAGERS",)
        assert minutes(reminders(relay)) == [3, 8]
        await owned(relay, ANN)
        await relay.advance(60)
        assert "assigned to *Ann Lee*" in relay.slack.text_of(relay.slack.channel("db").messages[0])
        await owned(relay, None)
        await until(relay, 50)
        [again] = reminders(relay, "db")
        assert "Still nobody has this" in again


async def test_the_history_of_an_incident_shows_its_next_reminder(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 4)
        history = await relay.store.incident_history("i1")
        lines = [line.strip() for line in describe(history, lambda _channel, _ts: "")]
        assert "reminders: 2 of 3, due 2023-11-14 22:21:20Z" in lines


async def test_a_delayed_reminder_does_not_ping_if_somebody_has_the_incident_by_then(tmp_path):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 1)
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", times=None))
        await until(relay, 4)
        await owned(relay, ANN)
        relay.slack.faults.clear()
        await until(relay, 20)
        assert reminders(relay) == []
        assert [pings(each) for each in replies(relay)] == [()]


async def test_a_relay_that_was_down_sends_one_late_reminder(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with running(tmp_path, clock=clock, slack=slack) as relay:
        await owned(relay, None)
        await until(relay, 2)
    clock.advance(100 * MINUTE)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await until(relay, 106)
        assert minutes(reminders(relay)) == [102]
        await until(relay, 130)
        assert minutes(reminders(relay)) == [102, 107, 112]


@pytest.mark.parametrize("edited", ["{after: 3m}", "off"])
async def test_a_reload_that_shortens_or_removes_a_series_ends_it(tmp_path, edited):
    async with running(tmp_path) as relay:
        await owned(relay, None)
        await until(relay, 9)
        await edit(relay, tmp_path, routes(edited))
        await until(relay, 30)
        assert minutes(reminders(relay)) == [3, 8]


async def test_a_reload_that_adds_reminders_pings_nobody_at_once(tmp_path):
    async with running(tmp_path, routes("off")) as relay:
        await owned(relay, None)
        await until(relay, 10)
        await edit(relay, tmp_path, routes())
        await until(relay, 40)
        assert minutes(reminders(relay)) == [13, 18, 23]


async def edit(relay: RelayInProcess, folder: Path, text: str) -> None:
    """Edit routes.yaml while relay runs."""
    (folder / "routes.yaml").write_text(text)
    configuration = load_configuration(folder / "routes.yaml", folder / "templates")
    relay.delivery._shared.live = lambda: configuration
    relay.delivery.wake(everything=True)
    await relay.settle()


# --- crashes ---


class RemindingCrash(Crash):
    """Counts each decision about reminders, too."""

    def install(self, relay):
        super().install(relay)
        remind_next = relay.store.remind_next

        async def effect(*arguments, **named):
            await self._alive()
            made = await remind_next(*arguments, **named)
            if made is not None and made.cards:
                await self._crash_at(self._count())
            await self._alive()
            return made

        relay.store.remind_next = effect


LIFE = [
    shares({"status": "ok", "metadata": {**SENDER, "assignee": ANN}}),
    lambda relay: relay.share("i2", status="critical"),
    lambda relay: relay.share("i2", description="nobody has it still"),
    lambda relay: owned(relay, BOB, "i2"),
]
LIFE_ROUTES = routes("{after: 2m, every: 2m, times: 2, then: {channel: C0DB000001}}")


def seen(relay: RelayInProcess):
    """What people read, but for how long nobody has had it: a search for a lost answer takes a while."""
    found = visible_messages(relay, "all", "noc", "db")
    return {
        channel: [(root, [re.sub(r" for \*[^*]*\*", "", text) for text in thread]) for root, thread in roots]
        for channel, roots in found.items()
    }


async def test_without_a_crash_there_are_two_reminders_and_a_card_in_the_other_channel(tmp_path):
    _, found = await run_lifecycle(tmp_path, RemindingCrash(0, after=True), LIFE, routes=LIFE_ROUTES, read=seen)
    texts = [text for _, replies in found["all"] for text in replies]
    assert sum("obody has" in text for text in texts) == 2
    assert len(found["db"]) == 1


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_at_any_effect_loses_and_repeats_no_reminder(tmp_path, after):
    expected, effects = await crash_everywhere(
        tmp_path, LIFE, after=after, crash=RemindingCrash, routes=LIFE_ROUTES, read=seen
    )
    assert len(expected["db"]) == 1
    assert effects > 20


@pytest.mark.parametrize("nth", [9, 12, 15])
async def test_a_crash_during_a_reminder_loses_and_repeats_none(tmp_path, nth):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    expected = await run_lifecycle(
        tmp_path / "whole", RemindingCrash(0, after=True), LIFE, routes=LIFE_ROUTES, read=seen
    )
    crashed = await run_lifecycle(
        tmp_path / "cut", RemindingCrash(nth, after=True), LIFE, routes=LIFE_ROUTES, read=seen
    )
    assert crashed == (True, expected[1])
