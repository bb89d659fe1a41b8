"""The match of a mute says what is meant, and takes values from alerts literally."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.errors import ConfigurationError
from relay.model.incident import Incident, State, Tag
from relay.routes.match_keys import IncidentFacts
from relay.routes.mute_match import MAX_TEXT, literal_match, parse_mute_match

NEGATIVE = [
    "{}",
    "{not: {tags: {service: checkout}}}",
    "{tags: {service: {not: checkout}}}",
    "{tags: {service: {exists: false}}}",
    "{any: [{tags: {service: checkout}}, {not: {environment: Staging}}]}",
    "{tags: {service: {any: [checkout, {not: web}]}}}",
    "{all: [{not: {environment: Staging}}, {tags: {team: {exists: false}}}]}",
]


@pytest.mark.parametrize("text", NEGATIVE)
def test_a_match_with_only_negative_conditions_is_rejected(text):
    with pytest.raises(ConfigurationError, match="only what is not meant"):
        parse_mute_match(text)


@pytest.mark.parametrize(
    "text",
    [
        "{tags: {service: checkout}}",
        "{status: {max: warning}}",
        "{environment: Prod*, not: {tags: {team: db}}}",
        "{any: [{environment: A}, {tags: {service: [a, b]}}]}",
        "{all: [{environment: A}, {not: {status: critical}}]}",
        "{tags: {service: {exists: true}}}",
        "tags: {service: checkout}",
    ],
)
def test_any_other_match_is_accepted(text):
    assert parse_mute_match(text).conditions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("{tags: {service", "expected"),
        ("checkout", "expected a mapping of conditions"),
        ("{tagz: {service: checkout}}", "did you mean 'tags'"),
        ("{status: critcal}", "did you mean 'critical'"),
        ("{tags: {service: /(/}}", "regular expression"),
        ("{tags: {service: " + "x" * MAX_TEXT + "}}", "more than 4,000 characters"),
    ],
)
def test_a_faulty_match_is_rejected_with_the_reason(text, said):
    with pytest.raises(ConfigurationError) as caught:
        parse_mute_match(text)
    assert said in str(caught.value)


def tagged(value):
    tag, state = Tag(id="service", name="service", values=(value,)), State.WARNING
    return IncidentFacts(
        Incident(id="i1", state=state, reported_status=state, severity=state, active=True, tags=(tag,))
    )


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=60) | st.sampled_from(
    [
        "*",
        "/x/",
        "a*b",
        "what?",
        "/",
        "//",
        "'\"",
        "- a",
        "{a: b}",
        "null",
        "true",
        "22:00",
        "café *",
        "#x",
        "x" * 511 + "*",
        "\\d*",
    ]
)


@given(texts, texts)
def test_a_value_from_an_alert_matches_itself_and_nothing_else(value, other):
    match = parse_mute_match(literal_match("service", value))
    assert match.matches(tagged(value))
    assert match.matches(tagged(other)) == (value.casefold() == other.casefold() or value.lower() == other.lower())
