"""What the lint finds wrong with template files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.template_files import load_packaged
from relay.rendering.library import TemplateLibrary


def faults(**files):
    own = {f"incident/{name}.j2": source for name, source in files.items()}
    return [str(fault) for fault in TemplateLibrary(own, load_packaged()).faults()]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x\n  {% nope %}", 'incident/card.j2:2:6: unknown tag "nope"'),
        ("{{ a b }}", "incident/card.j2:1:6: unexpected 'b'"),
        ("{% if incident.state = 'critical' %}{% endif %}", "1:22: unexpected '='; write == to compare"),
        ("{{ incident.title | }}", "expected a name, found }}"),
        ("{{ 1 + }}", "unexpected }}; write a value before it"),
        ("{# never closed", "the comment is never closed; write #}"),
        ("x\n{{ incident.title", "the template ends inside a tag; write }} or %}"),
        (
            "{% if true %}" * 400 + "{% endif %}" * 400,
            "incident/card.j2:1:1: tags or expressions are nested too deeply",
        ),
        ("\n{% if 1 %}{{ 1 | glitter }}{% endif %}", 'incident/card.j2:2:18: unknown filter "glitter"'),
        ("{{ 1 is glitter }}", 'incident/card.j2:1:9: unknown test "glitter"'),
        (
            "{{ incident.title | e }}",
            'incident/card.j2:1:21: unknown filter "e"; everything printed is already escaped',
        ),
        ('\n{% include "gone.j2" %}', 'incident/card.j2:2:13: there is no template "incident/gone.j2"'),
        (
            "{% block a %}{% endblock %}\n{% block a %}{% endblock %}",
            "incident/card.j2:2:1: the block 'a' is defined twice",
        ),
        ("{% bar %}{% endbar %}", "incident/card.j2:1:1: bar needs a colour: {% bar COLOUR %}"),
        ("\n{% blocks %}\n- type: nope\n{% endblocks %}", "unknown block type 'nope'"),
        (
            "{% blocks %}\n- type: section\n  text: {{ x }}\n{% endblocks %}",
            "incident/card.j2:3:1: a value that begins with {{ needs quotes",
        ),
        ("{% blocks %}\n- a: [\n{% endblocks %}", "not YAML"),
        (
            "{% blocks %}\n- type: divider\n- type: header\n  text: '{{ a b }}'\n{% endblocks %}",
            "incident/card.j2:4:15: unexpected 'b'",
        ),
        ("{% blocks %}\n- {type: divider, '{{ a }}': b}\n{% endblocks %}", "allows Jinja only in values"),
    ],
)
def test_a_fault_has_its_place_and_a_sentence(source, expected):
    found = faults(card=source)
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("source", "tag"),
    [
        ("{{ tags.cost-center }}", 'tags["cost-center"]'),
        ("{% if tags.a-b-c == 'x' %}{% endif %}", 'tags["a-b-c"]'),
        ("{% for alert in incident.alerts %}{{ alert.tags.tier-1 }}{% endfor %}", 'alert.tags["tier-1"]'),
    ],
)
def test_the_message_about_a_tag_with_a_hyphen_shows_its_correct_form(source, tag):
    [fault] = faults(card="{% actions %}{% relay_actions %}{% endactions %}" + source)
    assert f"for a tag with hyphens in its name write {tag}" in fault


def test_all_faults_of_all_files_are_found_at_once():
    found = faults(card="{{ 1 | a }}\n{{ 1 | b }}", comment="{% x %}", status="fine")
    assert [each.split(" ")[0] for each in found] == [
        "incident/card.j2:1:8:",
        "incident/card.j2:2:8:",
        "incident/comment.j2:1:4:",
    ]


SAMEWORDS = """\
{# foo #}{{ environment.foo }} foo {{ sender.foo if previous.foo else "x.foo" }}{{ environment.foo }}
{% section %}{{ e | e }}{{ section }}{% if x is x %}{% endif %}{% endsection %}
    {% for foo in incident.changes if foo.nope %}{{ foo.
      nope }}{{ foo.nope }}{% endfor %}
"""


def test_each_fault_is_at_its_own_word_among_equal_words():
    found = TemplateLibrary({"incident/card.j2": SAMEWORDS}).faults()
    places = {(fault.line, fault.column): fault.message.partition(",")[0] for fault in found}
    no_foo, no_nope = 'has no "foo"', 'a related change has no "nope"'
    assert places == {
        (1, 24): f'"environment" {no_foo}',
        (1, 45): f'"sender" {no_foo}',
        (1, 61): f'"previous" {no_foo}',
        (1, 95): f'"environment" {no_foo}',
        (2, 17): 'unknown variable "e"',
        (2, 21): 'unknown filter "e"; everything printed is already escaped for Slack',
        (2, 28): 'unknown variable "section"',
        (2, 44): 'unknown variable "x"',
        (2, 49): 'unknown test "x"',
        (3, 42): no_nope,
        (3, 56): no_nope,
        (4, 20): no_nope,
    }


@pytest.mark.slow
@given(st.data())
def test_no_fault_hides_another(data):
    wrong = {
        "{{ incidnt }}": 'unknown variable "incidnt"',
        "{{ incident.titel }}": 'has no "titel"',
        "{{ 1 | shout }}": 'unknown filter "shout"',
        "{{ 1 is shouted }}": 'unknown test "shouted"',
        "{{ entry.actr }}": 'has no "actr"',
        '{% include "hedaer.j2" %}': 'no template "incident/hedaer.j2"',
        "{% header %}x{% endheader %}": "{% header %}",
        "{% bar '#aabbcc' %}x{% endbar %}": "{% bar %}",
        '{% from "when.j2" import wen %}': 'does not define "wen"',
    }
    lines = data.draw(st.lists(st.sampled_from(sorted(wrong)), unique=True))
    sources = {"incident/status.j2": "\n".join(lines)}
    found = TemplateLibrary(sources, load_packaged()).faults(strict=True)
    assert [fault.line for fault in found] == list(range(1, len(lines) + 1))
    assert all(wrong[line] in fault.message for line, fault in zip(lines, found, strict=True))


def test_unknown_names_and_unused_files_are_warnings():
    own = {
        "incident/card.j2": "{{ incident.titel }}\n{{ incdent }}{{ entry.at }}{% set own = 1 %}{{ own }}",
        "incident/coment.j2": "x",
        "incident/used.j2": "{{ alert.title }}",
        "incident/status.j2": '{% include "used.j2" %}',
    }
    found = TemplateLibrary(own, load_packaged()).faults()
    assert all(fault.warning for fault in found)
    assert [(fault.file, fault.line, fault.column) for fault in found] == [
        ("incident/card.j2", 1, 12),
        ("incident/card.j2", 2, 4),
        ("incident/card.j2", 2, 17),
        ("incident/coment.j2", 0, 0),
    ]
    assert '"incident" has no "titel"' in found[0].message
    assert 'unknown variable "incdent"' in found[1].message
    assert 'unknown variable "entry"' in found[2].message


def test_the_folder_name_of_the_packaged_templates_is_reserved():
    [fault] = TemplateLibrary({"relay/card.j2": "x"}, load_packaged()).faults()
    assert "is reserved for the packaged templates" in fault.message


def test_the_packaged_templates_have_no_fault():
    assert TemplateLibrary(load_packaged()).faults() == ()
