"""Which addresses become links."""

import pytest

from relay.rendering.blocks.urls import valid_url


@pytest.mark.parametrize("place", ["a{}b", "a?b={}", "{}"])
def test_direction_marks_in_an_address_are_encoded(place):
    for number in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        found = valid_url("https://evil.example/" + place.format(chr(number)))
        assert found is not None
        assert found.isascii()
