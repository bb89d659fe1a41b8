"""Where a text may be cut."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.rendering.blocks.characters import safe_cut


@pytest.mark.parametrize(
    "character", ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇮🇱", "e\u0301", "1\ufe0f\u20e3", "🏴\U000e0067\U000e0062\U000e007f"]
)
def test_a_cut_never_splits_a_visible_character(character):
    text = character * 30
    for end in range(len(text) + 1):
        assert safe_cut(text, end) % len(character) == 0
        assert end - safe_cut(text, end) < len(character)


@given(st.text(st.characters(categories=["L", "M", "S"]), max_size=80), st.integers(0, 80))
def test_a_cut_never_separates_an_accent_from_its_letter(text, end):
    place = safe_cut(text, end)
    assert place <= end
    if 0 < place < len(text) and end <= 40:
        assert unicodedata.category(text[place]) not in {"Mn", "Me", "Mc"}
