"""Routes in shadow: relay records their effect, and they never affect live routes."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.cards.model import CardState
from relay.cards.notices import NO_PING
from relay.model.incident import State
from relay.model.struct import replace
from relay.routes.evaluate import RouteOutcome, evaluate_routes
from relay.routes.parser.parse import parse_rulebook
from relay.routes.route import RouteList
from relay.routes.rulebook import Rulebook
from relay.tools.check.command import check_routes
from relay.tools.schema import schema
from tests.support.routing_samples import incident
from tests.support.share_sequences import ShareSequence, alert, share

TOP = "version: 1\nfallback: {channel: C0NOC00001, mention: {any: [here]}}\nroutes:\n"
TEAM = "match: {tags: {team: database}}"
SHADOW_FIRST = f"""{TOP}
  - {{name: new, {TEAM}, shadow: true, post: [{{channel: C0NEW00001, mention: {{critical: [S0NEW]}}}}]}}
  - {{name: old, {TEAM}, post: [{{channel: C0OLD00001, mention: {{critical: [S0OLD]}}}}]}}
"""
NEW_ALONE = f"""{TOP}
  - {{name: new, {TEAM}, shadow: true, post: [{{channel: C0NEW00001, mention: {{critical: [S0NEW]}}}}]}}
"""


def database(at: float = 0, **fields):
    fields = {"status": "critical", "alerts": [alert()], **fields}
    return share(at, incidentTags=[{"id": "team", "value": "database"}], **fields)


def sequence(routes: str) -> ShareSequence:
    return ShareSequence(rulebook=parse_rulebook(routes))


def with_live(routes: str) -> Rulebook:
    return parse_rulebook(routes.replace("shadow: true, ", ""))


def test_a_route_in_shadow_does_not_end_the_evaluation_and_its_effect_is_recorded():
    planned = sequence(SHADOW_FIRST).add(database())
    assert [card.channel for card in planned.cards] == ["C0OLD00001"]
    assert planned.routes == ("old",)
    assert planned.decision["shadow"] == {
        "routes": ["new"],
        "cards": [{"channel": "C0NEW00001", "routes": ["new"], "pings": ["S0NEW"], "new": True}],
    }


def test_an_incident_that_only_a_route_in_shadow_matches_goes_to_the_fallback():
    planned = sequence(NEW_ALONE).add(database())
    assert [(card.channel, card.route) for card in planned.cards] == [("C0NOC00001", "")]
    assert planned.outcome == "first"


def test_a_route_in_shadow_adds_nothing_to_a_live_card_in_its_channel():
    routes = f"""{TOP}
  - {{name: new, {TEAM}, shadow: true, actions: [resolve], post: [{{channel: C0OLD00001, mention: {{any: [S0NEW]}}}}]}}
  - {{name: old, {TEAM}, post: [{{channel: C0OLD00001, mention: {{any: [S0OLD]}}}}]}}
"""
    [card] = sequence(routes).add(database()).cards
    assert (card.route, card.options.actions, card.mention.all_targets) == ("old", (), ("S0OLD",))


def test_one_item_of_post_can_be_in_shadow():
    routes = f"""{TOP}
  - {{name: both, {TEAM}, post: [C0OLD00001, {{channel: C0NEW00001, shadow: true}}]}}
"""
    planned = sequence(routes).add(database())
    assert [card.channel for card in planned.cards] == ["C0OLD00001"]
    assert [each["channel"] for each in planned.decision["shadow"]["cards"]] == ["C0NEW00001"]


def test_a_route_in_shadow_drops_nothing():
    routes = f"{TOP}\n  - {{name: drop, {TEAM}, shadow: true, post: []}}\n"
    planned = sequence(routes).add(database())
    assert [card.channel for card in planned.cards] == ["C0NOC00001"]
    assert planned.decision["shadow"] == {"routes": ["drop"], "cards": []}


def test_with_defaults_in_shadow_nothing_is_posted_not_even_to_the_fallback():
    routes = SHADOW_FIRST.replace("shadow: true, ", "").replace("version: 1", "version: 1\ndefaults: {shadow: true}")
    played = sequence(routes)
    assert played.add(database()).cards == ()
    assert played.add(share(5, id="i1", status="critical", alerts=[alert()])).cards == ()


def test_a_parent_whose_children_are_all_in_shadow_matches_itself():
    routes = f"""{TOP}
  - name: parent
    {TEAM}
    post: [C0OLD00001]
    routes:
      - {{name: child, shadow: true, post: [C0NEW00001]}}
"""
    decision = evaluate_routes(
        parse_rulebook(routes), incident(tags={"team": ["database"]}), variables=dict[str, object]
    )
    assert decision.routes == ("parent",)
    outcomes = {each.route: each.outcome for each in decision.trace}
    assert outcomes == {"parent": RouteOutcome.MATCHED, "child": RouteOutcome.SHADOW}


def test_a_route_switched_on_gets_a_late_card_that_pings_nobody():
    """The others were never in shadow: their cards ping as ever."""
    played = sequence(SHADOW_FIRST)
    played.add(database())
    played.rulebook = with_live(SHADOW_FIRST.replace("shadow: true, ", "continue: true, "))
    [card] = [each for each in played.add(database(60)).cards if each.channel == "C0NEW00001"]
    assert NO_PING in card.notices
    assert not card.post.urgent  # it delays no card of a new incident
    assert played.incident_state.record.shadows == ()


def test_the_card_of_another_route_in_that_channel_is_not_late():
    routes = f"""{TOP}
  - {{name: new, {TEAM}, shadow: true, post: [C0OLD00001]}}
  - {{name: old, match: {{status: critical}}, post: [{{channel: C0OLD00001, mention: {{any: [S0OLD]}}}}]}}
"""
    played = sequence(routes)
    played.add(database(status="warning"))
    [card] = [each for each in played.add(database(60)).cards if each.channel == "C0OLD00001"]
    assert NO_PING not in card.notices


def test_a_route_inside_a_route_in_shadow_replaces_it_in_shadow_too():
    routes = f"{TOP}\n  - {{name: a, shadow: true, post: [C0A0000001], routes: [{{name: b, post: [C0B0000001]}}]}}\n"
    assert sequence(routes).add(database()).decision["shadow"]["routes"] == ["b"]


def test_a_card_for_an_incident_that_reopens_is_not_late():
    played = sequence(NEW_ALONE.replace("fallback: {channel: C0NOC00001, mention: {any: [here]}}\n", ""))
    played.add(database())
    played.add(database(60, status="ok", resolved=True, active=False))
    assert played.incident_state.record.shadows == ()
    played.rulebook = with_live(NEW_ALONE)
    [card] = [each for each in played.add(database(120, resolved=False, active=True)).cards if each.route]
    assert NO_PING not in card.notices


def test_a_later_episode_is_not_late():
    played = sequence(SHADOW_FIRST)
    played.add(database())
    played.post_card("C0OLD00001")
    played.add(database(60, status="ok", resolved=True, active=False))
    played.post_card("C0OLD00001")
    played.rulebook = with_live(SHADOW_FIRST.replace("shadow: true, ", "continue: true, "))
    later = database(60 + 2 * 86400, resolved=False, active=True)
    cards = {card.channel: card for card in played.add(later).cards if card.episode == 2}
    assert cards.keys() == {"C0NEW00001", "C0OLD00001"}
    assert NO_PING not in cards["C0NEW00001"].notices


def test_in_a_route_switched_to_shadow_posted_cards_are_updated_and_waiting_ones_are_not_posted():
    live = with_live(NEW_ALONE)
    for posted, state in ((True, CardState.POSTED), (False, CardState.CANCELLED)):
        played = ShareSequence(rulebook=live)
        played.add(database(status="warning"))
        if posted:
            played.post_card("C0NEW00001")
        played.rulebook = parse_rulebook(NEW_ALONE)
        played.add(database(60))
        card = played.cards["C0NEW00001", 1]
        assert (card.state, bool(card.mention)) == (state, False)
        assert played.incident_state.record.shadows == (() if posted else (("C0NEW00001", "new"),))
        played.rulebook = live
        played.add(database(70))
        card = played.cards["C0NEW00001", 1]
        assert (bool(card.mention), card.state is CardState.POSTED) == (True, posted)
        assert (NO_PING in card.notices) is not posted


# --- nothing live depends on what is in shadow ---

SHARES = [
    database(0, status="warning"),
    database(10, status="critical"),
    share(20, status="critical", alerts=[alert()]),
    database(30, status="ok", resolved=True, active=False),
    database(40, resolved=False, active=True),
]
CHANNELS = st.sampled_from(["C0A0000001", "C0B0000001", "C0NOC00001", "#x-{{ tags.team }}"])
POSTS = st.lists(
    st.fixed_dictionaries({"channel": CHANNELS}, optional={"shadow": st.booleans(), "wait": st.just("1m")}), max_size=2
)
MATCHES = st.sampled_from(
    [{}, {"tags": {"team": "database"}}, {"status": "critical"}, {"severity": {"min": "warning"}}]
)


@st.composite
def routes(draw, depth: int = 2, prefix: str = "r") -> list[dict]:
    found = []
    for number in range(draw(st.integers(1, 3))):
        name = f"{prefix}{number}"
        route = {"name": name, "match": draw(MATCHES), "continue": draw(st.booleans())}
        inside = draw(routes(depth - 1, f"{name}-")) if depth and draw(st.booleans()) else []
        if not inside or draw(st.booleans()):
            route["post"] = draw(POSTS)
        if draw(st.booleans()):
            route["shadow"] = draw(st.booleans())
        found.append({**route, **({"routes": inside} if inside else {})})
    return found


def without_shadow(routes: RouteList) -> RouteList:
    """The same routes, as if nobody had written what is in shadow."""
    return RouteList(
        replace(each, posts=each.live_posts, groups_only=each.groups_only or each.is_shadow, routes=inside)
        for each in routes
        if (inside := without_shadow(each.routes)) or not (each.groups_only or each.is_shadow)
    )


TWICE = [{"channel": "C0A0000001", "shadow": True}, {"channel": "C0A0000001"}]


@given(routes())
@example([{"name": "r0", "match": {"status": "critical"}, "post": TWICE}])
def test_routes_in_shadow_never_change_anything_live(written):
    text = json.dumps({"version": 1, "fallback": {"channel": "C0NOC00001"}, "routes": written})
    with_it = ShareSequence(rulebook=parse_rulebook(text))
    rulebook = with_it.rulebook
    without = ShareSequence(rulebook=replace(rulebook, routes=without_shadow(rulebook.routes)))
    for each in SHARES:
        one, other = with_it.add(each), without.add(each)
        record = replace(one.incident_state.record, shadows=())
        decision = {key: value for key, value in one.decision.items() if key != "shadow"}
        assert replace(one, incident_state=replace(one.incident_state, record=record), decision=decision) == other


# --- check, schema ---


def test_a_route_in_shadow_hides_no_later_route_and_joins_no_channel():
    routes = f"{TOP}\n  - {{name: new, shadow: true, post: [C0NEW00001]}}\n  - {{name: rest, post: [C0OLD00001]}}\n"
    rulebook, findings = check_routes(routes, "routes.yaml", ["incident"])
    assert findings == []
    assert rulebook.channel_refs == ("C0NOC00001", "C0OLD00001")
    assert rulebook.with_shadow_live().channel_refs == ("C0NOC00001", "C0NEW00001", "C0OLD00001")


@pytest.mark.parametrize("part", ["defaults", "route"])
def test_the_schema_contains_the_option(part):
    assert schema()["$defs"][part]["properties"]["shadow"]["type"] == "boolean"


def test_a_route_in_shadow_records_whom_its_first_post_would_ping():
    planned = sequence(SHADOW_FIRST).add(database(status="warning"))
    assert planned.incident_state.state is State.WARNING
    assert planned.decision["shadow"]["cards"][0]["pings"] == []
