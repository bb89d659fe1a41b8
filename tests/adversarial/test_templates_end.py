"""Templates always end: whatever a template calls, and with whatever values, it costs little time and memory.

The values are small to write and large to read: lists that hold one list many times, long texts, numbers that ask for
many digits. They meet every filter, test, function and method that a template can call, and every statement. Times are
processor times of a process of its own, so that a busy machine changes no result.
"""

import random
import re
import sys
from itertools import product

import pytest

from relay.rendering.engine.sandbox import TemplateSandbox
from relay.routes.channel_template import parse_expression
from tests.support.template_cost import measuring

MOST_SECONDS, MOST_BYTES = 2.0, 200 << 20

SAMPLE = 1
"""How many values and arguments each callable meets, except in `make soak`."""

SLOW_ONCE = 0.1
"""Seconds from which a combination is another kind than one that ends with the same message, but sooner."""

SANDBOX = TemplateSandbox()

NAMED = {
    "ns": "{% set ns = namespace(t=(1,), u=(1,)) %}{% for i in range(15) %}"
    "{% set ns.t = (ns.t, ns.t) %}{% set ns.u = (ns.u, ns.u) %}{% endfor %}",
    "row": "{% set row = ['x' * 9000] * 300 %}",
    "long": "{% set long = 'aB ' * 10000 %}",
    "same": "{% set same = 'a' * 45000 %}",
    "sought": "{% set sought = 'a' * 20000 ~ 'b' ~ 'a' * 20000 %}",
}
"""`ns.t` and `ns.u` are equal, small in memory, and each has 32,768 entries to read; `row` is long to print."""
END = "{% section %}x{% endsection %}"
PRELUDE = "".join(NAMED.values()) + END


def with_names(expression, times=1):
    """A template that evaluates an expression, with the values that it names."""
    named = [source for name, source in NAMED.items() if re.search(rf"\b{name}\b", expression)]
    return "".join(named) + END + often(expression, times)


VALUES = ("ns.t", "row", "long", "same", "5", "-1.5", "incident.alerts", "incident", "tags", "'9' * 5000", "ns", "none")
ARGUMENTS = (
    *(
        "",
        "(ns.u)",
        "(row)",
        "(sought)",
        "(1000000000)",
        "(-1000000000)",
        "('a.' * 9000)",
        "(99000, true)",
        "(5, long)",
    ),
    *("(sought, sought)", "(('x', same), long)", "(ns.t, ns.u)", "(attribute='a.' * 9000 ~ 'a')", "('x', 'upper')"),
)

FILTERS = [f"{{value}} | {name}{{arguments}}" for name in SANDBOX.filters]
MAPS = [f"{{value}} | map('{name}') | list" for name in SANDBOX.filters]
TESTS = [f"{{value}} is {name}{{arguments}}" for name in SANDBOX.tests if name.isidentifier()]
METHODS = [
    f"({{value}}).{name}{{arguments}}"
    for owner in ("", (), [], {}, range(0))
    for name in dir(owner)
    if name[0] != "_" and SANDBOX.is_safe_attribute(owner, name, getattr(owner, name))
]
FUNCTIONS = [f"{name}{{arguments}}" for name in (*SANDBOX.globals, "cycler(ns.t, ns.u).next", "joiner(long)")]
OPERATORS = [
    f"{{value}} {sign} {other}"
    for sign in ("+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and")
    for other in ("ns.u", "row", "long", "10 ** 9", "-5", "(10 ** 50)")
]


def often(expression, times=1):
    """Evaluate it in a tag, so that an error does not end the rest."""
    tag = f"{{% section %}}{{% if {expression} %}}{{% endif %}}{{% endsection %}}"
    return f"{{% for _ in range({times}) %}}{tag}{{% endfor %}}" if times > 1 else tag


@pytest.fixture(scope="module")
def measure():
    """Takes sources, and says what each costs."""
    with measuring() as measure:
        yield measure


@pytest.fixture
def over(measure):
    """Takes sources; those that took too much, with what they took."""

    def over(sources, most_seconds=MOST_SECONDS):
        sources = list(sources)
        return [
            (source.removeprefix(PRELUDE)[:300], str(cost))
            for source, cost in zip(sources, measure(sources), strict=True)
            if cost.signal or cost.seconds > most_seconds or cost.memory > MOST_BYTES
        ]

    return over


def expressions(form):
    arguments = ARGUMENTS if "{arguments}" in form else ("",)
    return [form.format(value=value, arguments=each) for value, each in product(VALUES, arguments)]


ALL_FORMS = {
    "filters": FILTERS,
    "map": MAPS,
    "tests": TESTS,
    "methods": METHODS,
    "functions": FUNCTIONS,
    "operators": OPERATORS,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL_FORMS)
def test_every_call_in_a_template_ends_soon(kind, over):
    """Each callable, a sample of values and arguments, once."""
    chosen = random.Random(kind)
    groups = [chosen.sample(all_of, min(SAMPLE, len(all_of))) for all_of in map(expressions, ALL_FORMS[kind])]
    assert not over(with_names(each) for group in groups for each in group)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ALL_FORMS)
def test_every_combination_of_calls_ends_soon_even_if_repeated(kind, measure, over):
    """All combinations once. Those of one callable that end alike are of one kind; the slowest of each is repeated."""
    combinations = [each for form in ALL_FORMS[kind] for each in expressions(form)]
    forms = [form for form in ALL_FORMS[kind] for _ in expressions(form)]
    costs = measure([with_names(each) for each in combinations], check=False)
    assert [each for each, cost in zip(combinations, costs, strict=True) if cost.signal] == []
    slowest = {}
    for form, each, cost in zip(forms, combinations, costs, strict=True):
        alike = form, *(re.sub(r"[0-9]+", "", failure) for failure in cost.failures), cost.seconds > SLOW_ONCE
        slowest[alike] = max(slowest.get(alike, (0.0, "")), (cost.seconds, each))
    assert not over(with_names(each, 1000) for _, each in slowest.values())


@pytest.mark.parametrize("width", [-1, -1_000_000_000])
def test_a_negative_number_gives_no_steps_back(width, measure):
    """The bug: `indent` with a negative width gave steps back, so that a loop around it never ran out of them."""
    counted = [
        *(
            f"'a' | indent({width})",
            f"same | wordwrap({width})",
            f"'a' | center({width})",
            f"'%{width}s' | format('a')",
        ),
        *(f"[1] | batch({width})", f"'a' * {width}", f"range({width})", f"'a' | truncate({width})", f"same[{width}:]"),
    ]
    costs = measure([with_names(f"range({width}), {each}", 300) for each in counted], check=False)
    assert not [each for each, cost in zip(counted, costs, strict=True) if cost.seconds > 2 or cost.signal]
    spent = (
        "{% for i in range(1000) %}{% for j in range(1000) %}{{ 'a' | indent("
        + str(width)
        + ") }}{% endfor %}{% endfor %}"
    )
    [cost] = measure([END + spent], check=False)
    assert any("300,000 steps" in each for each in cost.failures)


@pytest.mark.parametrize(
    "keys",
    [
        "same | groupby(5, long)",
        "same | groupby(5, default=long)",
        "([[long]] * 10) | sort(attribute='0,' * 1000)",
        "[[same]] | sort(attribute='0,' * 40000)",
        "([{'a': long}] * 10) | sort(attribute='a,' * 1000)",
        "([[[long]] * 10] * 2) | map('sort', attribute='0,' * 1000) | list",
        "([incident] * 9000) | sort(attribute='title,' * 20)",
    ],
)
def test_no_filter_keeps_a_copy_of_a_long_key_for_each_lookup(keys, over):
    """The bug: `sort` and `groupby` put each key into lower case, also a default or a key that is asked for often."""
    assert not over(with_names(keys, times) for times in (1, 1000))


def test_a_value_that_is_too_large_costs_steps_although_it_fails(over):
    assert not over(
        [PRELUDE + often(f"({each})", 1000) for each in ("cycler(ns.t, ns.u).next(ns.t, ns.u)", "[row] * 9000")]
    )


KNOTS = {
    "namespace": "{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}",
    "list": "{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}",
    "mapping": "{% for i in range(60) %}{% set ns.t = {1: ns.t, 2: ns.t} %}{% endfor %}",
    "product": "{% for i in range(60) %}{% set ns.t = [ns.t] * 2 %}{% endfor %}",
    "sum": "{% for i in range(60) %}{% set ns.t = [ns.t] + [ns.t] %}{% endfor %}",
    "names": "{% set k = (1,) %}" + "{% set k = (k, k) %}" * 60 + "{% set ns.t = k %}",
    "varargs": "{% macro m() %}{% set ns.t = varargs %}{% endmacro %}"
    "{% for i in range(60) %}{{ m(ns.t, ns.t) }}{% endfor %}",
    "kwargs": "{% macro m() %}{% set ns.t = kwargs %}{% endmacro %}"
    "{% for i in range(60) %}{{ m(a=ns.t, b=ns.t) }}{% endfor %}",
    "namespaces": "{% for i in range(60) %}{% set ns.t = namespace(a=ns.t, b=ns.t) %}{% endfor %}",
    "itself": "{% set ns.t = [ns] %}{% set ns.u = [ns] %}{% set ns.ns = ns %}",
    "cycler": "{% for i in range(60) %}{% set ns.t = cycler(ns.t, ns.t).items %}{% endfor %}",
    "items": "{% for i in range(60) %}{% set ns.t = {1: ns.t, 2: ns.t}.items() | list %}{% endfor %}",
    "batch": "{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] | batch(2, ns.t) | list %}{% endfor %}",
    "fill": "{% for i in range(60) %}{% set ns.t = [1] | slice(2, ns.t) | list %}{% endfor %}",
    "groups": "{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] | groupby('a') %}{% endfor %}",
    "map": "{% for i in range(60) %}{% set ns.t = [1, 2] | map('default', ns.t) %}{% endfor %}",
    "fromkeys": "{% for i in range(60) %}{% set ns.t = {}.fromkeys([1, 2], ns.t) %}{% endfor %}",
    "chain": "{% for i in range(300) %}{% set ns.t = ns.t" + " | map('upper')" * 40 + " %}{% endfor %}",
    "deep": "{% for i in range(1000) %}{% set ns.t = " + "(" * 40 + "ns.t" + ",)" * 40 + " %}{% endfor %}",
}
READS = (
    *("{}.get(ns.t)", "{}[ns.t]", "{ns.t: 1}", "ns.t == ns.u", "ns.t in [ns.u]", "ns.t is eq ns.u", "[].index(ns.t)"),
    *(
        "ns.t | string",
        "ns.t ~ ''",
        "'%s' % [ns.t]",
        "'%s' | format(ns.t)",
        "[ns.t, ns.u] | unique",
        "ns.t()",
        "ns.t.x()",
    ),
    *("[[ns.t], [ns.u]] | sort", "[ns.t].count(ns.u)", "[ns.t][ns.t]", "loop.changed(ns.t)", "'x' | truncate(ns.t)"),
)


def knot_source(knot):
    """Make one, make an equal one, print and read them."""
    begin = "{% set ns = namespace(t=(1,), u=(1,)) %}{% section %}" + knot + "{% endsection %}"
    copy = "{% set ns.v = ns.t %}{% set ns.t = (1,) %}" + knot + "{% set ns.u = ns.v %}"
    printed = "{% section %}{{ ns.t }}{% endsection %}{% section %}{{ ns }}{% endsection %}"
    reads = "{% for i in range(3) %}" + "".join(map(often, READS)) + "{% endfor %}"
    return begin + "{% section %}" + copy + "{% endsection %}" + printed + reads


def test_no_value_that_a_template_builds_is_endless(over):
    assert not over(map(knot_source, KNOTS.values()))


FORMATS = [
    '"%1000000000s" | format("x")',
    '"%.1000000000f" | format(1)',
    '"%(a)1000000000s" | format(a="x")',
    '"%(a)-1000000000s" | format(a="x")',
    '"%(a)0.1000000000f" | format(a=1)',
    '"%(a(b))1000000000s" | format(**{"a(b)": 1})',
    '"%*d" | format(1000000000, 1)',
    '"%.*f" | format(1000000000, 1)',
    '"%-+ #01000000000d" | format(1)',
    '"%l1000000000d" | format(1)',
    '"%1000000000%" | format()',
    '"%1000000000c" | format(65)',
    '"%1000000000x" % 5',
    '"%(a)1000000000s" % {"a": 1}',
    '("%(a)s" * 20000) | format(a="x" * 90000)',
    '("%s" * 30000) | format(*(["x" * 90000] * 30000))',
    '("%99s" * 30000) | format(*(["x"] * 30000))',
    '("%r" * 9) | format(*(["\\U0010ffff" * 30000] * 9))',
]


def test_every_format_is_bounded(over):
    assert not over("{% section %}x{% endsection %}" + often(each, times) for each in FORMATS for times in (1, 1000))


CONSTANTS = [
    '"x" | indent(99000, first=true)',
    '"x" * 99000',
    '["x"] * 99000',
    "2 ** 500",
    '"%99s" | format(1)',
    '"x" | center(99000)',
    "range(1000) | list",
    "5 | round(-1000000000)",
    '1.5 | round(1000000000, "ceil")',
    '("f" * 90000) | int(0, 16)',
    '"x" | replace("", "y" * 90000)',
    "[[1] * 9000] * 9000 == [[1] * 9000] * 9000",
]


def test_a_check_computes_no_constants(measure):
    [cost] = measure(['{{ "x" | indent(99000, first=true) }}' * 800])
    assert cost.memory < 50 << 20, str(cost)


@pytest.mark.soak
def test_constants_cost_nothing_while_a_file_is_compiled(over):
    """Once; as often as a file may hold it; and in each of its forms: printed, tested and assigned."""
    forms = ("{{{{ {} }}}}", "{{% if {} %}}{{% endif %}}", "{{% set x = {} %}}")
    assert not over(form.format(each) * times for each in CONSTANTS for form in forms for times in (1, 400))


def block(inside, times):
    return inside * (times // len(inside) + 1)


SIZE = 250_000
"""Characters of a file; 256 KiB are allowed."""

QUICK, QUICK_SECONDS = 6_000, 6.0 if "coverage" in sys.modules else 1.5
"""Characters of a file that are enough to see what grows without bound; `make soak` has files of the largest size.

The costliest file takes 0.45 s of processor time, and four times as long while coverage is measured.
"""

UNFINISHED = [
    *(
        "{#",
        "{# ",
        "{%",
        "{% \n",
        "{{",
        "{{ ",
        "{% raw %}",
        "{%raw%}\n",
        "{% pre %}",
        "{% blocks %}",
        "{% blocks %}\n- ",
    ),
    *("{% a ", "{% if x %}", "{% for x in y %}\n", "{% set x %}", "{{ '", '{{ "', "((", "{{ (", "{{ [", "{{ {1:"),
    *(
        "{{ x|",
        "{{ x }}",
        "{{ x|nofilter }}",
        "{{ incident.nothing }}",
        "{{ noname }}",
        "{% include 'no' %}",
        "{% nope %}",
    ),
    *("{% divider %}", "{{ '*<' }}", "{%- ", "-%}", "#}", "%}", "\n", "  \n", "{{ x.y }}", "{{ -", "{{ not ", "{{ x~"),
]
REPEATED = [
    *(("", each, "") for each in UNFINISHED),
    *(("\n" * 9, each, "%}#}") for each in ("{%\n", "{#\n", "{{\n", "{% raw %}\n")),
    *(("{% blocks %}", each, "{% endblocks %}") for each in ("[", "- {type: divider}\n", "- &a [*a, *a]\n")),
    *(("{{ ", each, " }}") for each in ("9", "-", "not ")),
    ("{{ 0x", "f", " }}"),
    ("{{ " + "1e" * 9, "9", " }}"),
    *(("{{ x", each, " }}") for each in ("|upper", ".y", "[0]")),
    ("{{ 1", "+1", " }}"),
    *(("{{ ", each, "{{") for each in ("'' ", "\"\" ~ ''", "don't ", "\"'")),
    ("{% set x = [", "'a', ", "{{"),
    ("{%", "'%}", ""),
    ("", "text", "{% include 'card.j2' %}{% include 'card.j2' %}"),
]
"""What a file begins with, holds many times, and ends with."""

ENDLESS = [
    "{% autoescape true %}{{ '<!--' * 9000 }}{% endautoescape %}",
    *("{% " + tag + " %}" for tag in ("extends 'card.j2'", "include 'card.j2'", "import 'card.j2' as x")),
    "{% set l = [0] * 90000 %}{% for i in range(1000) %}{% for j in l if 0 %}{% endfor %}{% endfor %}",
    "{% for i in range(1000) %}{% for j in range(1000) %}{{ incident.alerts.hosts }}{% endfor %}{% endfor %}",
    "{% set l = ['x' * 90000] * 25 %}{% for i in range(1000) %}{% section %}{{ l }}{% endsection %}{% endfor %}",
    "{% for i in range(1000) %}{% section %}x{% divider %}{% endsection %}{% endfor %}",
]


def files(size):
    return [opening + block(each, size - len(opening + end)) + end for opening, each, end in REPEATED] + ENDLESS


def test_no_file_takes_long_to_compile_check_and_render(over):
    assert not over(files(QUICK), QUICK_SECONDS)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_no_large_file_takes_long_to_compile_check_and_render(over):
    assert not over(files(SIZE), 2 * MOST_SECONDS)


ESCAPED_QUOTES = [
    '{{ "' + begins + each * 20_000 + ends
    for each, begins, ends in (
        ('\\"', "", ""),
        ('\\"', "", '" {{'),
        ('\\"', "\n", '\n" }}'),
        ("\\'\\\"", "", '" ~ ' + "x" * 20_000),
    )
]


def test_a_string_with_many_escaped_quotes_is_checked_in_linear_time(over):
    """The bug: each escaped quote could begin a string of its own, which was read to its end."""
    assert not over(ESCAPED_QUOTES)


NESTED = {
    "if": ("{% if 1 %}", "{% endif %}"),
    "for": ("{% for x in y %}\n", "{% endfor %}"),
    "recursive": ("{% for x in y if x recursive %}", "{% endfor %}"),
    "macro": ("{% macro m() %}", "{% endmacro %}"),
    "section": ("{% section %}", "{% endsection %}"),
    "call": ("{% call m() %}", "{% endcall %}"),
    "set": ("{% set x %}", "{% endset %}"),
    "brackets": ("(", ")"),
    "list": ("[", "]"),
    "choice": ("(1 if x else ", ")"),
}


def nested_source(opening, closing, levels):
    inner = opening * levels + "1" + closing * levels
    return "{% section %}x{% endsection %}\n" + (inner if "%" in opening else "{{ " + inner + " }}")


@pytest.mark.parametrize(
    "all_levels", [(10, 45, 90, 1000), pytest.param((25, 60, 70, 300, 3000), marks=pytest.mark.soak)], ids=str
)
def test_deep_nesting_works_or_is_a_fault_with_a_line(all_levels, measure):
    sources = [nested_source(*each, levels) for each in NESTED.values() for levels in all_levels]
    for cost in measure(sources):
        assert not cost.signal
        assert all(said.split(":")[1] != "0" for said in (*cost.faults, *cost.failures)), cost
        assert not any("report" in fault for fault in cost.faults)


def test_a_channel_expression_makes_no_long_text():
    with pytest.raises(ValueError, match="limit is 500"):
        parse_expression("#inc-{{ 'a'" + " | replace('a', 'aaaaaaaaaa')" * 30 + " }}")
    grows = parse_expression("#inc-{{ 'a'" + " | replace('a', 'aaaaaaaaaa')" * 12 + " }}")
    assert "limit" in grows.resolve(dict).reason
