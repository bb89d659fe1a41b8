"""One row for each option and each match key: a new row reaches the parser, the schema and the documents."""

from dataclasses import dataclass

import pytest

from relay.model.incident import State
from relay.routes.key_types import DURATION, Place
from relay.routes.match_keys import MATCH_KEYS, IncidentFacts, MatchKey, ValueType
from relay.routes.options import OPTION_KEYS, Options, option, option_keys, read_options
from relay.routes.parser.keys import known_keys
from relay.routes.parser.matches import read_match
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode
from relay.routes.yaml_reader.parse import parse_yaml
from relay.tools.schema import schema
from tests.support.document_tables import generated
from tests.support.routing_samples import incident


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreOptions(Options):
    """The options, and one more."""

    linger: float = option(90.0, DURATION, "how long a card lingers", places=(Place.DEFAULTS, Place.ROUTE))


@pytest.fixture
def linger(monkeypatch):
    monkeypatch.setitem(OPTION_KEYS, "linger", option_keys(MoreOptions)["linger"])


def mapping(text: str, context: ParseContext) -> MappingNode:
    node = parse_yaml(text, context)
    assert isinstance(node, MappingNode)
    return node


@pytest.mark.usefixtures("linger")
def test_a_new_option_is_parsed_where_its_row_allows_it():
    context = ParseContext(file="routes.yaml")
    node = mapping("linger: 5m", context)
    known_keys(node, Place.ROUTE, context)
    assert read_options(node, context, Place.DEFAULTS) == {"linger": 300.0}
    assert context.faults == []
    known_keys(node, Place.POST, context)
    assert [fault.message for fault in context.faults] == [
        "key 'linger' is not allowed in post item, only in defaults or route"
    ]


@pytest.mark.usefixtures("linger")
def test_a_new_option_is_in_the_schema_and_in_the_documents():
    parts = schema()["$defs"]
    assert parts["route"]["properties"]["linger"]["description"] == "how long a card lingers (default: `90s`)"
    assert "linger" in parts["defaults"]["properties"]
    assert "linger" not in parts["post"]["anyOf"][1]["properties"]
    assert "| `linger` | duration | `90s` | how long a card lingers |" in generated()["options"]


def test_a_new_option_is_stored_with_a_card():
    assert MoreOptions.from_json(MoreOptions(linger=5.0).as_json()) == MoreOptions(linger=5.0)


def test_a_new_match_key_is_parsed_compared_and_documented(monkeypatch):
    key = MatchKey(
        name="tagged",
        type=ValueType.NUMBER,
        named=False,
        reader=lambda _: lambda facts: (str(len(facts.incident.tags)),),
        description="the number of tags",
    )
    monkeypatch.setitem(MATCH_KEYS, "tagged", key)
    context = ParseContext(file="routes.yaml")
    match = read_match(mapping("{tagged: {min: 1}}", context), context)
    assert match.matches(IncidentFacts(incident(tags={"team": ["a"]})))
    assert not match.matches(IncidentFacts(incident(State.WARNING)))
    assert schema()["$defs"]["match"]["properties"]["tagged"]["$ref"].endswith("number_value")
    assert "| `tagged` | the number of tags |" in generated()["match"]
