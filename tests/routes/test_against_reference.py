"""Routing compared with a simple reference implementation, on random trees of routes and random incidents.

The reference shares no code with relay. It walks the YAML as plain text and evaluates everything again each time.
"""

import re

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model.incident import Incident, State
from relay.routes.evaluate import RouteOutcome, evaluate_routes
from relay.routes.parser.parse import parse_rulebook
from tests.support.routing_samples import alert, incident

# --- reference ---

ORDER = ["resolved", "unknown", "acknowledged", "warning", "critical"]


def matching_routes(routes: list, shared: Incident, status: str) -> list[str]:
    matching = []
    for route in routes:
        if route.get("enabled", "true") == "false" or not match_holds(route.get("match", {}), shared, status):
            continue
        children = matching_routes(route.get("routes", []), shared, status)
        matched = children or ([route["name"]] if "post" in route else [])
        matching += matched
        if matched and route.get("continue", "false") == "false":
            break
    return matching


def match_holds(match: dict, shared: Incident, status: str) -> bool:
    return all(key_holds(key, value, shared, status) for key, value in match.items())


def key_holds(key: str, value, shared: Incident, status: str) -> bool:
    if key == "not":
        return not match_holds(value, shared, status)
    if key in ("any", "all"):
        return {"any": any, "all": all}[key](match_holds(each, shared, status) for each in value)
    under = {"tags": tag_values, "alert_tags": alert_values, "header": header_values}
    if key in under:
        return all(value_holds(wanted, under[key](shared, name)) for name, wanted in value.items())
    counting = alerts_that_count(shared)
    seen = {
        "environment": [part for each in shared.environments for part in (each.name, each.id) if part],
        "status": [status],
        "severity": [shared.severity.value],
        "source": [each.source for each in counting if each.source],
        "active": [str(shared.state != "resolved").lower()],
        "flapping": [str(shared.flapping).lower()],
        "snoozed": [str(shared.snooze.snoozed).lower()],
        "assigned": [str(shared.assignee is not None).lower()],
        "alerts": [str(sum(each.active for each in shared.alerts))],
    }
    return value_holds(value, seen[key], ranked=key in ("status", "severity"))


def tag_values(shared: Incident, name: str) -> list[str]:
    for tag in shared.tags:
        if name.lower() in (tag.id.lower(), tag.name.lower()):
            return list(tag.values)
    return []


def alerts_that_count(shared: Incident) -> list:
    return [each for each in shared.alerts if each.active] or list(shared.alerts)


def alert_values(shared: Incident, name: str) -> list[str]:
    tags = [(tag, values) for each in alerts_that_count(shared) for tag, values in each.tags.items()]
    return [value for tag, values in tags if tag.lower() == name.lower() for value in values]


def header_values(shared: Incident, name: str) -> list[str]:
    return [value for header, values in shared.headers.items() if header.lower() == name.lower() for value in values]


def value_holds(wanted, seen: list[str], *, ranked: bool = False) -> bool:
    if isinstance(wanted, str):
        return any(text_fits(wanted, value) for value in seen)
    if isinstance(wanted, list):
        return any(value_holds(each, seen, ranked=ranked) for each in wanted)
    operators = {
        "not": lambda operand: not value_holds(operand, seen, ranked=ranked),
        "any": lambda operand: any(value_holds(each, seen, ranked=ranked) for each in operand),
        "all": lambda operand: all(value_holds(each, seen, ranked=ranked) for each in operand),
        "exists": lambda operand: (len(seen) > 0) == (operand == "true"),
        "is": lambda operand: any(operand.lower() == value.lower() for value in seen),
        "re": lambda operand: any(re.fullmatch(operand, value, re.DOTALL) for value in seen),
        "min": lambda _: in_range(wanted, seen, ranked=ranked),
        "max": lambda _: in_range(wanted, seen, ranked=ranked),
    }
    return all(operators[operator](operand) for operator, operand in wanted.items())


def in_range(wanted: dict, seen: list[str], *, ranked: bool) -> bool:
    low, high = (measure(wanted.get(end), ranked=ranked) for end in ("min", "max"))
    sizes = [size for value in seen if (size := measure(value, ranked=ranked)) is not None]
    return any((low is None or size >= low) and (high is None or size <= high) for size in sizes)


def measure(text: str | None, *, ranked: bool) -> float | None:
    if text is None:
        return None
    if ranked:
        return ORDER.index(text.lower()) if text.lower() in ORDER else None
    try:
        return float(text)
    except ValueError:
        return None


def text_fits(wanted: str, value: str) -> bool:
    if len(wanted) > 1 and wanted[0] == wanted[-1] == "/":
        return re.fullmatch(wanted[1:-1], value, re.DOTALL) is not None
    return glob_fits(wanted.lower(), value.lower())


def glob_fits(glob: str, value: str) -> bool:
    if not glob:
        return not value
    if glob[0] == "*":
        return any(glob_fits(glob[1:], value[at:]) for at in range(len(value) + 1))
    return bool(value) and glob[0] in ("?", value[0]) and glob_fits(glob[1:], value[1:])


# --- any routes.yaml ---

NAMES = ["team", "Team", "itd_team_1", "service", "priority"]
WORDS = ["a", "b", "ab", "A", "ba", "P1", "no", "12", "3", "012", "7.5", "a\nb", ""]
GLOBS = ["*", "a*", "*b", "?", "a?", "*a*b*", "?*", "[a]*", "P?"]
REGEXES = ["/a.*/", "/(?i)A|b/", "/[0-9]+/", "//", "/P1?/", "/a.b/"]
STATES = [state.value for state in State]
FLAGS = st.booleans()
NUMBERS = st.sampled_from([0, 3, 7, 12, "7.5", "1e1"])

texts = st.sampled_from(WORDS + GLOBS + REGEXES)


def ranges(bound):
    one = st.fixed_dictionaries({}, optional={"min": bound, "max": bound}).filter(bool)
    return one.filter(lambda ends: len(ends) < 2 or size(ends["min"]) <= size(ends["max"]))


def size(bound) -> float:
    return ORDER.index(bound) if bound in ORDER else float(bound)


def operators(values, leaf, bound, *, regexes: bool):
    known = {
        "not": values,
        "any": st.lists(values, min_size=1, max_size=2),
        "all": st.lists(values, min_size=1, max_size=2),
        "exists": FLAGS,
        "is": leaf,
    }
    if regexes:
        known["re"] = st.sampled_from([regex[1:-1] for regex in REGEXES])
    single = st.sampled_from(sorted(known)).flatmap(lambda name: st.fixed_dictionaries({name: known[name]}))
    some = [single, st.tuples(single, single).map(lambda two: two[0] | two[1])]
    if bound is not None:
        some += [ranges(bound), st.tuples(ranges(bound), single).map(lambda two: two[0] | two[1])]
    return st.one_of(some)


def values_of(leaf, *, exact, bound=None, regexes: bool = False):
    def deeper(values):
        return st.lists(values, min_size=1, max_size=3) | operators(values, exact, bound, regexes=regexes)

    return st.recursive(leaf, deeper, max_leaves=4)


text_values = values_of(texts, exact=st.sampled_from([*WORDS, "*", "/a/"]), bound=NUMBERS, regexes=True)
state_values = values_of(
    st.sampled_from([*STATES, "Critical", "*ing", "/(?i)W.*/"]),
    exact=st.sampled_from(STATES),
    bound=st.sampled_from(STATES),
)
flag_values = values_of(FLAGS, exact=FLAGS)
count_values = values_of(st.integers(0, 3), exact=st.integers(0, 3), bound=st.integers(0, 3))
named_values = st.dictionaries(st.sampled_from(NAMES), text_values, min_size=1, max_size=2)

KEYS = {
    "environment": text_values,
    "status": state_values,
    "severity": state_values,
    "tags": named_values,
    "alert_tags": named_values,
    "source": text_values,
    "header": named_values,
    "alerts": count_values,
    **dict.fromkeys(["active", "flapping", "snoozed", "assigned"], flag_values),
}

comparisons = st.sampled_from(sorted(KEYS)).flatmap(lambda key: st.fixed_dictionaries({key: KEYS[key]}))
plain_matches = st.lists(comparisons, max_size=2).map(
    lambda each: {key: value for one in each for key, value in one.items()}
)
plain_tags = st.sampled_from(WORDS[:6]).map(lambda word: {"tags": {"team": word}})


def combined(matches):
    several = st.lists(matches, min_size=1, max_size=2)
    over = (
        st.fixed_dictionaries({"any": several})
        | st.fixed_dictionaries({"all": several})
        | st.fixed_dictionaries({"not": matches})
    )
    return st.tuples(plain_matches, over).map(lambda two: two[0] | two[1])


likely = st.sampled_from(
    [
        {},
        {"tags": {"team": ["a", "b", "ab"]}},
        {"tags": {"team": {"exists": False}}},
        {"status": {"min": "acknowledged"}},
        {"severity": {"not": "critical"}},
        {"alerts": {"min": 1}},
        {"flapping": False},
        {"not": {"snoozed": True}},
    ]
)
"""Easy matches: with hard ones alone hardly any route would match."""
matches = likely | st.recursive(plain_matches | plain_tags, combined, max_leaves=3)


def routes(inside, *, most: int):
    keys = {"match": matches, "continue": st.sampled_from([True, True, False])}
    rarely = {"enabled": st.sampled_from([True, True, True, False])}
    posts = st.sampled_from([[], ["#a"], ["#b"], ["#a", "#c"]])
    takes = st.fixed_dictionaries({"post": posts, **keys}, optional=rarely)
    around = st.fixed_dictionaries({"post": posts, "routes": inside, **keys}, optional=rarely)
    groups = st.fixed_dictionaries({"routes": inside, **keys}, optional=rarely)
    return st.lists(takes | around | groups, min_size=2, max_size=most)


leaves = st.lists(
    st.fixed_dictionaries({"post": st.just(["#leaf"]), "match": matches, "continue": FLAGS}), min_size=1, max_size=3
)
trees = routes(routes(leaves, most=3), most=6)


def named(tree: list, prefix: str = "r") -> list:
    return [
        {
            "name": f"{prefix}{place}",
            **route,
            **({"routes": named(route["routes"], f"{prefix}{place}.")} if "routes" in route else {}),
        }
        for place, route in enumerate(tree)
    ]


# --- any incident ---

some_values = st.lists(st.sampled_from(WORDS), max_size=2)
incident_tags = st.dictionaries(st.sampled_from(["team", "service", "priority"]), some_values, max_size=3)
alert_tags = st.dictionaries(st.sampled_from(["team", "Service", "PRIORITY"]), some_values, max_size=2)
alerts = st.builds(alert, st.just("x"), active=st.booleans(), source=st.sampled_from(WORDS), tags=alert_tags)
incidents = st.builds(
    incident,
    st.sampled_from(State),
    severity=st.sampled_from(State),
    tags=incident_tags,
    environments=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["", "12", "b"])), max_size=2),
    headers=st.dictionaries(st.sampled_from(["Team", "service"]), some_values, max_size=2),
    alerts=st.lists(alerts, max_size=3),
    flapping=st.booleans(),
    snoozed=st.booleans(),
    assigned=st.booleans(),
)


@settings(max_examples=60)
@given(tree=trees, shared=st.lists(incidents, min_size=1, max_size=6), status=st.none() | st.sampled_from(State))
def test_any_tree_routes_any_incident_like_the_reference(tree, shared, status):
    text = yaml.safe_dump({"version": 1, "routes": named(tree)}, allow_unicode=True)
    plain = yaml.load(text, Loader=yaml.BaseLoader)["routes"]
    rules = parse_rulebook(text)
    for each in shared:
        decision = evaluate_routes(rules, each, status=status, variables=dict)
        seen_status = (status or each.state).value
        assert list(decision.routes) == matching_routes(plain, each, seen_status)
        assert_the_trace_agrees(decision, plain, each, seen_status)


few_words = st.sampled_from(["a", "b", "3", "P1"])
few_values = st.one_of(
    few_words,
    st.lists(few_words | st.just("a*"), min_size=1, max_size=3),
    st.fixed_dictionaries({"not": few_words}),
    st.fixed_dictionaries({"all": st.lists(few_words | st.just("?"), min_size=1, max_size=2)}),
    st.sampled_from(["*", "/[0-9]/", {"min": 3}, {"exists": False}]),
)
quick_matches = st.fixed_dictionaries(
    {}, optional={"tags": st.dictionaries(st.sampled_from(NAMES), few_values, max_size=2), "source": few_values}
)
dozens = st.lists(
    st.fixed_dictionaries(
        {"post": st.just(["#a"]), "match": quick_matches, "continue": st.sampled_from([True, True, True, False])}
    ),
    min_size=9,
    max_size=16,
)


@settings(max_examples=80)
@given(tree=dozens, shared=st.lists(incidents, min_size=1, max_size=8))
def test_indexed_siblings_match_like_the_reference(tree, shared):
    text = yaml.safe_dump({"version": 1, "routes": named(tree)})
    plain = yaml.load(text, Loader=yaml.BaseLoader)["routes"]
    rules = parse_rulebook(text)
    for each in shared:
        assert list(evaluate_routes(rules, each, variables=dict).routes) == matching_routes(
            plain, each, each.state.value
        )


def assert_the_trace_agrees(decision, plain: list, shared: Incident, status: str) -> None:
    by_name = {route["name"]: route for route in everyone(plain)}
    matched = [trace.route for trace in decision.trace if trace.outcome in (RouteOutcome.MATCHED, RouteOutcome.DROPPED)]
    assert matched == list(decision.routes)
    assert [trace.route for trace in decision.trace] == list(by_name)
    for trace in decision.trace:
        holds = match_holds(by_name[trace.route].get("match", {}), shared, status)
        assert all(condition.matched for condition in trace.conditions) is holds
        assert holds or trace.outcome in (
            RouteOutcome.NO_MATCH,
            RouteOutcome.DISABLED,
            RouteOutcome.NOT_REACHED,
            RouteOutcome.PARENT_NOT_MATCHED,
        )


def everyone(tree: list):
    for route in tree:
        yield route
        yield from everyone(route.get("routes", []))
