"""No template runs or grows without end, or reaches Python."""

import time

import pytest

from relay.model.incident import Tag
from relay.rendering.card import render_card
from relay.rendering.engine import budget
from tests.support.rendering_samples import (
    alert,
    card,
    check_message,
    incident,
    library,
    packaged,
    render_request,
    shown_text,
)

BIG = "{% set big = 'xy z ' * 16000 %}"


LOOPS = "{% for i in range(1000) %}{% for j in range(9) %}...{% endfor %}{% endfor %}"


NEST = (
    "{% set row, equal = ['x'] * 9000, ['x'] * 9000 %}{% set nest, other = [row] * 9000, [equal] * 9000 %}"
    "{% set nest, other = [nest] * 9000, [other] * 9000 %}"
)
"""Small in memory, and without end where all of it is read."""


KNOT = "{% set knot = (1,) %}" + "{% set knot = (knot, knot) %}" * 60


EXPENSIVE = [
    "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% macro twice(n) %}{{ twice(n + 1) }}{{ twice(n + 1) }}{% endmacro %}{{ twice(0) }}",
    "{% macro forever() %}{{ forever() }}{% endmacro %}{{ forever() }}",
    '{% include "card.j2" %}{% include "card.j2" %}',
    '{% import "card.j2" as a %}{% import "card.j2" as b %}',
    '{% from "card.j2" import a %}{% from "card.j2" import b %}',
    '{% extends "card.j2" %}',
    "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ ['x'] * 10 ** 9 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ (2 ** 500) * (2 ** 500) * (2 ** 600) }}",
    "{{ range(10 ** 9) | list }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ '%*d' | format(1000000000, 1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x'['format']() }}",
    "{{ ['{:1000000000}'] | map(attribute='format') | first }}",
    "{{ 'x'.ljust(10 ** 9) }}{{ 'x'.center(10 ** 9) }}{{ 'x'.zfill(10 ** 9) }}{{ '\t'.expandtabs(10 ** 9) }}",
    "{{ (1).to_bytes(10 ** 9) }}",
    "{{ 'x' | indent(10 ** 9, first=true) }}",
    "{{ ['x'] | batch(10 ** 9, 'y') | list }}",
    "{{ ['x'] | slice(10 ** 9) | list }}",
    "{{ ('x' * 50000).replace('x', 'x' * 50000) }}",
    "{{ ('x' * 50000) | replace('x', 'x' * 50000) }}",
    "{{ ('x' * 50000).join(range(1000) | map('string')) }}",
    "{{ range(1000) | join('x' * 50000) }}",
    "{% set n = namespace(x='x' * 1000) %}{% for i in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='x' * 1000) %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x %}{{ n.x * 2 }}{% endset %}{% endfor %}",
    "{% for i in range(1000) %}{% for j in range(1000) %}" + "static text " * 500 + "{% endfor %}{% endfor %}",
    "{% set n = namespace(x=[0]) %}{% for i in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% for i in [1] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    *(
        BIG + LOOPS.replace("...", done)
        for done in (
            "{% if big | sort %}{% endif %}",
            "{% if big | upper | lower | title | urlencode %}{% endif %}",
            "{% if big | map('upper') | list %}{% endif %}",
            "{% if big | linkify | code %}{% endif %}",
            "{% if big.split('x') %}{% endif %}",
            "{% if 'q' in big %}{% endif %}",
            "{% if big is in [big ~ 'q'] %}{% endif %}",
            "{% if big[::-1] %}{% endif %}",
        )
    ),
    NEST + "{{ nest | string | length }}",
    NEST + "{{ nest | upper | length }}",
    NEST + "{{ ('%s' | format(nest)) | length }}",
    NEST + "{{ ('%s' % nest) | length }}",
    NEST + "{{ (nest ~ '') | length }}",
    NEST + "{% if nest == other %}{% endif %}",
    NEST + "{% if nest is eq other %}{% endif %}",
    NEST + "{{ [[nest, other], [other, nest]] | sort }}",
    KNOT + "{{ {knot: 1}[knot] }}",
    "{{ ([[0] * 1000] * 1000) | sum(start=[]) | length }}",
]


@pytest.mark.slow
@pytest.mark.parametrize("source", EXPENSIVE)
def test_no_template_can_run_or_grow_without_end(source):
    started = time.process_time()
    rendered = card(source)
    assert time.process_time() - started < 10
    check_message(rendered)
    assert rendered.failures


@pytest.mark.slow
@pytest.mark.parametrize("source", EXPENSIVE)
def test_a_tag_that_exceeds_the_budget_does_not_cost_the_message(source, monkeypatch):
    monkeypatch.setattr(budget, "RUN_BUDGET", budget.RUN_BUDGET // 3)
    check_message(
        card(
            "{% section %}first{% endsection %}{% section %}"
            + source.replace("{% extends", "{% include")
            + "{% endsection %}"
        )
    )


@pytest.mark.parametrize(
    "expression",
    [
        "incident.__class__",
        "''.__class__.__mro__",
        "incident['__class__']",
        "tags.__init__.__globals__",
        "incident.alerts._incident",
        "incident.alerts.__init__.__globals__",
        "tags._by_name",
        "self._TemplateReference__context",
        "range.__globals__",
        "cycler.__init__.__globals__",
        "(1).real",
        "environment.__dict__",
    ],
)
def test_templates_cannot_reach_python(expression):
    assert shown_text(
        card("{% section %}[{{ " + expression + " }}]{% endsection %}{% section %}x{% endsection %}")
    ) in {
        "[]\nx",
        "x",
    }


@pytest.mark.parametrize(
    "statement", ["{% do incident.update({}) %}", "{{ incident.clear() }}", "{{ tags.shown.append(1) }}"]
)
def test_a_template_cannot_change_its_variables(statement):
    given = render_request()
    before = (dict(given.variables["incident"]), list(given.variables["tags"].shown))
    render_card(
        library(card="{% section %}x{% endsection %}{% section %}" + statement + "{% endsection %}"), "incident", given
    )
    assert (dict(given.variables["incident"]), given.variables["tags"].shown) == before


def test_each_run_has_its_own_budget_and_failures():
    shared = library(card="{% section %}{{ 'x' * 90000 }}{% endsection %}{% section %}{{ 1 / 0 }}{% endsection %}")
    rendered = [render_card(shared, "incident", render_request()) for _ in range(10)]
    assert [len(each.failures) for each in rendered] == [1] * 10
    assert not any(each.builtin for each in rendered)


@pytest.mark.parametrize(("number", "length"), [(300, 4_000), (1, 9_000_000)])
def test_very_long_texts_are_cut_without_a_failure(number, length):
    verbose = incident(alerts=tuple(alert(each, description="word " * (length // 5)) for each in range(number)))
    listing = "{% section %}{{ alert.description }}{% endsection %}"
    own = card("{% for alert in incident.alerts.worst %}" + listing + "{% endfor %}", verbose)
    for rendered in (own, render_card(packaged(), "incident", render_request(verbose))):
        check_message(rendered)
        assert (rendered.failures, rendered.builtin) == ((), False)


def test_jinja_in_a_value_is_only_text():
    assert (
        shown_text(card("{{ incident.title }}", incident(title="{{ 7 * 7 }}{% raw %}"))) == "{{ 7 \u034f* 7 }}{% raw %}"
    )


@pytest.mark.parametrize(
    "name", ["items", "values", "keys", "get", "pop", "count", "index", "title", "update", "clear"]
)
def test_a_tag_may_have_the_name_of_a_method(name):
    of = incident(
        tags=(Tag(id=name, name=name, values=("of the incident",)),),
        alerts=(alert(1, tags={"host": ("h",), name: ("of the alert",)}),),
    )
    shown = shown_text(card(f"{{{{ tags.{name} }}}}, {{{{ incident.alerts[0].tags.{name} }}}}", of))
    assert shown == "of the incident, of the alert"


def test_a_tag_name_hides_none_of_the_lists_of_tags():
    of = incident(tags=(Tag(id="rest", name="rest", values=("r",)), Tag(id="x", name="x", values=("y",))))
    source = '{{ tags.rest | length }} {{ tags["rest"] }} '
    source += "{% for name, value in tags.items() %}{{ name }}={{ value }} {% endfor %}"
    assert shown_text(card(source, of)) == "0 r rest=r x=y"
