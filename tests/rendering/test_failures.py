"""A template that fails costs what failed, never the message; and no template can run for long."""

import time

import pytest

from relay.model.incident import Snooze, State
from relay.rendering.card import render_card
from relay.rendering.reply import render_reply
from relay.rendering.request import TemplateFailure
from tests.support.rendering_samples import alert, card, incident, judge, library, packaged, said, scene

FAILING = "{{ incident.title.nothing() }}"


def test_a_part_that_fails_is_left_out_and_told_with_its_file_and_line():
    rendered = card(
        "{% section %}one{% endsection %}\n\n{% section %}two\n"
        + FAILING
        + "{% endsection %}\n{% section %}three{% endsection %}"
    )
    judge(rendered)
    assert said(rendered) == "one\nthree"
    assert not rendered.builtin
    [failure] = rendered.failures
    assert (failure.file, failure.line) == ("incident/card.j2", 4)
    assert '"nothing" has no value here' in failure.message
    assert failure.absent_value


def test_a_failure_in_a_macro_is_told_where_it_stands():
    files = library(
        tools="{% macro broken() %}\n{{ 1 / 0 }}{% endmacro %}",
        card='{% from "tools.j2" import broken %}{% section %}a{% endsection %}'
        "{% context %}{{ broken() }}{% endcontext %}",
    )
    rendered = render_card(files, "incident", scene())
    assert said(rendered) == "a"
    assert [(each.file, each.line) for each in rendered.failures] == [("incident/tools.j2", 2)]


def test_an_argument_that_fails_costs_only_the_argument():
    rendered = card("{% fields %}{% field " + "incident.title.nothing()" + " %}value{% endfield %}{% endfields %}")
    assert said(rendered) == "value"
    assert len(rendered.failures) == 1


def test_a_failure_outside_of_any_part_gives_the_built_in_card_which_says_so():
    rendered = card("{% section %}one{% endsection %}\n" + FAILING, mentions=("S0A",), notices=("mind this",))
    judge(rendered, ("S0A",))
    assert rendered.builtin
    told = said(rendered)
    assert "🔴 db-117 · lag" in told
    assert "*Critical* · 3 alerts: 2 critical, 1 warning · Production" in told
    assert "assigned to *Ann Lee*" in told
    assert "• db-117 · lag" in told
    assert "Open in BigPanda" in told
    assert told.endswith("mind this · built-in card: the template failed (incident/card.j2:2)")


@pytest.mark.parametrize(
    "source", ["", "  \n", "{% if false %}x{% endif %}", "{% section %} {% endsection %}", "{% mentions %}"]
)
def test_a_template_that_prints_nothing_gives_the_built_in_card(source):
    rendered = card(source)
    judge(rendered)
    assert rendered.builtin
    assert rendered.failures[-1].message == "it prints nothing"


def test_a_file_that_does_not_compile_gives_the_built_in_card_and_leaves_the_others_alone():
    files = library(card="{% section %}", comment="told: {{ entry.text }}")
    rendered = render_card(files, "incident", scene())
    assert rendered.builtin
    assert rendered.failures == (
        TemplateFailure(file="incident/card.j2", line=1, message=rendered.failures[0].message),
    )
    reply = render_reply(files, "incident", scene(), [{"kind": "comment", "text": "x"}])
    assert said(reply) == "told: x"
    assert not reply.builtin


def test_in_a_reply_only_the_entry_that_fails_is_told_by_relay_itself():
    files = library(comment=FAILING, status="now {{ entry.new }}")
    entries = [{"kind": "status", "new": "critical"}, {"kind": "comment", "actor": "Dana", "text": "looked <at> it"}]
    reply = render_reply(files, "incident", scene(), entries)
    judge(reply)
    assert said(reply) == (
        "now critical\n💬 *Dana*:\n> looked &lt;at&gt; it\n"
        "built-in wording: the template failed (incident/comment.j2:1)"
    )
    assert reply.builtin


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"kind": "status", "old": "warning", "new": "critical"}, "Warning → *Critical* ({when})"),
        ({"kind": "status", "text": "flapped", "now": "critical"}, "Flapped, now *Critical* ({when})"),
        ({"kind": "comment", "text": "on it", "actor": "*Dana*"}, "💬 *Dana* ({when}):"),
    ],
)
def test_the_built_in_wording_says_when_where_it_is_late(entry, line):
    broken = library(status="{% broken", comment="{% broken")
    reply = render_reply(broken, "incident", scene(), [{**entry, "at": 1649576282, "late": True}])
    when = "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>"
    assert said(reply).split("\n")[0] == line.format(when=when)


def test_the_built_in_card_of_what_is_over_is_one_line():
    over = incident(state=State.RESOLVED, active=False, started=1_000, ended=1_000 + 4_320)
    told = said(render_card(library(card="{% broken"), "incident", scene(over)))
    assert "*Resolved* after 1 h 12 min · Production · was assigned to *Ann Lee*\nOpen in BigPanda" in told


def test_the_built_in_card_says_that_it_is_snoozed():
    snoozed = incident(snooze=Snooze(snoozed=True, wake=1649576282))
    told = said(render_card(library(card="{% broken"), "incident", scene(snoozed)))
    assert "· Production · snoozed until <!date^1649576282^" in told


def test_every_kind_of_entry_has_a_built_in_wording():
    kinds = ["status", "comment", "assignment", "snooze", "tags", "alerts", "changes", "resolved", "reopened", "other"]
    broken = library(**dict.fromkeys(kinds, "{% broken"))
    entry = {
        "old": "warning",
        "new": "critical",
        "text": "",
        "actor": "Dana",
        "lasted": 60,
        "joined": 2,
        "total": 5,
        "items": [
            {
                "label": "Team",
                "old": "a",
                "new": "b",
                "title": "db · lag",
                "identifier": "C-1",
                "url": "https://x.example",
            }
        ],
    }
    told = {
        kind: said(render_reply(broken, "incident", scene(), [{**entry, "kind": kind}])).split("\n")[0]
        for kind in kinds
    }
    assert told == {
        "status": "Warning → *Critical*",
        "comment": "💬 *Dana*:",
        "assignment": "Assigned to *critical* by Dana",
        "snooze": "Snooze ended",
        "tags": "*Team* a → *b*",
        "alerts": "Alerts: 2 joined (5 now)",
        "changes": "🔧 <https://x.example|C-1>",
        "resolved": "✅ Resolved by *Dana* after 1 min",
        "reopened": "🔴 Reopened: *Critical*",
        "other": "Other",
    }


def test_a_reply_in_which_nothing_is_printed_still_says_something():
    reply = render_reply(library(tags=""), "incident", scene(), [{"kind": "tags", "items": []}])
    judge(reply)
    assert said(reply).startswith("Tags")


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


@pytest.mark.parametrize("source", EXPENSIVE)
def test_no_template_can_run_or_grow_without_end(source):
    started = time.process_time()
    rendered = card(source)
    assert time.process_time() - started < 10
    judge(rendered)
    assert rendered.failures


@pytest.mark.parametrize("source", EXPENSIVE)
def test_what_costs_too_much_in_a_part_does_not_cost_the_message(source):
    judge(
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
        "tags._words",
        "self._TemplateReference__context",
        "range.__globals__",
        "cycler.__init__.__globals__",
        "(1).real",
        "environment.__dict__",
    ],
)
def test_python_is_out_of_reach(expression):
    assert said(card("{% section %}[{{ " + expression + " }}]{% endsection %}{% section %}x{% endsection %}")) in {
        "[]\nx",
        "x",
    }


@pytest.mark.parametrize(
    "statement", ["{% do incident.update({}) %}", "{{ incident.clear() }}", "{{ tags.shown.append(1) }}"]
)
def test_a_template_changes_nothing_of_what_it_is_given(statement):
    given = scene()
    before = (dict(given.variables["incident"]), list(given.variables["tags"].shown))
    render_card(
        library(card="{% section %}x{% endsection %}{% section %}" + statement + "{% endsection %}"), "incident", given
    )
    assert (dict(given.variables["incident"]), given.variables["tags"].shown) == before


def test_what_one_run_spends_and_fails_is_not_the_next_ones():
    shared = library(card="{% section %}{{ 'x' * 90000 }}{% endsection %}{% section %}{{ 1 / 0 }}{% endsection %}")
    rendered = [render_card(shared, "incident", scene()) for _ in range(10)]
    assert [len(each.failures) for each in rendered] == [1] * 10
    assert not any(each.builtin for each in rendered)


@pytest.mark.parametrize(("number", "length"), [(300, 4_000), (1, 9_000_000)])
def test_texts_of_any_length_are_cut_and_fail_no_template(number, length):
    verbose = incident(alerts=tuple(alert(each, description="word " * (length // 5)) for each in range(number)))
    listing = "{% section %}{{ alert.description }}{% endsection %}"
    own = card("{% for alert in incident.alerts.worst %}" + listing + "{% endfor %}", verbose)
    for rendered in (own, render_card(packaged(), "incident", scene(verbose))):
        judge(rendered)
        assert (rendered.failures, rendered.builtin) == ((), False)


def test_values_that_jinja_would_run_are_only_text():
    assert said(card("{{ incident.title }}", incident(title="{{ 7 * 7 }}{% raw %}"))) == "{{ 7 * 7 }}{% raw %}"
