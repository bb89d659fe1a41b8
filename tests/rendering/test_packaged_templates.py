"""What the packaged templates say: the card and the thread that a woken person reads."""

import json
import random
import re
from pathlib import Path

import pytest

import relay
from relay.model.incident import Change, Environment, Person, Snooze, State, Tag, parse_state
from relay.rendering.card import render_card, render_pointer
from relay.rendering.context import template_variables
from relay.rendering.library import TemplateLibrary
from relay.rendering.reply import render_reply
from tests.gallery import cases as gallery_cases
from tests.support.rendering_samples import (
    alert,
    blocks,
    check_message,
    incident,
    packaged,
    render_request,
    shown_text,
    texts_in,
)

NOTHING = {"actor": None, "old": None, "new": None, "text": None, "items": [], "at": 1649576282, "late": False}


def card_text(of=None, **more):
    """The card as a reader sees it: dates as words."""
    rendered = render_card(packaged(), "incident", render_request(of, **more))
    check_message(rendered, more.get("mentions", ()))
    assert not rendered.failures
    return re.sub(r"<!date\^\d+\^([^|]+)\|[^>]+>", r"[\1]", shown_text(rendered))


def reply_text(kind, **data):
    """One paragraph of the thread."""
    rendered = render_reply(packaged(), "incident", render_request(), [{**NOTHING, "kind": kind, **data}])
    check_message(rendered)
    assert not rendered.failures
    return re.sub(r"<!date\^\d+\^([^|]+)\|[^>]+>", r"[\1]", shown_text(rendered))


def test_the_card_shows_title_state_environment_start_and_owner():
    change = Change(
        id="c",
        identifier="Mando-001",
        summary="change summary",
        status="Done",
        url="https://t.example",
        certainty="SUSPECT",
        end=1580369039,
    )
    whole = incident(changes=(change,))
    assert (
        card_text(whole, mentions=("S0DBA",))
        == """🔴 👤 db-117 · lag
<!subteam^S0DBA>
*Critical* · 3 alerts: 2 critical, 1 warning · Production
since [{date_short_pretty} at {time}] ([{ago}]) · assigned to *Ann Lee*
*Priority*\u00a0P1   *Service*\u00a0checkout
• db-117: replication lag is 117 % (<https://wiki.example/db-117|run-book>)
• db-118: replication lag is 118 % (<https://wiki.example/db-118|run-book>)
• db-119 (warning): replication lag is 119 % (<https://wiki.example/db-119|run-book>)
🔧 suspected: Mando-001 “change summary”, Done, [{date_short_pretty} at {time}] (<https://t.example|ticket>)
Open in BigPanda
shared by AutoShare"""
    )


def test_the_notification_is_one_line():
    message = render_card(packaged(), "incident", render_request()).message
    assert message.text == "P1 Critical · db-117 · lag (3 alerts, Production)"


def test_the_card_of_the_documented_sample_has_its_approved_text():
    body = json.loads((Path(relay.__file__).parent / "samples" / "documented-sample.json").read_text())
    found = [
        alert(each["id"], tags={tag["name"]: (tag["value"],) for tag in each["tags"]}, description=each["description"])
        for each in body["incident"]["alerts"]
    ]
    text = card_text(
        incident(
            alerts=tuple(found), title="Evyatar-11 · CPU", environment=Environment(name="All"), tags=(), assignee=None
        )
    )
    assert "• Evyatar-11: CPU is 98% (<https://mywiki.com/Evyatar-11/modiin-prod|run-book>)" in text
    assert "None" not in text


def test_a_resolved_card_is_short_and_keeps_its_link():
    over = incident(state=State.RESOLVED, active=False, ended=1649576282 + 4320)
    assert (
        card_text(over)
        == """✅ db-117 · lag
*Resolved* after 1 h 12 min · was critical · *Ann Lee* had it
P1 · checkout · Production · <https://a.example/5555|Open in BigPanda>"""
    )
    assert render_card(packaged(), "incident", render_request(over)).message.text == "Resolved · db-117 · lag"
    assert render_card(packaged(), "incident", render_request(over)).message.attachments[0]["color"] == "#2eb67d"


def test_the_card_of_a_bare_incident_has_only_title_and_state():
    bare = incident(
        state=State.UNKNOWN, reported_status="", alerts=(), tags=(), links={}, assignee=None, environment=None,
        sender=None, started=None, title="Incident 5555",
    )  # fmt: skip
    assert card_text(bare) == "🟣 Incident 5555\n*Unknown*"


def test_the_first_five_alerts_are_named_and_the_others_counted():
    crowd = incident(
        alerts=tuple(alert(number, State.CRITICAL if number < 8 else State.WARNING) for number in range(22))
    )
    text = card_text(crowd)
    assert text.count("•") == 5
    assert "and 17 more alerts, 3 critical" in text
    assert text.startswith("🔴 👤 db-117 · lag · 22 hosts\n")
    assert "14 warning · Production" in text


def test_the_first_line_shows_unknown_flapping_and_snoozed():
    odd = incident(
        flapping=True, snooze=Snooze(snoozed=True, wake=1649580000), state=State.UNKNOWN, reported_status="Mystery"
    )
    line = card_text(odd).split("\n")[1]
    assert line == (
        "*Unknown* (BigPanda says: Mystery) · 3 alerts: 2 critical, 1 warning · Production · flapping"
        " · snoozed until [{date_short_pretty} at {time}]"
    )
    assert "snoozed" not in card_text(incident())


def test_the_card_of_a_new_episode_begins_with_the_previous_one():
    previous = {"at": 1649576282, "link": "https://x.slack.com/archives/C1/p1"}
    rendered = render_card(
        packaged(), "incident", render_request().__class__(variables=template_variables(incident(), previous=previous))
    )
    check_message(rendered)
    first = blocks(rendered)[1]["text"]["text"].split("\n")[0]
    assert (
        re.sub(r"<!date[^>]+>", "[date]", first)
        == "again, last time on [date] (<https://x.slack.com/archives/C1/p1|thread>)"
    )


def test_the_tag_that_makes_the_title_is_not_shown_again():
    titled = incident(
        tags=(Tag(id="bp_short_description", name="bp_short_description", values=("a title",)),), title="a title"
    )
    assert "description" not in card_text(titled)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("status", {"old": "warning", "new": "critical"}, "Warning → *Critical*"),
        (
            "status",
            {"old": "warning", "new": "critical", "late": True},
            "Warning → *Critical* ([{date_short_pretty} at {time}])",
        ),
        ("status", {"text": "started flapping", "flapping": True}, "Started flapping"),
        (
            "status",
            {"text": "changed state 4 times while flapping", "now": "critical", "times": 4},
            "Changed state 4 times while flapping, now *Critical*",
        ),
        ("comment", {"text": "looked at it", "actor": "Dana Levi"}, "💬 *Dana Levi*: looked at it"),
        ("comment", {"text": "one\ntwo <!here>"}, "💬\n> one\n> two &lt;!here&gt;"),
        ("assignment", {"old": "", "new": "Ann Lee", "actor": "Lead"}, "Assigned to *Ann Lee* by Lead"),
        ("assignment", {"old": "Ann Lee", "new": "", "actor": ""}, "Unassigned (was Ann Lee)"),
        ("snooze", {"new": 1649576282, "snoozed": True}, "Snoozed until [{date_short_pretty} at {time}]"),
        ("snooze", {"new": None, "snoozed": True}, "Snoozed"),
        ("snooze", {"old": 1649576282, "snoozed": False}, "Snooze ended"),
        (
            "tags",
            {
                "items": [
                    {"label": "Priority", "old": "P2", "new": "P1"},
                    {"label": "Team", "old": "", "new": "db"},
                    {"label": "A", "old": "b", "new": ""},
                ],
                "more": 2,
            },
            "*Priority* P2 → P1\n*Team* db\n*A* removed (was b)\nand 2 more tags",
        ),
        ("alerts", {"joined": 2, "resolved": 0, "returned": 0, "left": 0, "total": 5}, "2 alerts joined (5 now)"),
        (
            "alerts",
            {
                "joined": 1,
                "resolved": 3,
                "returned": 0,
                "left": 0,
                "total": 5,
                "items": [{"title": "db · lag", "state": "critical"}],
            },
            "1 alert joined, 3 resolved (5 now): db · lag",
        ),
        (
            "changes",
            {
                "items": [
                    {
                        "identifier": "C-1",
                        "summary": "s",
                        "status": "Done",
                        "url": "https://t.example",
                        "certainty": "MATCH",
                        "start": 1649576282,
                        "end": None,
                    }
                ]
            },
            "🔧 Related change: C-1 “s”, Done, [{date_short_pretty} at {time}] (<https://t.example|ticket>)",
        ),
        (
            "resolved",
            {"old": "critical", "new": "resolved", "lasted": 4320.0, "worst": "critical"},
            "✅ Resolved after 1 h 12 min",
        ),
        ("resolved", {"old": "warning", "lasted": None, "worst": "critical"}, "✅ Resolved (worst state: critical)"),
        (
            "reopened",
            {"old": "resolved", "new": "warning", "ended": 1649576282},
            "🟠 Reopened: *Warning* (was resolved [{date_short_pretty} at {time}])",
        ),
        (
            "reopened",
            {"old": "resolved", "new": "critical", "ended": 1, "over": 720.0, "became": "resolved"},
            "✅ Reopened, resolved again after 12 min",
        ),
        (
            "status",
            {"old": "warning", "new": "critical", "over": 720.0, "became": "resolved"},
            "✅ Warning → Critical, resolved after 12 min",
        ),
        (
            "status",
            {"old": "warning", "new": "critical", "over": 45.0, "became": "warning"},
            "🟠 Warning → Critical, warning again after 45 s",
        ),
        ("other", {"text": "became stale"}, "Became stale"),
        ("nonsense", {"text": "something <new>"}, "Something &lt;new&gt;"),
    ],
)
def test_each_kind_of_entry_has_its_text(kind, data, expected):
    assert reply_text(kind, **data) == expected


def test_a_comment_with_a_block_of_code_is_not_quoted():
    text = "```\nx = <1>\n```\nthat is all"
    expected = "💬 *Dana*:\n```\nx = &lt;1&gt;\n```\nthat is all"
    assert reply_text("comment", text=text, actor="Dana") == expected
    built_in = render_reply(
        TemplateLibrary({}),
        "incident",
        render_request(),
        [{**NOTHING, "kind": "comment", "text": text, "actor": "Dana"}],
    )
    assert shown_text(built_in).startswith(expected)


def test_a_long_comment_is_cut_with_a_link_to_the_rest():
    text = reply_text("comment", text="\n".join(f"line {number}" for number in range(40)), actor="Dana")
    assert text.count("\n> ") == 11
    assert text.endswith("more characters) · <https://a.example/5555|the rest>")


def test_a_reply_is_one_paragraph_for_each_entry_in_one_block():
    entries = [
        {**NOTHING, "kind": "status", "old": "warning", "new": "critical"},
        {**NOTHING, "kind": "alerts", "joined": 2, "total": 5},
        {**NOTHING, "kind": "comment", "text": "on\nit", "actor": "Dana"},
        {**NOTHING, "kind": "resolved", "lasted": 60},
    ]
    rendered = render_reply(
        packaged(), "incident", render_request(mentions=("S0A",), notices=("maybe a repeat",)), entries
    )
    check_message(rendered, ("S0A",))
    mention, text, notice = blocks(rendered)
    assert mention["text"]["text"] == "<!subteam^S0A>"
    assert text["text"]["text"] == (
        "Warning → *Critical*\n2 alerts joined (5 now)\n💬 *Dana*:\n> on\n> it\n✅ Resolved after 1 min"
    )
    assert notice["elements"][0]["text"] == "maybe a repeat"
    assert rendered.message.attachments == ()
    assert rendered.message.text == (
        "P1 · db-117 · lag: Warning → Critical; 2 alerts joined (5 now); 💬 Dana: on it; ✅ Resolved after 1 min"
    )


def test_a_pointer_names_the_channel_and_pings_nobody():
    rendered = render_pointer(
        render_request(mentions=("S0A",)), "C0123456789", "https://x.slack.com/archives/C0123456789/p1"
    )
    check_message(rendered)
    assert shown_text(rendered) == (
        "🔴 db-117 · lag\nupdates are in <#C0123456789> · <https://x.slack.com/archives/C0123456789/p1|open the card>"
    )
    assert shown_text(render_pointer(render_request(), "#inc <x>")) == "🔴 db-117 · lag\nupdates are in #inc &lt;x&gt;"


def test_a_star_in_a_name_does_not_end_the_bold():
    assert "assigned to *Ann\u034f* Lee*" in card_text(incident(assignee=Person(name="Ann* Lee")))


WITH_LESS = list(gallery_cases.with_less())


@pytest.mark.parametrize("number", [300, pytest.param(len(WITH_LESS), marks=pytest.mark.soak)])
@pytest.mark.parametrize("folder", [*gallery_cases.TEMPLATES, "broken"])
def test_no_text_has_blanks_at_its_ends_or_before_a_line(folder, number):
    """Of the replies that lack values, a sample; `make soak` draws all."""
    for case in [*(case for _, case in gallery_cases.every()), *random.Random(folder).sample(WITH_LESS, number)]:
        message = case.draw(folder)
        for _, text in texts_in([list(message.blocks), list(message.attachments)]):
            prose = re.sub(r"```.*?```", "```", text, flags=re.DOTALL)  # code keeps its indentation
            assert prose == prose.strip(), (case.name, text)
            assert not re.search(r"^[ \t]", prose, flags=re.MULTILINE), (case.name, text)


def test_an_alert_in_maintenance_does_not_contradict_the_state():
    """Maintenance is per alert, and BigPanda leaves such alerts out of the incident's state."""
    alerts = (alert(1), alert(2, State.WARNING), alert(3, State.WARNING), alert(4, State.RESOLVED))
    partly = incident(state=State.WARNING, reported_status="Warning", alerts=alerts)
    lines = card_text(partly).split("\n")
    assert lines[1] == "*Warning* · 4 alerts: 2 warning, 1 resolved, 1 critical (in maintenance?) · Production"
    named = [line.partition(":")[0] for line in lines if line.startswith("•")]
    assert named == ["• db-2", "• db-3", "• db-1 (critical, in maintenance?)"]


@pytest.mark.parametrize("word", ["acknowledged", "degraded", ""])
def test_alerts_may_be_worse_than_a_state_that_is_not_that_of_the_worst(word):
    odd = incident(state=parse_state(word), reported_status=word, alerts=(alert(1), alert(2)))
    assert "maintenance" not in card_text(odd)


def test_a_resolved_card_has_the_note_of_the_person_who_resolved_it():
    over = incident(state=State.RESOLVED, active=False, note="Failed over,\nsee https://wiki.example/db")
    assert card_text(over).endswith("> Failed over,\n> see <https://wiki.example/db|https://wiki.example/db>")
