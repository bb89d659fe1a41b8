"""The values in BigPanda's read responses: unexpected shapes are left out, and nothing raises."""

from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.responses import comments_of, tag_definitions_of, users_of
from relay.model.incident import Person
from relay.model.tag_labels import TagDefinition

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


# -- Tag definitions ---------------------------------------------------------------------------------------------------


def priority(*levels, **more):
    return [{"id": "itd_priority_1", "name": "Priority", "type": "Priority", "config": {"ordered_list": list(levels)}}]


def test_a_tag_definition_has_an_id_and_a_name():
    body = [
        {"id": "itd-9ff554bc0c", "name": "Team", "type": "Text", "active": True},
        {"id": "affected services", "name": "Affected_Services", "type": "MultiValue", "active": False},
    ]

    expected = (
        TagDefinition(id="itd-9ff554bc0c", name="Team"),
        TagDefinition(id="affected services", name="Affected_Services"),
    )
    assert tag_definitions_of(body) == expected
    assert tag_definitions_of({"items": body}) == expected
    assert tag_definitions_of({"data": body}) == expected


def test_levels_without_numbers_are_found_by_their_position_in_thousands():
    (found,) = tag_definitions_of(priority("P1", "P2", "P3"))

    assert found.ranks == {"1000": "P1", "2000": "P2", "3000": "P3"}


def test_levels_with_small_numbers_are_found_by_number_and_by_position():
    levels = [{"display_name": "P2", "order_id": 2, "active": True}, {"display_name": "P1", "order_id": 1}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"1000": "P1", "2000": "P2", "1": "P1", "2": "P2"}


def test_levels_with_the_numbers_of_shares_are_found_only_by_number():
    levels = [{"display_name": "P1", "order_id": 500}, {"display_name": "P2", "order_id": 1000.0}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"500": "P1", "1000": "P2"}


def test_a_deactivated_level_keeps_its_position_and_a_level_without_a_name_has_none():
    levels = [{"display_name": "P1", "active": False}, {"description": "?"}, None, " ", {"display_name": "P2"}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"1000": "P1", "2000": "P2"}


# -- Users and comments -----------------------------------------------------------------------------------------------


def test_users_are_read_in_the_shape_of_scim():
    body = {
        "schemas": ["urn:scim:schemas:core:1.0"],
        "totalResults": 3,
        "Resources": [
            {"id": "644c", "userName": "ann@example.com", "displayName": "Ann", "active": True},
            {"id": "644d", "userName": "bob@example.com", "displayName": "Bob", "active": False},
            {"id": "644e", "userName": "cy", "emails": [{"value": "cy@example.com"}], "name": {"familyName": "C"}},
            {"userName": "nobody@example.com"},
        ],
    }

    assert users_of(body) == (
        Person(name="Ann", email="ann@example.com", id="644c"),
        Person(email="cy@example.com", id="644e"),
    )


def test_users_are_read_in_the_shape_of_the_api_reference():
    body = {"users": [{"id": "65f0", "fullName": "Jane Doe", "email": "jane@example.com"}], "pagination": {"page": 1}}

    assert users_of(body) == (Person(name="Jane Doe", email="jane@example.com", id="65f0"),)


def test_comments_are_the_newest_first_without_other_activities():
    items = [
        {"id": "3", "type": "incident_commented", "timestamp": 3, "params": {"comment": "second"}},
        {"id": "2", "type": "incident_assigned", "timestamp": 2, "params": {"assignee": {"id": "u"}}},
        {"id": "1", "type": "incident_commented", "timestamp": 1, "params": {"comment": "first"}},
        {"id": "0", "type": "incident_commented", "timestamp": 0},
    ]

    assert comments_of({"items": items}) == comments_of(items) == ("second", "first")


@given(body=json_values)
def test_an_unexpected_shape_never_raises(body):
    for nested in (body, {"items": body}, {"Resources": body}, [body], [{"config": body, "id": "i", "name": "n"}]):
        assert isinstance(tag_definitions_of(nested), tuple)
        assert isinstance(users_of(nested), tuple)
        assert isinstance(comments_of(nested), tuple)
    assert isinstance(tag_definitions_of(priority(body, body)), tuple)
