"""Held pings: nobody is pinged in silent hours, nobody is pinged twice for one thing, and nothing is forgotten."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.attention import Surroundings
from relay.cards.holding import CatchUp, catch_up, catch_up_bulletin
from relay.cards.holds import UNKNOWN_END, HeldPing, Hold, Ping, Reason, catch_up_due
from relay.cards.model import Card, CardState, IncidentState
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.tools.simulate import SimulatedCard, Simulation
from tests.support.share_sequences import START, merge_shares

MINUTE = 60
NIGHT = (17 * MINUTE - 20, 47 * MINUTE - 20)
"""From 22:30 to 23:00 UTC, in seconds after START (22:13:20 UTC)."""
NOC = "C0NOC00001"


@lru_cache
def configuration(options: str = "quiet: [night]", mention: str = "{any: [S0ALL]}") -> Configuration:
    routes = f"""
version: 1
zone: Etc/UTC
hours:
  night: {{from: "22:30", to: "23:00"}}
  late: {{from: "22:50", to: "23:10"}}
routes:
  - name: all
    post: [{{channel: {NOC}, mention: {mention}, {options}}}]
"""
    return build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))


def share(at: float, **fields: Any) -> Share:
    metadata = {"metadata": fields.pop("metadata")} if "metadata" in fields else {}
    body = {"incident": {"id": "i1", "changedOn": int(START + at), **fields}, **metadata}
    return parse_share(orjson.dumps(body), {}, START + at)


def simulated(*shares: tuple[float, dict[str, Any]], **configured: str) -> SimulatedCard:
    simulation = Simulation(configuration(**configured), render=False)
    simulation.receive_all(share(at, **fields) for at, fields in shares)
    [card] = simulation.cards
    return card


def pings(card: SimulatedCard) -> list[tuple[int, str, tuple[str, ...]]]:
    """Every message that pinged, in order: seconds after START, what it was, whom it pinged."""
    messages = [("card", card.first), *(("reply", each) for each in card.replies)]
    sent = [(round(each.at - START), what, each.pings) for what, each in messages if each and each.pings]
    return sorted(sent + [(round(each.at - START), "catch-up", each.pings) for each in card.catch_ups])


def at_night(minutes: float = 1.0) -> float:
    return NIGHT[0] + minutes * MINUTE


RESOLVED = {"resolved": True, "active": False}
OPEN = {"resolved": False, "active": True}
WARNING, CRITICAL = {"status": "warning", **OPEN}, {"status": "critical", **OPEN}
OWNED = {"metadata": {"assignee": {"id": "u1", "name": "Ann"}}}


def test_a_first_post_in_quiet_hours_pings_nobody_until_they_end():
    card = simulated((at_night(), WARNING))
    assert pings(card) == [(NIGHT[1], "catch-up", ("S0ALL",))]
    assert card.card.held_pings == ()


def test_a_rise_to_the_unless_state_pings_at_once_and_gets_no_catch_up():
    card = simulated((at_night(), WARNING), (at_night(5), CRITICAL))
    assert pings(card) == [(at_night(5), "reply", ("S0ALL",))]


def test_hours_with_unless_never_hold_even_a_critical_incident():
    card = simulated((at_night(), CRITICAL), options="quiet: {during: [night], unless: never}")
    assert pings(card) == [(NIGHT[1], "catch-up", ("S0ALL",))]


def test_an_incident_that_reopens_in_quiet_hours_is_in_one_catch_up():
    card = simulated(
        (0, WARNING),
        (at_night(), {**WARNING, **RESOLVED}),
        (at_night(5), WARNING),
        (at_night(9), RESOLVED),
        (at_night(9.5), WARNING),
    )
    assert pings(card) == [(0, "card", ("S0ALL",)), (NIGHT[1], "catch-up", ("S0ALL",))]


def test_an_incident_resolved_before_the_hours_end_gets_no_catch_up():
    assert pings(simulated((at_night(), WARNING), (at_night(5), RESOLVED))) == []


def test_an_incident_with_an_owner_when_the_hours_end_is_named_without_a_ping():
    card = simulated((at_night(), WARNING), (at_night(5), {**WARNING, **OWNED}))
    assert pings(card) == [(NIGHT[1], "catch-up", ())]


def test_overlapping_hours_end_in_one_catch_up_at_the_last_end():
    card = simulated((at_night(), WARNING), options="quiet: [night, late]")
    assert pings(card) == [(NIGHT[1] + 10 * MINUTE, "catch-up", ("S0ALL",))]


def test_a_snooze_longer_than_the_hours_also_delays_the_catch_up():
    wake = int(START + NIGHT[1] + 30 * MINUTE)
    card = simulated((at_night(), WARNING), (at_night(5), {**WARNING, "snooze": {"snoozed": True, "wake": wake}}))
    assert pings(card) == [(wake - START, "catch-up", ("S0ALL",))]


def test_an_open_incident_that_stops_flapping_gets_a_catch_up():
    card = simulated(
        (0, CRITICAL),
        (60, RESOLVED),
        (120, {**CRITICAL, "flapping": True}),
        (300, {**CRITICAL, "flapping": False}),
        options="reopen_within: 1h",
    )
    assert pings(card) == [(0, "card", ("S0ALL",)), (300, "catch-up", ("S0ALL",))]


def test_a_second_reopening_within_half_an_hour_gets_a_catch_up_if_it_is_still_open():
    card = simulated(
        (0, CRITICAL), (60, RESOLVED), (120, CRITICAL), (180, RESOLVED), (240, CRITICAL), options="reopen_within: 1h"
    )
    expected = [(0, "card", ("S0ALL",)), (120, "reply", ("S0ALL",)), (120 + 1800, "catch-up", ("S0ALL",))]
    assert pings(card) == expected


def test_quiet_hours_also_hold_broadcasts():
    card = simulated((0, WARNING), (at_night(), RESOLVED), (at_night(5), WARNING))
    assert [reply.broadcast for reply in card.replies] == [False, False]


def test_a_held_card_is_posted_at_the_end_and_the_catch_up_pings_for_it():
    card = simulated((at_night(), WARNING), options="hold: [night]")
    assert card.first is not None
    assert round(card.first.at - START) == NIGHT[1]
    assert pings(card) == [(NIGHT[1], "catch-up", ("S0ALL",))]
    assert (card.card.held, card.card.held_pings, card.card.catch_up_due) == (None, (), None)


def test_a_held_card_that_becomes_critical_is_posted_at_once_and_pings():
    card = simulated((at_night(), WARNING), (at_night(5), CRITICAL), options="hold: [night]")
    assert pings(card) == [(at_night(5), "card", ("S0ALL",))]


def test_a_held_card_whose_incident_ends_is_never_posted_and_records_the_reason():
    card = simulated((at_night(), WARNING), (at_night(5), RESOLVED), options="hold: [night]")
    assert (card.card.state, card.card.reason, card.first, pings(card)) == (
        CardState.CANCELLED,
        "ended_while_held",
        None,
        [],
    )


def test_a_held_card_that_reopens_while_it_is_held_is_held_again():
    card = simulated((at_night(), WARNING), (at_night(5), RESOLVED), (at_night(6), WARNING), options="hold: [night]")
    assert pings(card) == [(NIGHT[1], "catch-up", ("S0ALL",))]


def test_a_card_waits_for_its_wait_and_for_its_hold():
    card = simulated((at_night(28), WARNING), options="hold: [night], wait: 5m")
    assert card.first is not None
    assert round(card.first.at - START) == at_night(33)
    assert pings(card) == [(at_night(33), "card", ("S0ALL",))]


@pytest.mark.parametrize("options", ["quiet: [night], hold: [late]", "quiet: [late], hold: [night]"])
def test_the_pings_of_a_held_card_wait_for_quiet_hours_too(options):
    card = simulated((at_night(21), WARNING), options=options)
    last = NIGHT[1] + 10 * MINUTE
    assert pings(card) == [(last, "catch-up", ("S0ALL",))]


def test_hours_that_hold_new_cards_do_not_hold_the_pings_of_one_that_is_posted_already():
    """A ping is still held when `hold` begins: it waits for what holds it, and no longer."""
    wake = int(START + at_night(10))
    asleep = {**WARNING, "snooze": {"snoozed": True, "wake": wake}}
    assert pings(simulated((at_night(-5), asleep), options="hold: [night]")) == [(wake - START, "catch-up", ("S0ALL",))]
    quiet = simulated((at_night(), WARNING), options="quiet: [night], hold: [late]")
    assert pings(quiet) == [(NIGHT[1], "catch-up", ("S0ALL",))]


@pytest.mark.parametrize("options", ["hold: [night]", "quiet: [night, late], hold: [night]"])
def test_a_ping_counts_as_held_since_its_first_hold(options):
    simulation = Simulation(configuration(options), render=False)
    for at, fields in (
        (at_night(), WARNING),
        (at_night(5), {**WARNING, **OWNED}),
        (at_night(9), {"status": "unknown"}),
    ):
        simulation.receive(share(at, **fields))
    [card] = simulation.cards
    assert [each.since for each in card.card.held_pings] == [START + at_night()]
    simulation.run(until=START + NIGHT[1])
    [card] = simulation.cards
    assert {round(since - START) for _, since, _ in card.pings_held} == {at_night()}


def test_a_worse_reopening_is_held_only_by_its_own_reasons_even_after_a_recent_ping():
    """One of two routes to the channel is quiet. Its people are pinged when the hours end, not half an hour later."""
    routes = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:30", to: "23:00"}}
routes:
  - {name: loud, continue: true, post: [{channel: C0NOC00001, mention: {any: [S0LOUD]}}]}
  - {name: calm, post: [{channel: C0NOC00001, mention: {any: [S0CALM]}, quiet: {during: [night], unless: never}}]}
"""
    configuration = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))
    simulation = Simulation(configuration, render=False)
    history = ((0, WARNING), (at_night(-5), RESOLVED), (at_night(28), CRITICAL))
    [card] = simulation.receive_all(share(at, **fields) for at, fields in history).cards
    assert pings(card) == [
        (0, "card", ("S0LOUD", "S0CALM")),
        (at_night(28), "reply", ("S0LOUD",)),
        (NIGHT[1], "catch-up", ("S0CALM",)),
    ]


def test_a_simulated_catch_up_like_a_live_one_never_pings_a_whole_channel():
    card = simulated((at_night(), WARNING), mention="{any: [S0ALL, here, channel]}")
    assert pings(card) == [(NIGHT[1], "catch-up", ("S0ALL",))]


def posted_card(number: int, *pings: HeldPing, mention: str = "S0ALL", **incident: Any) -> tuple[Card, IncidentState]:
    """A posted card with held pings, and its incident."""
    record = merge_shares(parse_share(orjson.dumps({"incident": {"id": f"i{number}", **incident}}), {}, START))
    card = Card(
        incident=f"i{number}",
        channel=NOC,
        episode=1,
        options=Options(),
        mention=Mention.of({"any": (mention,)}),
        state=CardState.POSTED,
        ts=f"{number}.1",
        slack_channel=NOC,
        held_pings=pings,
        catch_up_due=catch_up_due(pings),
    )
    return card, IncidentState(record=record, version=1)


def held(
    target: str = "S0ALL", reason: Reason = Reason.QUIET, until: float = START, ping: Ping = Ping.FIRST_POST
) -> HeldPing:
    return HeldPing(
        target=target, ping=ping, since=START - 60, hold=Hold(reason=reason, until=until), state=State.WARNING
    )


def made_up(*cards: tuple[Card, IncidentState], at: float = START) -> CatchUp:
    return catch_up(NOC, cards, Surroundings(), at)


def test_a_catch_up_names_the_people_of_each_unassigned_incident():
    made = made_up(
        posted_card(1, held(), **WARNING),
        posted_card(2, held(), **CRITICAL),
        posted_card(3, held(), status="acknowledged", **OPEN),
        posted_card(4, held(), **CRITICAL),
    )
    named = [(line.incident.id, line.targets) for line in made.lines]
    assert named == [("i1", ("S0ALL",)), ("i2", ("S0ALL",)), ("i3", ()), ("i4", ("S0ALL",))]
    assert made.targets == ("S0ALL",)


def test_a_catch_up_pings_each_target_once_and_never_a_whole_channel():
    cards = [posted_card(number, held(), held("here"), held("channel"), held("S1"), **WARNING) for number in range(5)]
    change = catch_up_bulletin(made_up(*cards), START, lambda _: False)
    assert change is not None
    assert change.bulletin.mention.all_targets == ("S0ALL", "S1")


def test_a_long_catch_up_is_cut_and_says_how_many_more_there_are():
    change = catch_up_bulletin(
        made_up(*(posted_card(number, held(), **WARNING) for number in range(300))), START, lambda _: False
    )
    assert change is not None
    assert len(change.lines) + change.bulletin.data["more"] == 300


def test_the_last_of_several_moments_counts_and_a_late_catch_up_says_so():
    made = made_up(
        posted_card(1, held(until=START - 600), **WARNING), posted_card(2, held(until=START - 400), **WARNING)
    )
    assert (made.moment, made.late) == (START - 400, True)
    assert made_up(posted_card(1, held(), **WARNING)).late is False


@pytest.mark.parametrize("reason", [Reason.SNOOZED, Reason.FLAPPING, Reason.REOPENED_LATELY])
def test_an_incident_held_by_snooze_or_flapping_is_named_only_if_it_would_ping_now(reason):
    still = posted_card(1, held(reason=reason, ping=Ping.REOPENED), **WARNING)
    owned = posted_card(2, held(reason=reason, ping=Ping.REOPENED), status="acknowledged", **OPEN)
    others = posted_card(3, held("S0GONE", reason=reason, ping=Ping.REOPENED), **WARNING)
    made = made_up(still, owned, others)
    assert [line.incident.id for line in made.lines] == ["i1"]
    assert [card.held_pings for card in made.cards] == [(), (), ()]
    assert made.cards[0].reopening_pinged_at == START


moments = st.integers(0, 90).map(lambda minutes: minutes * MINUTE)
changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["warning", "critical", "acknowledged", "unknown"]),
        "flapping": st.booleans(),
        "snooze": st.one_of(
            st.just({"snoozed": False}),
            st.integers(0, 120).map(lambda minutes: {"snoozed": True, "wake": START + minutes * MINUTE}),
        ),
        "metadata": st.sampled_from([{"assignee": None}, {"assignee": {"id": "u1", "name": "Ann"}}]),
    },
)
steps = st.tuples(moments, st.sampled_from([OPEN, OPEN, RESOLVED]), changes)
histories = st.lists(steps, min_size=1, max_size=8).map(lambda every: sorted(every, key=lambda step: step[0]))
option_sets = st.sampled_from(
    [
        "quiet: [night]",
        "quiet: [night, late]",
        "hold: [night]",
        "quiet: [late], hold: [night]",
        "quiet: {outside: [late], unless: never}, wait: 3m",
        "wait: 2m",
    ]
)


def was_owned(history):
    """Whether somebody had the incident at any time."""
    owners = [bool(changed.get("metadata", {}).get("assignee")) for _, _, changed in history]
    return any(owners) or any(changed.get("status") == "acknowledged" for _, _, changed in history)


def played(history, options):
    simulation = Simulation(configuration(options=f"{options}, reopen_within: 7d"), render=False)
    shares = [share(at, **{"status": "warning", **opened, **changed}) for at, opened, changed in history]
    return simulation.receive_all(shares)


@given(histories, option_sets)
def test_nobody_is_pinged_twice_for_one_event(history, options):
    simulation = played(history, options)
    news = [entry.at for entry in simulation.entries if entry.kind in {EntryKind.STATUS, EntryKind.REOPENED}]
    for card in simulation.cards:
        sent = [at for at, _, targets in pings(card) if targets]
        for before, after in pairwise(sent):
            assert any(before <= round(at - START) <= after for at in news), (sent, news)


@given(histories, st.sampled_from(["quiet: [night]", "quiet: {during: [night], unless: never}", "hold: [night]"]))
def test_in_silent_hours_only_excepted_states_ping(history, options):
    for card in played(history, options).cards:
        for at, _, targets in pings(card):
            if targets and NIGHT[0] <= at < NIGHT[1]:
                # The card of an incident that is posted already pings in the hours of `hold`.
                posted = card.first is not None and card.first.at < START + NIGHT[0]
                [*_, (_, _, now)] = (step for step in history if step[0] <= at)
                assert now.get("status") == "critical" or (posted and "hold" in options), at
                assert "never" not in options


@given(histories, option_sets)
def test_every_held_ping_ends_in_a_ping_or_the_incident_is_over_or_owned(history, options):
    simulation = played(history, options)
    incident = read_incident(simulation.incident_state.record)
    opened = [START + history[0][0]]
    opened += [entry.at for entry in simulation.entries if entry.kind is EntryKind.REOPENED]
    for card in simulation.cards:
        waiting = [each for each in card.card.held_pings if not each.caught_up]
        assert all(each.hold.until is None for each in waiting), "what has an end has ended"
        assert card.card.catch_up_due == (UNKNOWN_END if waiting else None)
        if incident.active and card.first is not None and not waiting and not was_owned(history):
            assert any(START + at >= opened[-1] for at, _, targets in pings(card) if targets), (opened, pings(card))


def test_an_unreadable_card_does_not_prevent_the_catch_up_of_others():
    good, (card, _) = posted_card(1, held(), **WARNING), posted_card(2, held(), **WARNING)
    made = made_up((card, None), good)
    assert [line.incident.id for line in made.lines] == ["i1"]
    [failed] = made.failed
    assert (failed.incident, failed.held_pings) == ("i2", card.held_pings)
    assert failed.catch_up_due > START
