"""What each form of a value under `match` matches."""

import pytest

from relay.model.incident import Incident, State
from relay.routes.evaluate import evaluate_routes
from tests.support.routing_samples import alert, incident, rulebook


def is_matched(match: str, shared: Incident, *, status: State | None = None) -> bool:
    rules = rulebook(f"- name: it\n  match: {match}\n  post: []")
    return evaluate_routes(rules, shared, status=status, variables=dict).matched


TAGGED = [
    # the value in the file, the values of the tag, whether it matches
    ("database", ["database"], True),
    ("Database", ["dataBASE"], True),
    ("STRASSE", ["straße"], True),
    ("database", ["databases"], False),
    ("database", [], False),
    ("database", ["network", "database"], True),
    ("[database, network]", ["network"], True),
    ("[database, network]", ["storage"], False),
    # text as written
    ("no", ["no"], True),
    ("no", ["false"], False),
    ("012", ["012"], True),
    ("012", ["10"], False),
    ("2026-01-01", ["2026-01-01"], True),
    ("1.50", ["1.50"], True),
    ("1.50", ["1.5"], False),
    ("~", ["~"], True),
    ("true", ["TRUE"], True),
    ("1_000", ["1_000"], True),
    ('""', [""], True),
    ('""', [], False),
    # globs
    ('"data*"', ["DataBase"], True),
    ('"data*"', ["my data"], False),
    ('"*base"', ["database"], True),
    ('"*tab*"', ["database"], True),
    ('"*"', [""], True),
    ('"*"', [], False),
    ('"d?tab*e"', ["database"], True),
    ('"d?tabase"', ["dtabase"], False),
    ('"db-?"', ["db-12"], False),
    ('"*a*b*"', ["line one a\nline two b"], True),
    ('"[ab]*"', ["alpha"], False),
    ('"[ab]*"', ["[ab]c"], True),
    ('"a.c*x"', ["abcx"], False),
    # regular expressions
    ('"/data.*/"', ["database"], True),
    ('"/data.*/"', ["Database"], False),
    ('"/(?i)data.*/"', ["Database"], True),
    ('"/data/"', ["database"], False),
    ('"/a|b/"', ["ab"], False),
    ('"/a.b/"', ["a\nb"], True),
    ('"/x/"', ["\ud800"], False),
    ("/", ["/"], True),
    # operators
    ('{not: "*-canary"}', ["checkout"], True),
    ('{not: "*-canary"}', ["checkout-canary"], False),
    ('{not: "*-canary"}', [], True),
    ('{not: "*-canary"}', ["checkout", "checkout-canary"], False),
    ("{not: [a, b]}", ["c"], True),
    ("{not: [a, b]}", ["c", "b"], False),
    ("{not: {not: a}}", ["a"], True),
    ("{not: {not: a}}", [], False),
    ("{not: {min: 3}}", ["2"], True),
    ("{not: {min: 3}}", ["4"], False),
    ("{not: {exists: true}}", [], True),
    ("{any: [a, {min: 3}]}", ["4"], True),
    ("{any: [a, {min: 3}]}", ["b"], False),
    ("{any: [a, {not: b}]}", [], True),
    ('{all: ["a*", "*z"]}', ["abz"], True),
    ('{all: ["a*", "*z"]}', ["abc"], False),
    ("{all: [a, b]}", ["a", "b"], True),
    ("{all: [a, b]}", ["a"], False),
    ('{re: "db-[0-9]+"}', ["db-117"], True),
    ('{re: "db-[0-9]+"}', ["db-117x"], False),
    ('{re: ".*", not: "*-canary"}', ["a", "b-canary"], False),
    ('{is: "*"}', ["*"], True),
    ('{is: "*"}', ["a"], False),
    ('{is: "/a/"}', ["/A/"], True),
    ("{exists: true}", ["x"], True),
    ("{exists: true}", [], False),
    ("{exists: false}", [], True),
    ("{exists: false}", ["x"], False),
    ("{min: 3}", ["3"], True),
    ("{min: 3}", ["2.99"], False),
    ("{min: 3}", ["high"], False),
    ("{min: 3}", [], False),
    ("{max: 3}", [" 2 "], True),
    ("{max: 1e3}", ["999.5"], True),
    ("{max: 3}", ["nan"], False),
    ("{max: 3}", ["-inf"], False),
    ("{min: 3, max: 5}", ["4"], True),
    ("{min: 3, max: 5}", ["6"], False),
    ("{min: 3, max: 5}", ["1", "9"], False),
    ("{min: 3, max: 5, not: 4}", ["4"], False),
]


@pytest.mark.parametrize(("value", "values", "matches"), TAGGED)
def test_a_value_matches_a_tag_as_documented(value, values, matches):
    assert is_matched(f"{{tags: {{team: {value}}}}}", incident(tags={"team": values})) is matches


@pytest.mark.parametrize(("value", "values", "matches"), TAGGED)
def test_the_operator_not_is_the_exact_opposite_of_its_operand(value, values, matches):
    shared = incident(tags={"team": values})
    assert is_matched(f"{{tags: {{team: {{not: {value}}}}}}}", shared) is not matches
    assert is_matched(f"{{not: {{tags: {{team: {value}}}}}}}", shared) is not matches


@pytest.mark.parametrize("name", ["priority", "Priority", "itd_priority_1", "ITD_PRIORITY_1"])
def test_a_tag_matches_by_id_or_readable_name_in_any_case(name):
    assert is_matched(f"{{tags: {{{name}: P1}}}}", incident(tags={"priority": ["P1"]}))


def test_an_absent_tag_matches_only_not_and_exists_false():
    forms = ["x", '"*"', '"/.*/"', "[x]", "{min: 0}", "{exists: true}", '{is: ""}', '{any: ["*"]}', '{all: ["*"]}']
    assert [form for form in forms if is_matched(f"{{tags: {{gone: {form}}}}}", incident())] == []
    assert is_matched("{tags: {gone: {not: x}}}", incident())
    assert is_matched("{tags: {gone: {exists: false}}}", incident())


STATES = [
    ("{status: critical}", State.CRITICAL, True),
    ("{status: CRITICAL}", State.CRITICAL, True),
    ("{status: critical}", State.WARNING, False),
    ("{status: [warning, critical]}", State.WARNING, True),
    ('{status: "*ing"}', State.WARNING, True),
    ("{status: {min: warning}}", State.CRITICAL, True),
    ("{status: {min: warning}}", State.WARNING, True),
    ("{status: {min: warning}}", State.ACKNOWLEDGED, False),
    ("{status: {min: unknown}}", State.ACKNOWLEDGED, True),
    ("{status: {max: unknown}}", State.ACKNOWLEDGED, False),
    ("{status: {max: unknown}}", State.RESOLVED, True),
    ("{status: {min: Unknown, max: Warning}}", State.ACKNOWLEDGED, True),
    ("{status: {not: resolved}}", State.RESOLVED, False),
    ("{severity: {min: critical}}", State.CRITICAL, True),
    ("{active: true}", State.CRITICAL, True),
    ("{active: true}", State.RESOLVED, False),
    ("{active: {not: true}}", State.RESOLVED, True),
]


@pytest.mark.parametrize(("match", "state", "matches"), STATES)
def test_states_compare_by_word_and_by_rank(match, state, matches):
    assert is_matched(match, incident(state)) is matches


def test_the_given_status_replaces_the_state_for_status_only():
    over = incident(State.RESOLVED, severity=State.CRITICAL)
    assert not is_matched("{status: critical}", over)
    assert is_matched("{status: critical}", over, status=State.CRITICAL)
    assert is_matched("{status: critical, active: false}", over, status=State.CRITICAL)


@pytest.mark.parametrize("key", ["flapping", "snoozed", "assigned"])
@pytest.mark.parametrize("is_so", [True, False])
def test_a_boolean_key_is_true_or_false(key, is_so):
    shared = incident(**{key: is_so})
    assert is_matched(f"{{{key}: true}}", shared) is is_so
    assert is_matched(f"{{{key}: false}}", shared) is not is_so
    assert is_matched(f"{{{key}: {{is: true}}}}", shared) is is_so
    assert is_matched(f"{{{key}: [true, false]}}", shared)


@pytest.mark.parametrize("value", ["Production", "production", '"Prod*"', "5555aa", '["x", Production]', "Payments"])
def test_an_environment_matches_by_name_or_id(value):
    shared = incident(environments=[("Payments", ""), ("Production", "5555aa")])
    assert is_matched(f"{{environment: {value}}}", shared)
    assert not is_matched(f"{{environment: {{not: {value}}}}}", shared)


def test_an_environment_without_a_name_is_not_empty_text():
    assert not is_matched('{environment: ""}', incident(environments=[("Production", "")]))


def test_alerts_counts_the_active_ones():
    shared = incident(alerts=[alert("1"), alert("2"), alert("3", active=False)])
    assert is_matched("{alerts: 2}", shared)
    assert is_matched("{alerts: [1, 2]}", shared)
    assert is_matched("{alerts: {min: 2, max: 2}}", shared)
    assert is_matched("{alerts: {not: 3}}", shared)
    assert is_matched("{alerts: {is: 2}}", shared)
    assert not is_matched("{alerts: {min: 3}}", shared)
    assert is_matched("{alerts: 0}", incident())


def test_alert_tags_and_sources_are_those_of_the_active_alerts():
    shared = incident(
        alerts=[
            alert("1", source="nagios.est", tags={"host": ["db-117"]}),
            alert("2", source="zabbix", tags={"Host": ["db-118"], "check": ["cpu"]}),
            alert("3", source="old", tags={"host": ["db-1"]}, active=False),
        ]
    )
    assert is_matched("{alert_tags: {host: db-118}}", shared)
    assert is_matched("{alert_tags: {HOST: db-117, check: cpu}}", shared)
    assert not is_matched("{alert_tags: {host: db-1}}", shared)
    assert is_matched("{alert_tags: {host: {not: db-1}}}", shared)
    assert not is_matched("{alert_tags: {host: {not: db-117}}}", shared)
    assert is_matched('{source: "nagios*"}', shared)
    assert not is_matched("{source: old}", shared)
    assert is_matched("{source: {not: old}}", shared)


def test_if_no_alert_is_active_all_alerts_count():
    shared = incident(State.RESOLVED, alerts=[alert("1", source="nagios", tags={"host": ["db-1"]}, active=False)])
    assert is_matched("{alert_tags: {host: db-1}, source: nagios}", shared)


def test_a_header_matches_in_any_case_with_any_of_its_values():
    shared = incident(headers={"x-relay-integration": ["default", "Acme"]})
    assert is_matched("{header: {X-Relay-Integration: acme}}", shared)
    assert is_matched("{header: {X-Relay-Integration: default}}", shared)
    assert not is_matched("{header: {X-Relay-Integration: {not: acme}}}", shared)
    assert is_matched("{header: {X-Other: {exists: false}}}", shared)


def test_whole_matches_combine_and_nest():
    shared = incident(tags={"team": ["database"]}, environments=[("Staging", "")])
    assert is_matched("{any: [{status: warning}, {tags: {team: database}}]}", shared)
    assert not is_matched("{any: [{status: warning}, {tags: {team: network}}]}", shared)
    assert is_matched("{all: [{status: critical}, {environment: staging}]}", shared)
    assert not is_matched("{all: [{status: critical}, {environment: production}]}", shared)
    assert is_matched("{not: {status: critical, environment: production}}", shared)
    assert is_matched("{status: critical, any: [{not: {all: [{environment: production}]}}]}", shared)
    assert not is_matched("{not: {}}", shared)


def test_a_tag_may_have_the_name_of_an_operator_or_a_key():
    shared = incident(tags={"not": ["a"], "any": ["b"], "status": ["c"], "x-y": ["d"]})
    assert is_matched("{tags: {not: a, any: b, status: c, x-y: d}}", shared)


def test_a_tag_an_alert_tag_and_a_header_of_one_name_are_separate():
    shared = incident(tags={"team": ["a"]}, alerts=[alert(tags={"team": ["b"]})], headers={"team": ["c"]})
    assert is_matched("{tags: {team: a}, alert_tags: {team: b}, header: {team: c}}", shared)
    assert not is_matched("{any: [{tags: {team: b}}, {alert_tags: {team: c}}, {header: {team: a}}]}", shared)
