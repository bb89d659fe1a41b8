"""Untrusted JSON: a missing value, or one of an unexpected type, is empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.http.json_fields import object_field, objects_field, parse_object, text_field

VALUES = [None, 7, True, "text", ["text"], {"key": "value"}, [{"key": "value"}, 7]]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_of_an_unexpected_type_is_empty(value):
    source = {"name": value}

    assert text_field(source, "name") == (value if isinstance(value, str) else "")
    assert object_field(source, "name") == (value if isinstance(value, dict) else {})
    assert list(objects_field(source, "name")) == ([{"key": "value"}] if value == VALUES[-1] else [])


@given(text=st.text() | st.binary() | st.none())
def test_a_value_that_is_not_a_json_object_is_empty(text):
    assert parse_object(text) == {}


def test_a_json_object_is_parsed():
    assert parse_object('{"a": 1}') == parse_object(b'{"a": 1}') == {"a": 1}
