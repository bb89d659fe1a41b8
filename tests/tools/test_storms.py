"""What a storm setting would have held, for new cards at given moments."""

from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.storms import allowance
from relay.config.files import ConfigurationFiles, build_configuration
from relay.routes.parser.parse import parse_rulebook
from relay.tools.simulate import Simulation
from relay.tools.storms import FirstPost, first_posts, held_by_storms

RULEBOOK = parse_rulebook(
    """
version: 1
storm: {over: 3, within: 5m}
channels: {quiet: {id: C0QUIET001, storm: off}}
routes: [{name: all, post: [C0ALL00001, quiet]}]
"""
)


def post(at, *, channel="C0ALL00001", critical=False, group=""):
    return FirstPost(at=float(at), incident=f"i{at}", channel=channel, group=group, critical=critical)


def test_cards_beyond_the_limit_are_held():
    [storm] = held_by_storms([post(at) for at in range(10)], RULEBOOK)
    assert (storm.began, storm.last, storm.held, storm.critical) == (3.0, 9.0, 7, 0)


def test_a_channel_with_storm_off_has_no_storm():
    assert held_by_storms([post(at, channel="C0QUIET001") for at in range(100)], RULEBOOK) == []


def test_two_bursts_an_hour_apart_are_two_storms():
    posts = [post(start + at) for start in (0, 3600) for at in range(5)]
    assert [storm.held for storm in held_by_storms(posts, RULEBOOK)] == [2, 2]


def test_a_held_critical_incident_gets_the_next_free_place():
    posts = [post(0), post(1), post(2), post(3, critical=True), post(301)]
    [storm] = held_by_storms(posts, RULEBOOK)
    assert (storm.held, storm.critical) == (1, 1), (
        "at 300 the critical one was posted, at 301 there was room for another"
    )


@given(st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=60, unique_by=lambda each: each[0]))
def test_posted_cards_stay_within_the_limit_and_nothing_is_counted_twice(moments):
    posts = [post(at, critical=critical) for at, critical in moments]
    storms = held_by_storms(posts, RULEBOOK)
    held = sum(storm.held for storm in storms)
    assert 0 <= held <= len(posts)
    if len(posts) <= 3:
        assert held == 0
    spread = max((at for at, _ in moments), default=0)
    most = allowance(RULEBOOK.storm, reserve=True) * (spread // 300 + 1)
    assert len(posts) - held <= most


def test_a_card_released_from_hold_does_not_count():
    routes = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:00", to: "07:00"}}
routes: [{name: all, post: [{channel: C0ALL00001, hold: [night]}]}]
"""
    configuration = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))

    def counted_at(hour: int) -> int:
        at = datetime(2026, 11, 30, hour, tzinfo=UTC).timestamp()
        share = parse_share(orjson.dumps({"incident": {"id": "i1", "status": "warning", "changedOn": at}}), {}, at)
        simulation = Simulation(configuration, render=False).receive_all([share])
        assert all(card.first for card in simulation.cards)
        return len(list(first_posts(simulation, configuration.rulebook)))

    assert (counted_at(3), counted_at(12)) == (0, 1)
