"""Which file a template comes from."""

import pytest

from relay.config.template_files import load_packaged
from relay.rendering.card import render_card
from relay.rendering.library import TemplateFailed, TemplateLibrary
from relay.rendering.reply import render_reply
from tests.support.rendering_samples import incident, render_request, shown_text

ENTRY = [{"kind": "comment", "text": "x"}]


def test_a_file_comes_from_the_folder_then_from_incident_then_from_the_package():
    own = {"payments/card.j2": "payments", "incident/card.j2": "mine", "incident/comment.j2": "said {{ entry.text }}"}
    packaged = {
        "incident/card.j2": "package",
        "incident/comment.j2": "?",
        "incident/status.j2": "status {{ entry.new }}",
    }
    library = TemplateLibrary(own, packaged)
    assert shown_text(render_card(library, "payments", render_request())) == "payments"
    assert shown_text(render_card(library, "incident", render_request())) == "mine"
    assert shown_text(render_card(library, "gone", render_request())) == "mine"
    assert shown_text(render_reply(library, "payments", render_request(), ENTRY)) == "said x"
    assert (
        shown_text(render_reply(library, "payments", render_request(), [{"kind": "status", "new": "y"}])) == "status y"
    )
    assert library.folders == {"payments", "incident"}


def test_an_operators_folder_replaces_the_whole_packaged_folder_of_its_name():
    packaged = {"incident/card.j2": "package", "compact/card.j2": "terse", "incident/comment.j2": "package said"}
    packaged["compact/comment.j2"] = "terse said"
    library = TemplateLibrary({}, packaged)
    assert library.folders == {"incident", "compact"}
    assert shown_text(render_card(library, "compact", render_request())) == "terse"
    own = TemplateLibrary({"compact/card.j2": "mine"}, packaged)
    assert shown_text(render_card(own, "compact", render_request())) == "mine"
    assert shown_text(render_reply(own, "compact", render_request(), ENTRY)) == "package said"


def test_one_file_of_the_bulletins_leaves_the_packaged_templates_of_the_others():
    packaged = {"bulletin/storm.j2": "a storm", "bulletin/line.j2": "a line"}
    library = TemplateLibrary({"bulletin/storm.j2": 'mine, {% include "line.j2" %}'}, packaged)
    assert library.run("bulletin/storm.j2", {}).text == "mine, a line"
    library = TemplateLibrary(
        {"bulletin/line.j2": "my line"}, packaged | {"bulletin/held.j2": '{% include "line.j2" %}'}
    )
    assert library.run("bulletin/storm.j2", {}).text == "a storm"
    assert library.run("bulletin/held.j2", {}).text == "my line"


def test_a_bare_name_is_a_file_beside_the_template():
    own = {
        "incident/card.j2": '{% include "line.j2" %}',
        "incident/line.j2": "common",
        "payments/line.j2": "special",
        "shop/card.j2": '{% include "incident/line.j2" %}{% include "none.j2" ignore missing %}',
    }
    library = TemplateLibrary(own)
    assert shown_text(render_card(library, "incident", render_request())) == "common"
    assert shown_text(render_card(library, "payments", render_request())) == "special"
    assert shown_text(render_card(library, "shop", render_request())) == "common"


def test_the_packaged_card_can_be_extended():
    own = {
        "incident/card.j2": '{% extends "relay/card.j2" %}'
        "{% block footer %}{% context %}mine{% endcontext %}{% endblock %}"
    }
    text = shown_text(render_card(TemplateLibrary(own, load_packaged()), "incident", render_request()))
    assert text.startswith("🔴 👤 db-117 · lag")
    assert text.endswith("mine")
    assert "shared by" not in text


def test_a_missing_template_gives_the_built_in_card():
    library = TemplateLibrary({})
    assert render_card(library, "incident", render_request()).builtin
    with pytest.raises(TemplateFailed, match="no such template"):
        library.run("incident/card.j2", {})


def test_a_value_cannot_name_a_template_that_was_not_compiled():
    source = '{% section %}x{% endsection %}{% include incident.title ~ "/line.j2" ignore missing %}'
    library = TemplateLibrary({"incident/card.j2": source, "incident/line.j2": "{% section %}line{% endsection %}"})
    assert shown_text(render_card(library, "incident", render_request(incident(title="incident")))) == "x\nline"
    assert shown_text(render_card(library, "incident", render_request(incident(title="anything")))) == "x"


def test_removing_layout_whitespace_keeps_line_numbers():
    source = "{% if true +%}\n  {%- if true -%}\n    {# one\n two #}\n  {% endif -%}\n{% endif %}\n  {{ 1 / 0 }}"
    with pytest.raises(TemplateFailed) as caught:
        TemplateLibrary({"incident/card.j2": source}).run("incident/card.j2", {})
    assert caught.value.failures[-1].line == 7
