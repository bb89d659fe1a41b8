"""The prover: its results are true for every incident, and it proves usual rules."""

import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model.errors import Fault
from relay.model.incident import Incident
from relay.routes.evaluate import RouteOutcome, evaluate_routes
from relay.routes.match import Match
from relay.routes.match_keys import IncidentFacts
from relay.routes.parser.parse import parse_rulebook
from relay.routes.rulebook import Rulebook
from relay.tools.check.command import check_routes
from relay.tools.check.prover import always, formula_of, implies, possible
from tests.support.condition_samples import incidents, matches, statuses


def compiled(match: dict) -> Match:
    return rulebook([{"name": "a", "match": match, "post": []}]).routes[0].match


def rulebook(routes: list) -> Rulebook:
    return parse_rulebook(routes_yaml(routes))


def routes_yaml(routes: list) -> str:
    return yaml.safe_dump({"version": 1, "fallback": {"channel": "#noc", "mention": {}}, "routes": routes})


def all_facts(incidents: list[Incident]) -> list[IncidentFacts]:
    return [IncidentFacts(each, status) for each in incidents for status in statuses(each)]


def all_compiled(*matches: dict) -> list[Match]:
    return [
        route.match
        for route in rulebook([{"name": str(n), "match": m, "post": []} for n, m in enumerate(matches)]).routes
    ]


@settings(max_examples=70)
@given(one=matches, other=matches, shared=st.lists(incidents, min_size=4, max_size=6))
def test_proven_statements_are_true_for_every_incident(one, other, shared):
    first, second, both, either = all_compiled(one, other, {"all": [one, other]}, {"any": [one, other]})
    for premise, conclusion in ((first, second), (second, first), (either, both)):
        if implies(formula_of(premise), formula_of(conclusion)):
            assert not [each for each in all_facts(shared) if premise.matches(each) and not conclusion.matches(each)]
    for match in (first, second, both, either):
        if not possible(formula_of(match)):
            assert not [each for each in all_facts(shared) if match.matches(each)]
        if always(formula_of(match)):
            assert all(match.matches(each) for each in all_facts(shared))


@settings(max_examples=60)
@given(one=matches, other=matches)
def test_both_imply_each_and_each_implies_either(one, other):
    formula_ofs = map(formula_of, all_compiled(one, other, {"all": [one, other]}, {"any": [one, other]}))
    first, second, both, either = formula_ofs
    for premise, conclusion in ((both, first), (both, second), (first, either), (second, either), (first, first)):
        assert implies(premise, conclusion)


child = st.fixed_dictionaries({"match": matches, "continue": st.booleans(), "post": st.sampled_from([[], ["#a"]])})
children = st.one_of(child.map(lambda one: [one]), st.tuples(child, child).map(list))
taking = st.fixed_dictionaries({"post": st.sampled_from([[], ["#a"]])}, optional={"match": matches, "routes": children})
grouping = st.fixed_dictionaries({"routes": children}, optional={"match": matches, "continue": st.booleans()})
route = st.one_of(taking, grouping)
trees = st.one_of(st.tuples(route, route), st.tuples(route, route, route)).map(list)


def named(tree: list, prefix: str = "r") -> list:
    return [
        {
            **route,
            "name": f"{prefix}{place}",
            **({"routes": named(route["routes"], f"{prefix}{place}.")} if "routes" in route else {}),
        }
        for place, route in enumerate(tree)
    ]


@settings(max_examples=40)
@given(tree=trees, shared=st.lists(incidents, min_size=4, max_size=6))
def test_no_incident_reaches_a_route_that_is_reported_as_never_reached(tree, shared):
    text = routes_yaml(named(tree))
    rules, findings = check_routes(text, "routes.yaml", None)
    assert rules is not None
    reported = [finding.message.split("'")[1] for finding in findings if "is never reached" in finding.message]
    for each, status in ((incident, status) for incident in shared for status in statuses(incident)):
        decision = evaluate_routes(rules, each, status=status, variables=dict)
        outcomes = {trace.route: trace.outcome for trace in decision.trace}
        assert not [name for name in reported if outcomes[name] not in NOT_REACHED]


NOT_REACHED = {RouteOutcome.NOT_REACHED, RouteOutcome.NO_MATCH, RouteOutcome.PARENT_NOT_MATCHED}


@pytest.mark.parametrize(
    ("premise", "conclusion"),
    [
        ({"status": "critical"}, {"status": {"min": "warning"}}),
        ({"status": ["critical", "warning"]}, {"status": {"not": "resolved"}}),
        ({"alerts": {"min": 3}}, {"alerts": {"min": 2}}),
        ({"alerts": 0}, {"alerts": {"max": 0}}),
        ({"tags": {"team": "db"}}, {"tags": {"Team": ["DB", "web"]}}),
        ({"tags": {"team": "db-1"}}, {"tags": {"team": "db-*"}}),
        ({"tags": {"team": "db-?"}}, {"tags": {"team": "d*-*"}}),
        ({"tags": {"team": "db-*-eu"}}, {"tags": {"team": "*-eu"}}),
        ({"tags": {"team": "a*"}}, {"tags": {"team": ["a", "a?*"]}}),
        ({"tags": {"team": "/d.*/"}}, {"tags": {"team": {"exists": True}}}),
        ({"tags": {"team": "/d.*/"}}, {"tags": {"team": ["/d.*/", "x"]}}),
        ({"tags": {"team": "/d.*/"}}, {"tags": {"team": "*"}}),
        ({"tags": {"build": "42"}}, {"tags": {"build": "/[0-9]+/"}}),
        ({"tags": {"size": {"min": 5, "max": 6}}}, {"tags": {"size": {"min": 4}}}),
        ({"tags": {"size": "5.0"}}, {"tags": {"size": {"max": 5}}}),
        ({"tags": {"team": {"exists": False}}}, {"tags": {"team": {"not": "db"}}}),
        ({"tags": {"team": {"not": "d*"}}}, {"tags": {"team": {"not": "db"}}}),
        ({"tags": {"team": "db", "host": "x"}}, {"tags": {"team": "db"}}),
        ({"any": [{"status": "critical"}, {"tags": {"team": "db"}}], "snoozed": False}, {"not": {"snoozed": True}}),
        ({"active": True}, {"status": {"not": "resolved"}}),
        ({"status": "resolved"}, {"active": False}),
        ({"environment": "a", "status": "unknown"}, {"any": [{"status": "critical"}, {"environment": "a"}]}),
    ],
)
def test_plain_implications_are_proven(premise, conclusion):
    assert implies(formula_of(compiled(premise)), formula_of(compiled(conclusion)))


@pytest.mark.parametrize(
    ("premise", "conclusion"),
    [
        ({"status": {"min": "warning"}}, {"status": "critical"}),
        ({"tags": {"team": "db-*"}}, {"tags": {"team": "db-1"}}),
        ({"tags": {"team": "db*"}}, {"tags": {"team": "db-*"}}),
        ({"tags": {"team": "db*"}}, {"tags": {"team": ["db", "db?"]}}),
        ({"tags": {"team": "db"}}, {"tags": {"team": "/db/"}}),  # it may be written DB
        ({"tags": {"team": "db"}}, {"tags": {"team": {"not": "web"}}}),  # a tag may have both
        ({"tags": {"team": {"not": "db"}}}, {"tags": {"team": {"exists": True}}}),
        ({"tags": {"team": "*"}}, {"tags": {"team": ["a*", "b*"]}}),
        ({"alerts": {"min": 1}}, {"alerts": {"min": 2}}),
        ({}, {"tags": {"team": "*"}}),
        ({"active": False}, {"status": "resolved"}),  # what arrives resolved is judged by its severity
    ],
)
def test_false_implications_are_not_proven(premise, conclusion):
    assert not implies(formula_of(compiled(premise)), formula_of(compiled(conclusion)))


@pytest.mark.parametrize(
    "first",
    [
        {"post": ["#a"], "continue": True},
        {"post": ["#a"], "enabled": False},
        {"routes": [{"name": "a.1", "match": {"snoozed": True}, "post": ["#a"]}]},
        {"routes": [{"name": "a.1", "enabled": False, "post": ["#a"]}]},
    ],
)
def test_a_route_after_one_that_may_not_match_is_reached(first):
    last = {"name": "b", "match": {"tags": {"team": "db"}}, "post": ["#a"]}
    assert check_routes(routes_yaml([{"name": "a", **first}, last]), "routes.yaml", None)[1] == []


def test_a_route_for_active_incidents_is_not_reached_after_one_for_all_unresolved_ones():
    tree = [
        {"name": "a", "match": {"status": {"min": "unknown"}}, "post": ["#a"]},
        {"name": "b", "match": {"active": True, "tags": {"team": "db"}}, "post": ["#a"]},
    ]
    (only,) = check_routes(routes_yaml(tree), "routes.yaml", None)[1]
    assert only.message.startswith("route 'b' is never reached: 'a' (line ")


def test_children_of_an_unreachable_route_are_not_reported():
    inner = [{"name": "c", "match": {"tags": {"team": "db"}}, "post": ["#a"]}]
    tree = [
        {"name": "a", "match": {"status": "critical"}, "post": ["#a"]},
        {"name": "b", "match": {"status": "critical", "alerts": 2}, "post": ["#a"], "routes": inner},
    ]
    (only,) = check_routes(routes_yaml(tree), "routes.yaml", None)[1]
    assert only.message.startswith("route 'b' is never reached: 'a' (line ")


def test_only_the_same_digit_or_sign_casefolds_to_it():
    folded = {each.casefold() for each in map(chr, range(sys.maxunicode + 1)) if each.casefold() != each}
    assert not [each for each in folded if any(sign.isascii() and not sign.isalpha() for sign in each)]
    assert all(each.casefold() == each for each in folded)


def findings_of(count: int, match: dict) -> list[Fault]:
    routes = [{"name": f"r{n}", "match": numbered(match, n), "post": ["#a"]} for n in range(count)]
    return check_routes(routes_yaml(routes), "routes.yaml", None)[1]


def numbered(match: dict, number: int) -> dict:
    return yaml.safe_load(yaml.safe_dump(match).replace("N", str(number)))


@pytest.mark.parametrize(
    "match",
    [
        {"tags": {"team": "tN", "host": "*-N-*a*b*c*-N-*"}, "status": ["critical", "warning"]},
        {"tags": {"team": ["aN", "bN", "cN"]}, "any": [{"status": "critical"}, {"environment": ["x", "y"]}]},
        {"all": [{"any": [{"tags": {"aN": "x"}}, {"tags": {"bN": "y"}}]} for _ in range(12)]},
    ],
)
def test_many_unrelated_routes_give_no_finding(match):
    assert findings_of(30, match) == []


def test_a_proof_that_takes_too_long_is_given_up():
    knots = [{"any": [{"tags": {f"{letter}{n}": "x"}} for letter in "abc"]} for n in range(14)]
    ropes = [{"any": [{"tags": {f"{letter}{n}": "y"}} for letter in "abc"]} for n in range(14)]
    assert not implies(formula_of(compiled({"all": knots})), formula_of(compiled({"all": ropes})))
    stars = "*".join(f"?{letter}" for letter in "abcdefghijkl")
    assert not implies(
        formula_of(compiled({"tags": {"team": f"*{stars}*"}})),
        formula_of(compiled({"tags": {"team": f"*{stars[::-1]}*"}})),
    )
