"""Templates always end: whatever a template calls, and with whatever values, it costs little time and memory.

The values are small to write and large to read: lists that hold one list many times, long texts, numbers that ask for
many digits. They meet every filter, test, function and method that a template can call, and every statement.
"""

import re

import pytest

from relay.rendering.engine.sandbox import TemplateSandbox
from tests.support.template_cost import template_costs

MOST_SECONDS, MOST_BYTES = 2.0, 200 << 20

SANDBOX = TemplateSandbox()

KNOT = (
    "{% set ns = namespace(t=(1,), u=(1,)) %}{% for i in range(16) %}"
    "{% set ns.t = (ns.t, ns.t) %}{% set ns.u = (ns.u, ns.u) %}{% endfor %}"
)
"""Two equal tuples, small in memory, each of them with 65,536 entries to read."""

WIDE = "{% set row = ['x' * 9000] * 300 %}"
"""A list that is long to print."""

LONG = "{% set long = 'aB ' * 30000 %}{% set same = 'a' * 45000 %}{% set sought = 'a' * 20000 ~ 'b' ~ 'a' * 20000 %}"

VALUES = ("ns.t", "row", "long", "same", "5", "-1.5", "incident.alerts", "incident", "tags", "'9' * 5000", "ns", "none")
ARGUMENTS = ("ns.u", "row", "sought", "1000000000", "-1000000000", "'a.' * 9000", "'a,' * 9000", "99000, true")
"""Positional arguments, for whatever they mean to what is called."""

METHODS = sorted(
    {(type(value).__name__, name) for value in ("", (), [], {}, range(0)) for name in dir(value) if name[0] != "_"}
)
OWNERS = {
    "str": ("long", "same"),
    "tuple": ("ns.t",),
    "list": ("row",),
    "dict": ("incident", "{1: ns.t}"),
    "range": ("range(1000)",),
}


def often(expression, times=40):
    """Evaluate it again and again; each time in a tag, so that an error does not end the rest."""
    return f"{{% for _ in range({times}) %}}{{% section %}}{{% if {expression} %}}{{% endif %}}{{% endsection %}}{{% endfor %}}"


def calls(template):
    """Expressions with each value, alone and with each argument."""
    for value in VALUES:
        yield template.format(value=value, arguments="")
        for arguments in ARGUMENTS:
            yield template.format(value=value, arguments=f"({arguments})")


def filter_sources():
    for name in SANDBOX.filters:
        yield name, calls(f"{{value}} | {name}{{arguments}}")
        yield f"map({name})", [f"{value} | map('{name}') | list" for value in ("row", "ns.t", "long", "incident.alerts")]
    for name in ("map", "sort", "groupby", "join", "sum", "max", "unique", "selectattr"):
        path = "'" + "a." * 9000 + "a'"
        yield f"{name}(attribute)", [f"(range(1000) | list) | {name}(attribute={path})"]


def test_sources():
    for name in SANDBOX.tests:
        if re.fullmatch(r"\w+", name):
            yield name, calls(f"{{value}} is {name}{{arguments}}")


def method_sources():
    for owner, name in METHODS:
        for value in OWNERS[owner]:
            arguments = ("", *ARGUMENTS, "ns.t, ns.u", "sought, sought", "('x', same), long")
            yield f"{owner}.{name}", [f"({value}).{name}({each})" for each in arguments]


SMALL_SAMPLE = 6
"""How many sources the quick test measures in one process of their own; the others are left to `make soak`."""

PRELUDE = KNOT + WIDE + LONG


def sources_of(groups):
    """One source for each group: it evaluates all of its expressions, a few times each."""
    return {name: PRELUDE + "{% section %}x{% endsection %}" + "".join(map(often, each)) for name, each in groups}


def check(sources):
    costs = dict(zip(sources, template_costs(list(sources.values())), strict=True))
    over = {
        name: str(cost)
        for name, cost in costs.items()
        if cost.signal or cost.seconds > MOST_SECONDS or cost.memory > MOST_BYTES
    }
    assert not over
    return costs
