"""What a failing template costs, and the built-in text that replaces it."""

import pytest

from relay.model.entry_kinds import EntryKind
from relay.model.incident import Snooze, State
from relay.rendering.card import render_card
from relay.rendering.reply import render_reply
from relay.rendering.request import TemplateFailure
from tests.support.documents import check_rows
from tests.support.rendering_samples import card, check_message, incident, library, render_request, shown_text

FAILING = "{{ incident.title.nothing() }}"


def test_a_tag_that_fails_is_left_out_and_reported_with_its_line():
    rendered = card(
        "{% section %}one{% endsection %}\n\n{% section %}two\n"
        + FAILING
        + "{% endsection %}\n{% section %}three{% endsection %}"
    )
    check_message(rendered)
    assert shown_text(rendered) == "one\nthree"
    assert not rendered.builtin
    [failure] = rendered.failures
    assert (failure.file, failure.line) == ("incident/card.j2", 4)
    assert '"nothing" has no value here' in failure.message
    assert failure.absent_value


def test_a_failure_in_a_macro_is_reported_at_its_own_line():
    files = library(
        tools="{% macro broken() %}\n{{ 1 / 0 }}{% endmacro %}",
        card='{% from "tools.j2" import broken %}{% section %}a{% endsection %}'
        "{% context %}{{ broken() }}{% endcontext %}",
    )
    rendered = render_card(files, "incident", render_request())
    assert shown_text(rendered) == "a"
    assert [(each.file, each.line) for each in rendered.failures] == [("incident/tools.j2", 2)]


def test_a_failing_argument_loses_only_itself():
    rendered = card("{% fields %}{% field " + "incident.title.nothing()" + " %}value{% endfield %}{% endfields %}")
    assert shown_text(rendered) == "value"
    assert len(rendered.failures) == 1


def test_a_failure_outside_of_tags_gives_the_built_in_card_with_a_notice():
    rendered = card("{% section %}one{% endsection %}\n" + FAILING, mentions=("S0A",), notices=("mind this",))
    check_message(rendered, ("S0A",))
    assert rendered.builtin
    text = shown_text(rendered)
    assert "🔴 👤 db-117 · lag" in text
    assert "*Critical* · 3 alerts: 2 critical, 1 warning · Production" in text
    assert "assigned to *Ann Lee*" in text
    assert "• db-117 · lag" in text
    assert "Open in BigPanda" in text
    assert text.endswith("mind this · built-in card: the template failed (incident/card.j2:2)")


@pytest.mark.parametrize(
    "source", ["", "  \n", "{% if false %}x{% endif %}", "{% section %} {% endsection %}", "{% mentions %}"]
)
def test_a_template_that_prints_nothing_gives_the_built_in_card(source):
    rendered = card(source)
    check_message(rendered)
    assert rendered.builtin
    assert rendered.failures[-1].message == "it prints nothing"


def test_a_broken_file_gives_the_built_in_card_and_breaks_no_other_file():
    files = library(card="{% section %}", comment="text: {{ entry.text }}")
    rendered = render_card(files, "incident", render_request())
    assert rendered.builtin
    assert rendered.failures == (
        TemplateFailure(file="incident/card.j2", line=1, message=rendered.failures[0].message),
    )
    reply = render_reply(files, "incident", render_request(), [{"kind": "comment", "text": "x"}])
    assert shown_text(reply) == "text: x"
    assert not reply.builtin


def test_in_a_reply_only_the_failing_entry_has_the_built_in_text():
    files = library(comment=FAILING, status="now {{ entry.new }}")
    entries = [{"kind": "status", "new": "critical"}, {"kind": "comment", "actor": "Dana", "text": "looked <at> it"}]
    reply = render_reply(files, "incident", render_request(), entries)
    check_message(reply)
    assert shown_text(reply) == (
        "now critical\n💬 *Dana*:\n> looked &lt;at&gt; it\n"
        "built-in wording: the template failed (incident/comment.j2:1)"
    )
    assert reply.builtin


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"kind": "status", "old": "warning", "new": "critical"}, "Warning → *Critical* ({when})"),
        ({"kind": "status", "text": "flapped", "now": "critical"}, "Flapped, now *Critical* ({when})"),
        ({"kind": "comment", "text": "on it", "actor": "Dana"}, "💬 *Dana* ({when}):"),
    ],
)
def test_a_late_built_in_text_shows_its_time(entry, line):
    broken = library(status="{% broken", comment="{% broken")
    reply = render_reply(broken, "incident", render_request(), [{**entry, "at": 1649576282, "late": True}])
    when = "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>"
    assert shown_text(reply).split("\n")[0] == line.format(when=when)


def test_the_built_in_card_of_a_resolved_incident_has_one_line():
    over = incident(state=State.RESOLVED, active=False, started=1_000, ended=1_000 + 4_320)
    text = shown_text(render_card(library(card="{% broken"), "incident", render_request(over)))
    assert "*Resolved* after 1 h 12 min · Production · *Ann Lee* had it\nOpen in BigPanda" in text


def test_the_built_in_card_says_that_the_incident_is_snoozed():
    snoozed = incident(snooze=Snooze(snoozed=True, wake=1649576282))
    text = shown_text(render_card(library(card="{% broken"), "incident", render_request(snoozed)))
    assert "· Production · snoozed until <!date^1649576282^" in text


def test_every_entry_kind_has_its_own_built_in_text():
    broken = library(**dict.fromkeys(EntryKind, "{% broken"))
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
    texts = {
        kind: shown_text(render_reply(broken, "incident", render_request(), [{**entry, "kind": kind}])).split("\n")[0]
        for kind in EntryKind
    }
    expected = {
        "status": "Warning → *Critical*",
        "comment": "💬 *Dana*:",
        "assignment": "Assigned to *critical* by Dana",
        "snooze": "Snooze ended by *Dana*",
        "tags": "*Team* a → *b*",
        "alerts": "Alerts: 2 joined (5 now)",
        "changes": "🔧 <https://x.example|C-1>",
        "resolved": "✅ Resolved by *Dana* after 1 min",
        "reopened": "🔴 Reopened: *Critical*",
        "reminder": "🔔 Nobody has had this for *1 min*",
        "other": "Other",
    }
    check_rows("_PARAGRAPHS in relay/rendering/fallback.py, and this test,", expected, EntryKind, in_order=False)
    assert texts == expected


def test_an_empty_reply_gives_the_built_in_text():
    reply = render_reply(library(tags=""), "incident", render_request(), [{"kind": "tags", "items": []}])
    check_message(reply)
    assert shown_text(reply).startswith("Tags")
