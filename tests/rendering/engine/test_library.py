"""Which file a template is taken from, and what is found wrong with files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.config.template_files import load_packaged
from relay.rendering.card import render_card
from relay.rendering.library import TemplateFailed, TemplateLibrary
from relay.rendering.reply import render_reply
from tests.support.rendering_samples import incident, said, scene

ENTRY = [{"kind": "comment", "text": "x"}]


def test_a_file_is_taken_from_the_folder_then_from_incident_then_from_the_package():
    own = {"payments/card.j2": "payments", "incident/card.j2": "mine", "incident/comment.j2": "said {{ entry.text }}"}
    packaged = {
        "incident/card.j2": "package",
        "incident/comment.j2": "?",
        "incident/status.j2": "status {{ entry.new }}",
    }
    library = TemplateLibrary(own, packaged)
    assert said(render_card(library, "payments", scene())) == "payments"
    assert said(render_card(library, "incident", scene())) == "mine"
    assert said(render_card(library, "gone", scene())) == "mine"
    assert said(render_reply(library, "payments", scene(), ENTRY)) == "said x"
    assert said(render_reply(library, "payments", scene(), [{"kind": "status", "new": "y"}])) == "status y"
    assert library.folders == {"payments", "incident"}


def test_a_packaged_folder_can_be_named_and_an_operators_folder_of_that_name_replaces_it_whole():
    packaged = {"incident/card.j2": "package", "compact/card.j2": "terse", "incident/comment.j2": "package said"}
    packaged["compact/comment.j2"] = "terse said"
    library = TemplateLibrary({}, packaged)
    assert library.folders == {"incident", "compact"}
    assert said(render_card(library, "compact", scene())) == "terse"
    own = TemplateLibrary({"compact/card.j2": "mine"}, packaged)
    assert said(render_card(own, "compact", scene())) == "mine"
    assert said(render_reply(own, "compact", scene(), ENTRY)) == "package said"


def test_a_bare_name_is_a_file_beside_the_template_under_the_same_rule():
    own = {
        "incident/card.j2": '{% include "line.j2" %}',
        "incident/line.j2": "common",
        "payments/line.j2": "special",
        "shop/card.j2": '{% include "incident/line.j2" %}{% include "none.j2" ignore missing %}',
    }
    library = TemplateLibrary(own)
    assert said(render_card(library, "incident", scene())) == "common"
    assert said(render_card(library, "payments", scene())) == "special"
    assert said(render_card(library, "shop", scene())) == "common"


def test_the_packaged_template_can_be_extended_under_its_own_name():
    own = {
        "incident/card.j2": '{% extends "relay/card.j2" %}'
        "{% block footer %}{% context %}mine{% endcontext %}{% endblock %}"
    }
    told = said(render_card(TemplateLibrary(own, load_packaged()), "incident", scene()))
    assert told.startswith("🔴 db-117 · lag")
    assert told.endswith("mine")
    assert "shared by" not in told


def test_a_template_that_is_nowhere_falls_back_to_the_built_in():
    library = TemplateLibrary({})
    assert render_card(library, "incident", scene()).builtin
    with pytest.raises(TemplateFailed, match="no such template"):
        library.run("incident/card.j2", {})


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
        ("{% if true %}" * 400 + "{% endif %}" * 400, "tags are nested too deeply"),
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
def test_a_fault_says_where_it_stands_and_what_it_is(source, expected):
    found = faults(card=source)
    assert len(found) == 1
    assert expected in found[0]


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


def test_each_fault_stands_at_its_own_word_whatever_else_its_line_says():
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


@settings(max_examples=40)
@given(st.data())
def test_one_fault_hides_no_other(data):
    wrong = {
        "{{ incidnt }}": 'unknown variable "incidnt"',
        "{{ incident.titel }}": 'has no "titel"',
        "{{ 1 | shout }}": 'unknown filter "shout"',
        "{{ 1 is shouted }}": 'unknown test "shouted"',
        "{{ entry.actr }}": 'has no "actr"',
        '{% include "hedaer.j2" %}': 'no template "incident/hedaer.j2"',
        "{% header %}x{% endheader %}": "{% header %}",
        "{% bar 'good' %}x{% endbar %}": "{% bar %}",
        '{% from "when.j2" import wen %}': 'does not define "wen"',
    }
    lines = data.draw(st.lists(st.sampled_from(sorted(wrong)), unique=True))
    sources = {"incident/status.j2": "\n".join(lines)}
    found = TemplateLibrary(sources, load_packaged()).faults(strict=True)
    assert [fault.line for fault in found] == list(range(1, len(lines) + 1))
    assert all(wrong[line] in fault.message for line, fault in zip(lines, found, strict=True))


def test_what_would_print_nothing_and_what_nobody_uses_is_warned_of():
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


def test_the_folder_of_the_packaged_templates_is_taken():
    [fault] = TemplateLibrary({"relay/card.j2": "x"}, load_packaged()).faults()
    assert "is reserved for the packaged templates" in fault.message


def test_the_packaged_templates_have_no_fault():
    assert TemplateLibrary(load_packaged()).faults() == ()


def test_a_value_cannot_make_templates_under_names_of_its_own():
    source = '{% section %}x{% endsection %}{% include incident.title ~ "/line.j2" ignore missing %}'
    library = TemplateLibrary({"incident/card.j2": source, "incident/line.j2": "{% section %}line{% endsection %}"})
    assert said(render_card(library, "incident", scene(incident(title="incident")))) == "x\nline"
    assert said(render_card(library, "incident", scene(incident(title="anything")))) == "x"


def test_indentation_and_lines_of_tags_move_no_line():
    source = "{% if true +%}\n  {%- if true -%}\n    {# one\n two #}\n  {% endif -%}\n{% endif %}\n  {{ 1 / 0 }}"
    with pytest.raises(TemplateFailed) as caught:
        TemplateLibrary({"incident/card.j2": source}).run("incident/card.j2", {})
    assert caught.value.failures[-1].line == 7
