"""What a value costs that holds one list many times: as much as it takes to read it. No value is too deep to read."""

import pytest

from relay.rendering.engine.budget import CHARACTERS_READ_FOR_ONE, TemplateRun, ValueTooLarge


def nested(times, make=lambda inner: (inner, inner)):
    """A value that is small in memory, and by default has 2 ** times entries to read on its lowest level."""
    value = ("x",)
    for _ in range(times):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "make", [lambda inner: (inner, inner), lambda inner: [inner] * 2, lambda inner: {1: inner, 2: inner}]
)
def test_a_list_that_is_there_many_times_is_too_large_although_it_takes_little_memory(make):
    assert TemplateRun().made(value := nested(10, make)) is value
    with pytest.raises(ValueTooLarge, match="entries with everything inside it"):
        TemplateRun().made(nested(20, make))


def test_a_list_is_charged_as_often_as_it_is_read():
    run = TemplateRun()
    before = run.remaining
    run.charge_values(nested(15))
    assert before - run.remaining > 2**15 / CHARACTERS_READ_FOR_ONE


def test_a_list_inside_lists_is_too_deep_although_it_has_few_entries():
    assert TemplateRun().made(value := nested(10, lambda inner: [inner])) is value
    with pytest.raises(ValueTooLarge, match="levels deep"):
        TemplateRun().made(nested(1000, lambda inner: [inner]))
