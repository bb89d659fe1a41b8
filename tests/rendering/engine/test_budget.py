"""What a value costs that holds one list many times: as much as it takes to read it."""

import pytest

from relay.rendering.engine.budget import CHARACTERS_READ_FOR_ONE, TemplateRun, ValueTooLarge


def doubled(times, make=lambda inner: (inner, inner)):
    """A value that is small in memory and has 2 ** times entries to read on its lowest level."""
    value = ("x",)
    for _ in range(times):
        value = make(value)
    return value


@pytest.mark.parametrize(
    "make", [lambda inner: (inner, inner), lambda inner: [inner] * 2, lambda inner: {1: inner, 2: inner}]
)
def test_a_list_that_is_there_many_times_is_too_large_although_it_takes_little_memory(make):
    assert TemplateRun().made(value := doubled(10, make)) is value
    with pytest.raises(ValueTooLarge, match="entries with everything inside it"):
        TemplateRun().made(doubled(20, make))


def test_a_list_is_charged_as_often_as_it_is_read():
    run = TemplateRun()
    before = run.remaining
    run.charge_values(doubled(15))
    assert before - run.remaining > 2**15 / CHARACTERS_READ_FOR_ONE
