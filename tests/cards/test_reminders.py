"""Reminders in simulated time: whatever happens, people are reminded of what nobody has, and of nothing else."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.attention import Surroundings
from relay.cards.model import CardState, Channel, ChannelState
from relay.cards.notices import is_escalated
from relay.cards.reminding import LOOK_AGAIN_AFTER, DueReminder, remind
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.record import Block
from relay.model.struct import replace
from relay.tools.simulate import SimulatedCard, Simulation
from tests.support.share_sequences import START

MINUTE = 60
AFTER, EVERY, TIMES = 3, 5, 3
NIGHT = (17 * MINUTE - 20, 47 * MINUTE - 20)
"""From 22:30 to 23:00 UTC, in seconds after START (22:13:20 UTC)."""
ANN = {"name": "Ann Lee", "email": "ann@example.com"}
MANAGERS = "C0MANAGERS1"


@cache
def configuration(remind: str = "") -> Configuration:
    routes = f"""
version: 1
zone: Etc/UTC
hours:
  night: {{from: "22:30", to: "23:00"}}
defaults: {{quiet: {{during: [night], unless: never}}, hold: [night]}}
routes:
  - name: all
    post: [{{channel: C0NOC00001, mention: {{any: [S0ALL]}}}}]
    remind: {remind or f"{{after: {AFTER}m, every: {EVERY}m, times: {TIMES}, then: {{channel: {MANAGERS}}}}}"}
"""
    return build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))


@dataclass(frozen=True)
class Moment:
    """How the incident is from `at` (seconds after START) on."""

    at: float
    state: State
    owned: bool
    snoozed: bool

    @property
    def is_unattended(self) -> bool:
        return self.state is State.CRITICAL and not self.owned

    @property
    def is_free(self) -> bool:
        return self.state is not State.RESOLVED and not self.owned


def shares(moments: list[Moment]) -> list[Any]:
    bodies = []
    for each in moments:
        open_ = each.state is not State.RESOLVED
        incident = {
            "id": "i1",
            "status": str(each.state) if open_ else "ok",
            "resolved": not open_,
            "active": open_,
            "changedOn": int(START + each.at),
            "snooze": {"snoozed": each.snoozed},
        }
        bodies.append((each.at, {"incident": incident, "metadata": {"assignee": ANN if each.owned else None}}))
    return [parse_share(orjson.dumps(body), {}, START + at) for at, body in bodies]


def simulated(moments: list[Moment], until: float, remind: str = "") -> Simulation:
    simulation = Simulation(configuration(remind), render=False)
    for share in shares(moments):
        simulation.receive(share)
    simulation.run(START + until)
    return simulation


def reminded(card: SimulatedCard) -> list[tuple[float, dict[str, Any]]]:
    """The reminders in the thread: seconds after START, and the data of each."""
    return [
        (reply.at - START, dict(entry.data))
        for reply in card.replies
        for entry in reply.entries
        if entry.kind is EntryKind.REMINDER
    ]


def is_quiet(at: float) -> bool:
    return NIGHT[0] <= at % 86_400 < NIGHT[1]


changes = st.tuples(
    st.integers(1, 1_500), st.sampled_from(["take", "release", "critical", "warning", "resolve", "snooze", "wake"])
)


@st.composite
def lives(draw) -> list[Moment]:
    moments = [Moment(0.0, State.CRITICAL, owned=False, snoozed=False)]
    for gap, what in draw(st.lists(changes, max_size=12)):
        last = moments[-1]
        state = {"critical": State.CRITICAL, "warning": State.WARNING, "resolve": State.RESOLVED}.get(what, last.state)
        owned = {"take": True, "release": False}.get(what, last.owned)
        snoozed = {"snooze": True, "wake": False}.get(what, last.snoozed)
        moments.append(Moment(last.at + gap, state, owned=owned, snoozed=snoozed))
    return moments


def at(moments: list[Moment], when: float) -> Moment:
    return [each for each in moments if each.at <= when][-1]


@given(lives())
def test_people_are_reminded_of_unassigned_incidents_and_of_nothing_else(moments):
    until = moments[-1].at + 3_600
    simulation = simulated(moments, until)
    noc = [card for card in simulation.cards if card.card.channel != MANAGERS]
    found = [each for card in noc for each in reminded(card)]
    for when, _ in found:
        now = at(moments, when)
        assert now.is_unattended
        assert not now.snoozed
        assert not is_quiet(when)
    assert all(later - earlier >= AFTER * MINUTE for (earlier, _), (later, _) in pairwise(found))
    for begin, end in free_periods(moments, until):
        numbers = [data["number"] for when, data in found if begin <= when < end]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) <= TIMES
    told = [card for card in simulation.cards if card.card.channel == MANAGERS]
    assert len(told) <= len({card.card.episode for card in noc})
    assert all(is_escalated(card.card.notices) for card in told)
    assert len(told) <= sum(data["number"] == TIMES for _, data in found)


def free_periods(moments: list[Moment], until: float) -> list[tuple[float, float]]:
    """The times in which the incident is open and nobody has it: each has one series."""
    periods: list[tuple[float, float]] = []
    for each, after in zip(moments, [*(each.at for each in moments[1:]), until], strict=True):
        if each.is_free and periods and periods[-1][1] == each.at:
            periods[-1] = (periods[-1][0], after)
        elif each.is_free:
            periods.append((each.at, after))
    return periods


@given(st.integers(0, 86_400 // 60))
def test_an_incident_that_nobody_takes_gets_every_reminder_and_then_one_card(begin):
    moments = [Moment(begin * 60.0, State.CRITICAL, owned=False, snoozed=False)]
    simulation = simulated(moments, begin * 60 + 3 * 3_600)
    first, then = simulation.cards
    assert [data["number"] for _, data in reminded(first)] == [1, 2, 3]
    assert [data["last"] for _, data in reminded(first)] == [False, False, True]
    assert (then.card.state, then.card.channel, then.card.options.remind.times) == (CardState.POSTED, MANAGERS, 0)


def test_the_moments_are_computed_from_each_other_and_do_not_drift():
    moments = [Moment(7 * 3_600.0, State.CRITICAL, owned=False, snoozed=False)]
    [first, *_] = simulated(moments, 10 * 3_600, "{after: 90s, every: 90s, times: 20}").cards
    found = reminded(first)
    assert [when - moments[0].at for when, _ in found] == [90.0 * number for number in range(1, 21)]


def test_a_rise_that_pings_is_the_moment_from_which_the_next_reminder_counts():
    remind = "{after: 10m, every: 10m, times: 2, state: warning}"
    moments = [
        Moment(7 * 3_600.0, State.WARNING, owned=False, snoozed=False),
        Moment(7 * 3_600.0 + 15 * MINUTE, State.CRITICAL, owned=False, snoozed=False),
    ]
    [first] = simulated(moments, 9 * 3_600, remind).cards
    assert [(when - moments[0].at) / MINUTE for when, _ in reminded(first)] == [10, 25]


@pytest.mark.parametrize("remind", ["off", "{after: 5m, state: warning}"])
def test_a_later_reply_reports_no_reminder_if_somebody_has_the_incident_by_then(remind):
    moments = [Moment(7 * 3_600.0, State.CRITICAL, owned=True, snoozed=False)]
    [first] = simulated(moments, 9 * 3_600, remind).cards
    assert reminded(first) == []


def test_an_unreadable_card_does_not_prevent_reminders_of_others():
    moments = [Moment(7 * 3_600.0, State.CRITICAL, owned=False, snoozed=False)]
    simulation = simulated(moments, 7 * 3_600 + 60)
    [simulated_card] = simulation.cards
    card, state, now = simulated_card.card, simulation.incident_state, START + moments[0].at + AFTER * MINUTE
    broken = replace(state, record=replace(state.record, blocks={"state": Block(as_of=now, value={"status": 7})}))
    channel = Channel(ref=card.channel, slack_id=card.channel, state=ChannelState.OPEN)
    due = [
        DueReminder(card=card, state=state, cards=(card,), shares_assignments=True),
        DueReminder(card=replace(card, id=99), state=broken, shares_assignments=True),
    ]
    made = remind(channel, due, Surroundings(), now, can_ask=False)
    assert [(sent.card.id, sent.number) for sent in made.sent] == [(card.id, 1)]
    assert [(failed.id, failed.reminder_due) for failed in made.failed] == [(99, now + LOOK_AGAIN_AFTER)]


def test_a_route_that_mentions_nobody_has_reminders_that_ping_nobody():
    routes = """
version: 1
routes: [{name: all, post: [C0NOC00001], remind: {after: 3m}}]
"""
    quiet = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))
    simulation = Simulation(quiet, render=False).receive_all(
        shares([Moment(0.0, State.CRITICAL, owned=False, snoozed=False)])
    )
    [card] = simulation.cards
    assert ([when for when, _ in reminded(card)], card.pings) == ([AFTER * MINUTE], ())


def test_then_in_the_cards_own_channel_pings_once_per_series_in_its_thread():
    remind = "{after: 3m, then: {channel: C0NOC00001, mention: {any: [S0MANAGERS]}}}"
    moments = [
        Moment(7 * 3_600.0, State.CRITICAL, owned=False, snoozed=False),
        Moment(7 * 3_600.0 + 20 * MINUTE, State.WARNING, owned=False, snoozed=False),
        Moment(7 * 3_600.0 + 21 * MINUTE, State.CRITICAL, owned=False, snoozed=False),
    ]
    [card] = simulated(moments, 9 * 3_600, remind).cards
    assert [bool(data.get("escalated")) for _, data in reminded(card)] == [False, True]
    assert card.pings == (("S0ALL",), ("S0ALL",), ("S0MANAGERS",))


def test_the_card_of_an_escalation_has_no_silent_hours_no_storm_no_buttons_and_no_reminders():
    moments = [Moment(7 * 3_600.0, State.CRITICAL, owned=False, snoozed=False)]
    _, then = simulated(
        moments, 9 * 3_600, f"{{after: 3m, then: {{channel: {MANAGERS}, mention: {{any: [S0BOSS]}}}}}}"
    ).cards
    assert then.pings == (("S0BOSS",),)
    options = then.card.options
    assert (bool(options.quiet), bool(options.hold), options.storm, options.actions) == (False, False, False, ())
    assert not options.remind
