"""Which routes take an incident, in which order, to which channels, and what the trace says of it."""

import pytest

from relay.model.incident import State
from relay.routes.evaluate import RouteOutcome, RoutingDecision, evaluate_routes
from tests.support.routing_samples import incident, rulebook

CHILD = """
- name: databases
  match: {tags: {team: database}}
  post: ["#db-oncall"]
  routes:
    - name: databases-staging
      match: {environment: "/(?i)stag.*/"}
      post: ["#staging"]
- name: rest
  post: ["#noc"]
"""


def decided(routes: str, shared=None, top: str = "", variables=None) -> RoutingDecision:
    return evaluate_routes(rulebook(routes, top), shared or incident(), variables=lambda: variables or {})


def where(decision: RoutingDecision) -> list[str]:
    return [posting.ref for posting in decision.postings]


def outcomes(decision: RoutingDecision) -> dict[str, str]:
    return {trace.route: trace.outcome for trace in decision.trace}


def test_the_first_sibling_that_holds_takes_it_and_the_walk_stops():
    decision = decided(CHILD, incident(tags={"team": ["database"]}))
    assert where(decision) == ["#db-oncall"]
    assert decision.routes == ("databases",)


def test_a_child_takes_it_instead_of_its_parent():
    decision = decided(CHILD, incident(tags={"team": ["database"]}, environments=[("STAGING", "")]))
    assert where(decision) == ["#staging"]
    assert decision.routes == ("databases-staging",)


def test_a_route_that_does_not_hold_leaves_it_to_its_siblings():
    assert where(decided(CHILD)) == ["#noc"]


def test_continue_goes_on_to_the_next_sibling_only():
    routes = """
    - {name: a, continue: true, post: ["#a"]}
    - {name: b, post: ["#b"]}
    - {name: c, post: ["#c"]}
    """
    assert where(decided(routes)) == ["#a", "#b"]


def test_continue_of_a_parent_counts_when_its_child_took_it():
    routes = """
    - name: parent
      continue: true
      post: ["#parent"]
      routes: [{name: child, post: ["#child"]}]
    - {name: next, post: ["#next"]}
    """
    assert where(decided(routes)) == ["#child", "#next"]


def test_continue_of_a_child_stays_within_its_parent():
    routes = """
    - name: parent
      post: ["#parent"]
      routes:
        - {name: first, continue: true, post: ["#first"]}
        - {name: second, continue: true, post: ["#second"]}
    - {name: next, post: ["#next"]}
    """
    assert where(decided(routes)) == ["#first", "#second"]


def test_a_group_whose_children_do_not_take_it_is_passed_by():
    routes = """
    - name: group
      routes: [{name: child, match: {status: warning}, post: ["#child"]}]
    - {name: next, post: ["#next"]}
    """
    decision = decided(routes)
    assert where(decision) == ["#next"]
    assert outcomes(decision) == {"group": "passed_by", "child": "no_match", "next": "took"}


def test_an_empty_post_takes_it_and_drops_it_by_name():
    decision = decided("- {name: noise, post: []}\n- {name: rest, post: ['#noc']}")
    assert decision.matched
    assert decision.postings == ()
    assert decision.dropped == ("noise",)
    assert outcomes(decision) == {"noise": "dropped", "rest": "not_reached"}


def test_of_several_that_took_it_only_those_without_a_channel_dropped_it():
    decision = decided('- {name: noise, post: [], continue: true}\n- {name: rest, post: ["#noc"]}\n')
    assert (decision.routes, decision.dropped) == (("noise", "rest"), ("noise",))


def test_whatever_stands_inside_a_route_that_does_not_hold_is_not_entered():
    deep = """
- name: top
  match: {status: resolved}
  routes:
    - {name: middle, routes: [{name: below, post: ["#noc"]}]}
"""
    assert outcomes(decided(deep)) == {"top": "no_match", "middle": "not_entered", "below": "not_entered"}


def test_a_child_that_drops_it_does_so_instead_of_its_parent():
    routes = "- {name: parent, post: ['#parent'], routes: [{name: noise, match: {status: critical}, post: []}]}"
    decision = decided(routes)
    assert (where(decision), decision.routes, decision.dropped) == ([], ("noise",), ("noise",))


def test_a_disabled_route_is_not_there_and_neither_is_what_is_in_it():
    routes = """
    - {name: off, enabled: false, post: ["#off"], routes: [{name: inside, post: ["#inside"]}]}
    - {name: "on", post: ["#on"]}
    """
    decision = decided(routes)
    assert where(decision) == ["#on"]
    assert outcomes(decision) == {"off": "disabled", "inside": "not_entered", "on": "took"}


def test_nothing_takes_it_where_no_route_holds():
    decision = decided("- {name: a, match: {status: warning}, post: ['#a']}")
    assert not decision.matched
    assert decision.postings == decision.routes == decision.dropped == ()


def test_two_routes_to_one_channel_make_one_posting_with_everybody_mentioned():
    routes = """
    - name: a
      continue: true
      gather: 1m
      post: [{channel: noc, mention: {critical: [S0AAAA], any: [here]}}]
    - name: b
      gather: 3m
      post: [C0123456789, {channel: "#other", mention: {critical: [S0CCCC]}}]
      continue: true
    - name: c
      post: [{channel: "C0123456789", mention: {critical: [S0BBBB], reopened: [U0DDDD]}}]
    """
    decision = decided(routes, top="channels: {noc: C0123456789}")
    first, other = decision.postings
    assert (first.ref, other.ref) == ("C0123456789", "#other")
    assert first.route == "a"
    assert first.routes == ("a", "b", "c")
    assert first.options.gather == 60
    assert first.mention.targets(State.CRITICAL) == ("S0AAAA", "here", "S0BBBB")
    assert first.mention.targets(State.CRITICAL, reopened=True) == ("S0AAAA", "here", "U0DDDD")


def test_names_of_channels_are_one_in_any_case():
    decision = decided("- {name: a, post: ['#NOC', '#noc']}")
    assert where(decision) == ["#noc"]


def test_a_channel_made_from_the_incident_becomes_a_name():
    decision = decided("- {name: a, post: ['#inc-{{ tags.team }}']}", variables={"tags": {"team": "Payments & Co."}})
    assert where(decision) == ["#inc-payments-co"]


def test_a_channel_that_cannot_be_made_is_told_with_what_its_card_would_have_had():
    routes = """
    - name: a
      gather: 5m
      post: [{channel: "#inc-{{ tags.team }}", mention: {any: [here]}}, "#noc"]
    """
    decision = decided(routes, variables={"tags": {}})
    (failure,) = decision.failures
    assert where(decision) == ["#noc"]
    assert (failure.route, failure.source) == ("a", "#inc-{{ tags.team }}")
    assert failure.options.gather == 300
    assert failure.mention.targets(State.WARNING) == ("here",)
    assert (
        failure.description == "meant for #inc-{{ tags.team }}, which names no channel (the incident has no tag team)"
    )


def test_variables_are_asked_for_once_and_only_where_a_channel_needs_them():
    asked = []

    def variables():
        asked.append(1)
        return {"tags": {"team": "a"}}

    evaluate_routes(rulebook("- {name: a, post: ['#noc']}"), incident(), variables=variables)
    assert asked == []
    routes = "- {name: a, post: ['#x-{{ tags.team }}', '#y-{{ tags.team }}']}"
    evaluate_routes(rulebook(routes), incident(), variables=variables)
    assert asked == [1]


def test_the_trace_shows_every_condition_with_what_is_expected_and_what_is_seen():
    routes = """
    - name: a
      match:
        status: {min: warning}
        tags: {team: [database, "net*"], gone: {not: x}}
        any: [{flapping: true}, {not: {assigned: false}}]
      post: ["#a"]
    """
    (trace,) = decided(routes, incident(tags={"team": ["storage", "web"]})).trace
    status, team, gone, either = trace.conditions
    assert trace.outcome is RouteOutcome.NO_MATCH
    assert (status.key, status.expected, status.actual, status.matched) == (
        "status",
        "{min: warning}",
        ("critical",),
        True,
    )
    assert (team.key, team.expected, team.matched) == ("tags.team", "[database, net*]", False)
    assert team.actual == ("storage", "web")
    assert (gone.key, gone.actual, gone.matched) == ("tags.gone", (), True)
    assert (either.key, either.matched) == ("any", False)
    assert [(part.key, part.matched) for part in either.parts] == [("match", False), ("match", False)]
    assert [(part.key, part.matched) for part in either.parts[1].parts] == [("not", False)]
    assert [(part.key, part.matched) for part in either.parts[1].parts[0].parts] == [("assigned", True)]


def test_the_trace_tells_every_route_where_it_stands_and_why_it_did_not_take_it():
    routes = """
    - name: took-inside
      post: ["#a"]
      routes: [{name: inside, post: ["#b"]}]
    - name: after
      match: {status: critical}
      post: ["#c"]
      routes: [{name: inside-after, post: ["#d"]}]
    """
    trace = decided(routes).trace
    assert [(each.route, each.depth, str(each.outcome)) for each in trace] == [
        ("took-inside", 0, "children_took"),
        ("inside", 1, "took"),
        ("after", 0, "not_reached"),
        ("inside-after", 1, "not_reached"),
    ]
    assert trace[2].conditions[0].matched
    assert [each.line for each in trace] == sorted(each.line for each in trace)


@pytest.mark.parametrize("number", [5, 50])
def test_many_siblings_are_judged_as_few_are(number):
    routes = "".join(
        f"- {{name: r{each}, continue: true, match: {{tags: {{team: [t{each}, all]}}}}, post: ['#c{each}']}}\n"
        f"- {{name: s{each}, continue: true, match: {{status: warning}}, post: ['#s{each}']}}\n"
        for each in range(number)
    )
    assert where(decided(routes, incident(tags={"team": ["T3"]}))) == ["#c3"]
    assert len(where(decided(routes, incident(tags={"team": ["all"]})))) == number
    assert len(where(decided(routes, incident(State.WARNING)))) == number
