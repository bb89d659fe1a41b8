"""Which routes match an incident, in which order, to which channels, and what the trace says."""

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


def test_the_first_matching_sibling_ends_the_evaluation():
    decision = decided(CHILD, incident(tags={"team": ["database"]}))
    assert where(decision) == ["#db-oncall"]
    assert decision.routes == ("databases",)


def test_a_child_matches_instead_of_its_parent():
    decision = decided(CHILD, incident(tags={"team": ["database"]}, environments=[("STAGING", "")]))
    assert where(decision) == ["#staging"]
    assert decision.routes == ("databases-staging",)


def test_without_a_match_the_next_sibling_is_evaluated():
    assert where(decided(CHILD)) == ["#noc"]


def test_continue_also_evaluates_the_next_sibling():
    routes = """
    - {name: a, continue: true, post: ["#a"]}
    - {name: b, post: ["#b"]}
    - {name: c, post: ["#c"]}
    """
    assert where(decided(routes)) == ["#a", "#b"]


def test_continue_of_a_parent_applies_if_its_child_matches():
    routes = """
    - name: parent
      continue: true
      post: ["#parent"]
      routes: [{name: child, post: ["#child"]}]
    - {name: next, post: ["#next"]}
    """
    assert where(decided(routes)) == ["#child", "#next"]


def test_continue_of_a_child_does_not_leave_its_parent():
    routes = """
    - name: parent
      post: ["#parent"]
      routes:
        - {name: first, continue: true, post: ["#first"]}
        - {name: second, continue: true, post: ["#second"]}
    - {name: next, post: ["#next"]}
    """
    assert where(decided(routes)) == ["#first", "#second"]


def test_a_group_without_a_matching_child_does_not_match():
    routes = """
    - name: group
      routes: [{name: child, match: {status: warning}, post: ["#child"]}]
    - {name: next, post: ["#next"]}
    """
    decision = decided(routes)
    assert where(decision) == ["#next"]
    assert outcomes(decision) == {"group": "no_child_matched", "child": "no_match", "next": "matched"}


def test_an_empty_post_drops_the_incident_and_names_the_route():
    decision = decided("- {name: noise, post: []}\n- {name: rest, post: ['#noc']}")
    assert decision.matched
    assert decision.postings == ()
    assert decision.dropped == ("noise",)
    assert outcomes(decision) == {"noise": "dropped", "rest": "not_reached"}


def test_only_matching_routes_without_a_channel_are_dropped():
    decision = decided('- {name: noise, post: [], continue: true}\n- {name: rest, post: ["#noc"]}\n')
    assert (decision.routes, decision.dropped) == (("noise", "rest"), ("noise",))


def test_routes_inside_a_route_that_does_not_match_are_not_evaluated():
    deep = """
- name: top
  match: {status: resolved}
  routes:
    - {name: middle, routes: [{name: below, post: ["#noc"]}]}
"""
    assert outcomes(decided(deep)) == {"top": "no_match", "middle": "parent_not_matched", "below": "parent_not_matched"}


def test_a_child_may_drop_the_incident_instead_of_its_parent():
    routes = "- {name: parent, post: ['#parent'], routes: [{name: noise, match: {status: critical}, post: []}]}"
    decision = decided(routes)
    assert (where(decision), decision.routes, decision.dropped) == ([], ("noise",), ("noise",))


def test_a_disabled_route_and_its_children_do_not_match():
    routes = """
    - {name: off, enabled: false, post: ["#off"], routes: [{name: inside, post: ["#inside"]}]}
    - {name: "on", post: ["#on"]}
    """
    decision = decided(routes)
    assert where(decision) == ["#on"]
    assert outcomes(decision) == {"off": "disabled", "inside": "parent_not_matched", "on": "matched"}


def test_an_incident_may_match_no_route():
    decision = decided("- {name: a, match: {status: warning}, post: ['#a']}")
    assert not decision.matched
    assert decision.postings == decision.routes == decision.dropped == ()


def test_two_routes_to_one_channel_make_one_posting_with_all_mentions():
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
    assert first.mention.targets(State.CRITICAL, occasion="reopened") == ("S0AAAA", "here", "U0DDDD")


def test_the_case_of_a_channel_name_makes_no_difference():
    decision = decided("- {name: a, post: ['#NOC', '#noc']}")
    assert where(decision) == ["#noc"]


def test_a_channel_made_from_the_incident_becomes_a_name():
    decision = decided("- {name: a, post: ['#inc-{{ tags.team }}']}", variables={"tags": {"team": "Payments & Co."}})
    assert where(decision) == ["#inc-payments-co"]


def test_an_unresolved_channel_is_a_failure_with_the_options_of_its_card():
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
    assert (
        failure.description == "meant for #inc-{{ tags.team }}, which names no channel (the incident has no tag team)"
    )


def test_variables_are_made_once_and_only_if_a_channel_needs_them():
    calls = []

    def variables():
        calls.append(1)
        return {"tags": {"team": "a"}}

    evaluate_routes(rulebook("- {name: a, post: ['#noc']}"), incident(), variables=variables)
    assert calls == []
    routes = "- {name: a, post: ['#x-{{ tags.team }}', '#y-{{ tags.team }}']}"
    evaluate_routes(rulebook(routes), incident(), variables=variables)
    assert calls == [1]


def test_the_trace_has_every_condition_with_its_expected_and_actual_values():
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


def test_the_trace_has_every_route_with_its_place_and_outcome():
    routes = """
    - name: child-matches
      post: ["#a"]
      routes: [{name: inside, post: ["#b"]}]
    - name: after
      match: {status: critical}
      post: ["#c"]
      routes: [{name: inside-after, post: ["#d"]}]
    """
    trace = decided(routes).trace
    assert [(each.route, each.depth, str(each.outcome)) for each in trace] == [
        ("child-matches", 0, "child_matched"),
        ("inside", 1, "matched"),
        ("after", 0, "not_reached"),
        ("inside-after", 1, "not_reached"),
    ]
    assert trace[2].conditions[0].matched
    assert [each.line for each in trace] == sorted(each.line for each in trace)


@pytest.mark.parametrize("number", [5, 50])
def test_many_siblings_are_evaluated_like_few(number):
    routes = "".join(
        f"- {{name: r{each}, continue: true, match: {{tags: {{team: [t{each}, all]}}}}, post: ['#c{each}']}}\n"
        f"- {{name: s{each}, continue: true, match: {{status: warning}}, post: ['#s{each}']}}\n"
        for each in range(number)
    )
    assert where(decided(routes, incident(tags={"team": ["T3"]}))) == ["#c3"]
    assert len(where(decided(routes, incident(tags={"team": ["all"]})))) == number
    assert len(where(decided(routes, incident(State.WARNING)))) == number
