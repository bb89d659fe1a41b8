"""One fault in a template hides no other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader

from relay.config.template_files import load_packaged
from relay.model.errors import Fault
from relay.rendering.engine.failures import failure_of
from relay.rendering.engine.sandbox import TemplateSandbox
from relay.rendering.library import TemplateLibrary
from relay.rendering.lint.checks import file_faults
from tests.support.rendering_samples import card

PACKAGED = load_packaged()
RELAYS = {
    f"relay/{name.partition('/')[2]}": source for name, source in PACKAGED.items() if name.startswith("incident/")
}
ENVIRONMENT = TemplateSandbox(loader=DictLoader({**PACKAGED, **RELAYS}))
GOOD = """\
{% section %}
{% if incident.active %}open{% else %}closed{% endif %}
{% for alert in incident.alerts.worst %}{{ alert.title }}{% endfor %}
{{ incident.started | slack_time("ago") }}
{% endsection %}
"""
SLIPS = [
    '{% if incident.state = "critical" %}x{% else %}y{% endif %}',
    "{{ incident.titel }}",
    "{{ incidnt.title }}",
    "{{ incident.title | onelin }}",
    "{{ a b }}",
    "{{ incident.title",
    "{{ }}",
    "{% for x im incident.alerts %}{{ x }}{% endfor %}",
    "{% set x == 1 %}{{ x }}",
    "{% endfor %}",
    "{% nonsense %}x{% endnonsense %}",
    "{% secton %}x{% endsecton %}",
    "{% if %}x{% endif %}",
    "{{ .Labels.severity }}",
    "{{ incident.title | shorten }}",
    '{{ incident.started | slack_time("agoo") }}',
    '{% bar "purple" %}x{% endbar %}',
    "<https://example.com|label>",
    "**bold**",
    "<!here>",
    "{% button links.landing_page %}x{% endbutton %}",
    '{{ "x" is nonsense }}',
    '{% if incident.state == "Critical" %}x{% endif %}',
    '{% include "gone.j2" %}',
]


def faults(source: str) -> list[Fault]:
    return list(file_faults(ENVIRONMENT, "incident/card.j2", source, role="card", strict=True))


def lines_of_faults(source: str) -> set[int]:
    return {fault.line for fault in faults(source)}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_typing_error_is_reported_at_its_line_and_nothing_else_is(slip):
    assert lines_of_faults(f"{GOOD}{slip}\n{GOOD}") == {6}


@given(slips=st.lists(st.sampled_from(["", *SLIPS]), min_size=2, max_size=6))
def test_several_typing_errors_are_all_reported_and_nothing_else_is(slips):
    source, places = "", set()
    for slip in slips:
        source += GOOD
        if slip:
            places.add(source.count("\n") + 1)
            source += f"{slip}\n"
    assert lines_of_faults(source) == places


def test_an_unclosed_tag_is_reported_together_with_other_faults():
    source = (
        '{% for alert in incident.alerts %}\n{% if incident.state = "critical" %}x{% endif %}\n{{ incident.titel }}'
    )
    assert lines_of_faults(source) == {1, 2, 3}


@pytest.mark.parametrize("quotes", ["'a' ~ ", "\"a\", 'b', "])
def test_an_unclosed_tag_is_found_even_before_many_quotes(quotes):
    """The bug: each pair of quotes doubled the time of a check, so that it never ended."""
    [fault, *_] = faults("{{ " + quotes * 100 + "\n{{ incident.title }}")
    assert (fault.line, fault.column) == (1, 1)
    assert "never closed" in fault.message


def test_the_packaged_templates_have_no_fault():
    assert TemplateLibrary(dict(PACKAGED), PACKAGED).faults(strict=True) == ()


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("<https://x.example/a|label>", '{{ "https://x.example/a" | link("label") }}'),
        ("[run-book]({{ links.landing_page }})", '{{ ... | link("run-book") }}'),
        ("<{{ links.landing_page }}|BigPanda>", '{{ ... | link("BigPanda") }}'),
        ("**{{ incident.title }}**", "write *{{ ... }}*"),
        ("__bold__", "write *bold*"),
        ("~~gone~~", "write ~gone~"),
        ("# Title", "{% header %}Title{% endheader %}"),
        ("---", "{% divider %}"),
        ("<@U0123456789>", "{% mentions %}"),
        ("<!subteam^S0123456789>", "{% mentions %}"),
        ("@channel", "{% mentions %}"),
        ("<b>x", "*bold*"),
        ("a<br/>b", "a line break"),
        ('<a href="https://x.example">', 'link("label")'),
        ("a &amp; b", "the character itself"),
        ('{"type": "section"}', "{% blocks %}"),
        ("${incident.title}", "{{ incident.title }}"),
        ("{incident.title}", "{{ incident.title }}"),
        ("%(title)s", "{{ title }}"),
        ("<%= title %>", "{{ ... }}"),
        ("{HOST.NAME}", "{{ tags.host }}"),
        ("{{ $labels.instance }}", "{{ tags.instance }}"),
        ("{{ range .Alerts }}", "{% for alert in incident.alerts.worst %}"),
        ("{{#if x}}", "{% if ... %}"),
        ("{% if incident.active && sender %}x{% endif %}", "write and"),
        ("{% if !incident.active %}x{% endif %}", "write not"),
        ("{% elseif x %}", "elif"),
        ("{{ incident['stat'] }}", 'did you mean "state"?'),
        ("{{ incident.status }}", 'did you mean "state"?'),
        ("{{ incident.priority }}", "write tags.priority"),
        ("{{ labels.severity }}", "write tags.NAME"),
        ("{{ len(tags) }}", "| length"),
        ('{% if incident.state in ["critical", "Warning"] %}x{% endif %}', 'did you mean "warning"?'),
        ('{% bar "critical" %}x{% endbar %}', '"critical" | color'),
        ('{% image "chart.png" %}', "expected an http or https address"),
        ('{{ incident.title | oneline("x") }}', "expected a number, 0 or more"),
        ('{{ 1.5 | round(method="up") }}', "expected one of: common, ceil, floor"),
        ('{{ incident.alerts | selectattr("state", "equls", 1) | list }}', "unknown test"),
        ("{{ 3 is divisibleby(0) }}", "other than 0"),
        ("{% header %}*x*{% endheader %}", "a header has no formatting"),
        ("{% accessory %}{% endaccessory %}", "belongs inside {% section %}"),
        ("{% blocks %}\n- type: section\n  text: {type: mrkdwn, text: x **b**}\n{% endblocks %}", "write *b*"),
    ],
)
def test_markup_of_other_tools_gets_relays_equivalent(source, advice):
    found = faults(source)
    assert any(advice in fault.message for fault in found), [fault.message for fault in found]


@pytest.mark.parametrize(
    "source",
    [
        "{% pre %}**x** <b>{% endpre %}",
        "`**x**` and ```<b>x</b>```",
        "*bold* _italic_ ~struck~ `code` a < b, a_b_c, 2 * 3 * 4, C:\\temp, 50% (x)",
        "{% macro m() %}{% button links.x %}x{% endbutton %}{% endmacro %}{% actions %}{{ m() }}{% endactions %}",
        '{% extends "relay/card.j2" %}{% block links %}{% actions %}{% relay_actions %}{% endactions %}{% endblock %}',
        '{{ incident["title"] }} {{ tags["affected services"] }} {{ incident.state | upper == "CRITICAL" }}',
        '{{ "%s" | format(incident.title) }} {{ incident.alerts | map(attribute="title") | join(", ") }}',
    ],
)
def test_correct_templates_get_no_finding(source):
    assert faults(source) == []


PYTHON = re.compile(
    r"TypeError|ValueError|Error\b|NoneType|\bobject\b|instances? of|'(?:str|int|float|list|dict|tuple|bool)'|iterable|"
    r"not callable|subscript|positional|keyword|unpack|invalid literal|codec|jinja2|relay\.|Undefined|__\w+__|<class|"
    r"lambda"
)
VALUES = [
    "1",
    "-1",
    "'x'",
    "none",
    "true",
    "[1, 'a']",
    "{}",
    "incident",
    "incident.alerts",
    "incident.title",
    "nothing",
]


@given(data=st.data())
def test_no_message_contains_python_terms(data):
    names = sorted(ENVIRONMENT.filters)
    value = st.sampled_from(VALUES)
    shapes = [
        st.tuples(value, st.sampled_from(names), st.lists(value, max_size=3)).map(
            lambda each: f"{each[0]} | {each[1]}({', '.join(each[2])})"
        ),
        st.tuples(value, st.sampled_from(["+", "-", "*", "/", "%", "<", ">=", "in", "~", "**"]), value).map(" ".join),
        st.tuples(value, st.sampled_from(sorted(ENVIRONMENT.tests)), value).map(
            lambda each: f"{each[0]} is {each[1]}({each[2]})"
        ),
        st.tuples(value, value).map(lambda each: f"{each[0]}[{each[1]}]"),
        st.tuples(value, value).map(lambda each: f"({each[0]})({each[1]})"),
        value.map(lambda each: f"({each}).append(1)"),
    ]
    expressions = data.draw(st.lists(st.one_of(shapes), min_size=1, max_size=8))
    source = "".join("{% section %}{{ " + each + " }}{% endsection %}" for each in expressions)
    messages = [failure.message for failure in card(source).failures]
    messages += [fault.message for fault in faults(source)]
    own_words = [re.sub(r'"\w+"', "", each) for each in messages]  # Jinja has tests named `callable` and `iterable`
    assert not [each for each in own_words if PYTHON.search(each)]
    assert "TypeError" not in failure_of(TypeError("'<' not supported between a and b")).message
