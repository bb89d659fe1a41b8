"""What `relay backtest` says that hours and mutes would have held, and what would have been sent instead."""

from datetime import datetime

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.mutes import Mute
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.incident import State
from relay.tools.simulate import Simulation
from relay.tools.speech import Speech

ROUTES = """
version: 1
zone: Europe/Berlin
hours: {night: {from: "22:00", to: "07:00"}}
summaries: [{title: Morning, channel: C0PAY00001, at: "09:00"}]
routes:
  - name: payments
    match: {tags: {team: payments}}
    post: [{channel: C0PAY00001, quiet: [night], mention: {any: [S0PAY]}}]
  - name: web
    match: {tags: {team: web}}
    post: [{channel: C0WEB00001, hold: [night], mention: {any: [S0WEB]}}]
"""


def at(text: str) -> float:
    """Unix seconds of a time in Berlin, in winter."""
    return datetime.fromisoformat(f"2026-{text}+01:00").timestamp()


def shares(incident: str, team: str, *states: tuple[str, str]) -> list[Share]:
    made = []
    for moment, status in states:
        time = at(moment)
        ended = {"resolved": True, "active": False} if status == "ok" else {"active": True}
        body = {
            "incident": {"id": incident, "status": status, "changedOn": time, **ended},
            "incidentTags": [{"id": "team", "value": team}],
        }
        made.append(parse_share(orjson.dumps(body), {}, time))
    return made


NIGHT = [
    shares("i1", "payments", ("11-30T03:00", "warning")),
    shares("i2", "payments", ("11-30T04:00", "warning"), ("11-30T08:00", "ok")),
    shares("i3", "payments", ("11-30T05:00", "warning"), ("11-30T06:00", "ok")),
    shares("i4", "web", ("11-30T05:00", "warning")),
    shares("i5", "web", ("11-30T05:00", "critical")),
    shares("i6", "payments", ("12-01T08:00", "warning"), ("12-02T10:00", "ok")),
]
LIVE = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES))
NO_HOURS = build_configuration(
    ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES.replace("[night]", "[]"))
)


def speech_of(
    incidents: list[list[Share]], configuration: Configuration = LIVE, mutes: tuple[Mute, ...] = ()
) -> Speech:
    said = Speech()
    for each in incidents:
        simulation = Simulation(configuration, render=False, mutes=mutes).receive_all(each)
        said.add_incident(simulation, configuration.rulebook.summaries)
    return said


def test_cards_and_pings_held_at_night_are_counted_by_channel_route_and_reason():
    said = speech_of(NIGHT)
    payments, web = said.routes["C0PAY00001", "payments"], said.routes["C0WEB00001", "web"]
    assert (payments.posts, payments.pings, payments.held, payments.held_pings) == (4, 1, {}, {"quiet": 3})
    assert (web.posts, web.pings, web.held, web.held_pings) == (2, 1, {"hold": 1}, {"hold": 1})
    assert said.sentence == "6 cards, 2 pings, 1 card held (hold 1), 4 pings held (hold 1, quiet 3), 2 catch-ups"
    assert speech_of(NIGHT, NO_HOURS).sentence == "6 cards, 6 pings"
    assert not speech_of(NIGHT, NO_HOURS).holds_something


def test_one_catch_up_serves_all_incidents_of_a_channel():
    seven = at("11-30T07:00")
    assert speech_of(NIGHT).catch_ups == {"C0PAY00001": {seven: {"S0PAY"}}, "C0WEB00001": {seven: {"S0WEB"}}}


def test_a_mute_holds_new_cards_and_pings_until_it_ends():
    mute = Mute(
        match="{tags: {team: payments}}",
        start=at("11-30T02:00"),
        end=at("11-30T08:30"),
        reason="deploy",
        author="Dana",
        origin="cli",
        unless=State.CRITICAL,
    )
    said = speech_of(NIGHT, mutes=(mute,))
    row = said.routes["C0PAY00001", "payments"]
    assert (row.posts, row.pings, row.held, row.held_pings) == (2, 1, {"mute": 3}, {"mute": 3})
    assert said.catch_ups["C0PAY00001"] == {mute.end: {"S0PAY"}}


def test_a_mute_that_begins_later_is_shown_on_the_card_while_it_lasts():
    mute = Mute(
        match="", incident="i1", start=at("11-30T10:00"), end=at("11-30T11:00"), reason="x", author="Ann", origin="cli"
    )
    simulation = Simulation(LIVE, mutes=(mute,))
    simulation.receive(NIGHT[0][0])
    [edits] = {card.edits for card in simulation.cards}
    said = []
    for moment in ("11-30T09:59", "11-30T10:30", "11-30T11:30"):
        simulation.run(until=at(moment))
        [card] = simulation.cards
        said.append(
            "muted by Ann"
            in str(card.root and card.root.message.blocks) + str(card.root and card.root.message.attachments)
        )
    assert said == [False, True, False]
    assert edits == 0


def test_only_summaries_with_content_are_counted():
    said = speech_of(NIGHT)
    summaries = said.summaries(LIVE.rulebook.summaries, LIVE.rulebook.hours)
    # Open on 30 November and later: i1.
    assert summaries == {("C0PAY00001", "Morning"): [at(f"{day}T09:00") for day in ("11-30", "12-01", "12-02")]}
    only = speech_of([shares("i9", "payments", ("11-30T10:00", "warning"), ("11-30T10:30", "ok")), *NIGHT[4:5]])
    assert only.summaries(LIVE.rulebook.summaries, LIVE.rulebook.hours) == {}
    later = speech_of(
        [
            shares("i9", "payments", ("11-30T10:00", "warning"), ("11-30T10:30", "ok")),
            NIGHT[3],
            shares("i8", "web", ("12-03T08:00", "warning")),
        ]
    )
    assert later.summaries(LIVE.rulebook.summaries, LIVE.rulebook.hours) == {
        ("C0PAY00001", "Morning"): [at("12-01T09:00")]
    }


@pytest.mark.parametrize("cut", range(len(NIGHT)))
def test_partial_counts_add_up_to_the_total(cut):
    whole, parts = speech_of(NIGHT), speech_of(NIGHT[:cut])
    parts.add(speech_of(NIGHT[cut:]))
    assert parts.as_json() == whole.as_json()
    assert parts.sentence == whole.sentence
    assert parts.summaries(LIVE.rulebook.summaries, {}) == whole.summaries(LIVE.rulebook.summaries, {})
