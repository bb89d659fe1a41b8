"""The line on top of a card, and the one on a lock screen."""

import pytest
from hypothesis import given

from relay.model.incident import Environment, Snooze, State, Tag
from relay.rendering.context import template_variables
from relay.rendering.headline import headline, lock_screen, reply_subject, signs
from relay.rendering.wording import COLORS, EMOJI, OUTDATED_COLOR, OUTDATED_EMOJI
from relay.slack import limits
from tests.support.rendering_samples import alert, incident, incidents

HOSTS = [f"db-{number}" for number in range(117, 159)]


def tag(name, *values):
    return Tag(id=name, name=name, values=values)


def line(show=("priority", "service", "team"), **more):
    values = {"title": "db-117 · replication lag", "tags": (tag("service", "checkout"), tag("priority", "P1"))}
    return lock_screen(template_variables(incident(**{**values, **more}), show_tags=show))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"assignee": None}, "🔴"),
        ({}, "🔴 👤"),
        ({"assignee": None, "snooze": Snooze(snoozed=True)}, "🔴 💤"),
        ({"snooze": Snooze(snoozed=True, wake=1), "state": State.WARNING}, "🟠 👤 💤"),
        ({"state": State.RESOLVED, "active": False, "snooze": Snooze(snoozed=True)}, "✅"),
    ],
)
def test_the_signs_show_the_state_and_whether_somebody_has_the_incident(more, expected):
    assert signs(incident(**more)) == expected


def test_no_state_is_grey():
    assert OUTDATED_COLOR not in COLORS.values()
    assert OUTDATED_EMOJI not in EMOJI.values()
    assert len(set(COLORS.values())) == len(COLORS)


@pytest.mark.parametrize(
    ("title", "hosts", "expected"),
    [
        ("db-117 · replication lag", HOSTS, "db-117 · replication lag and 41 more hosts"),
        ("DB-117: replication lag", HOSTS, "DB-117: replication lag and 41 more hosts"),
        ("Checkout is down", HOSTS, "Checkout is down · 42 hosts"),
        ("db-1170 · replication lag", HOSTS[:4], "db-1170 · replication lag · 4 hosts"),
        ("db-117 · replication lag", HOSTS[:3], "db-117 · replication lag"),
        ("no host", [], "no host"),
    ],
)
def test_the_first_line_counts_the_hosts_of_an_incident_with_many_hosts(title, hosts, expected):
    assert headline(title, hosts) == expected


def test_the_number_of_hosts_is_never_cut():
    long = headline("db-117 " + "very " * 60, HOSTS)
    assert long.endswith("… and 41 more hosts")
    assert len(f"🔴 👤 💤 {long}") <= limits.HEADER


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "P1 Critical · checkout · db-117 · replication lag (3 alerts, Production)"),
        ({"show": ("team", "service")}, "Critical · checkout · db-117 · replication lag (3 alerts, Production)"),
        ({"show": ()}, "Critical · db-117 · replication lag (3 alerts, Production)"),
        (
            {"show": ("service", "team", "priority"), "tags": (tag("service", "x"), tag("priority", "P2"))},
            "P2 Critical · x · db-117 · replication lag (3 alerts, Production)",
        ),
        (
            {"tags": (tag("service", "a service with a very long name"), tag("team", "database"))},
            "Critical · database · db-117 · replication lag (3 alerts, Production)",
        ),
        (
            {"title": "Checkout is slow"},
            "P1 Critical · Checkout is slow (3 alerts, Production)",
        ),
        (
            {"title": "web-p12 is slow"},
            "P1 Critical · checkout · web-p12 is slow (3 alerts, Production)",
        ),
        ({"environment": None, "alerts": ()}, "P1 Critical · checkout · db-117 · replication lag"),
        (
            {"alerts": tuple(map(alert, range(117, 159)))},
            "P1 Critical · checkout · db-117 · replication lag (42 alerts on 42 hosts, Production)",
        ),
        ({"state": State.RESOLVED, "active": False}, "Resolved · db-117 · replication lag"),
    ],
)  # fmt: skip
def test_a_lock_screen_shows_state_title_and_environment(more, expected):
    assert line(**more) == expected


def test_a_reply_on_a_lock_screen_names_the_incident():
    variables = template_variables(incident(title="db-117 · lag"), show_tags=("priority", "service"))
    assert reply_subject(variables) == "P1 · checkout · db-117 · lag"


@given(incidents())
def test_a_lock_screen_text_is_one_line_with_the_complete_title(shared):
    variables = template_variables(shared, show_tags=("priority",))
    text = variables["lock_screen"]
    assert "\n" not in text
    named = variables["incident"].get("title") or variables["incident"].get("id", "")
    assert " ".join(named.split()) in text
    assert shared.state.value.capitalize() in text


def test_a_value_on_a_lock_screen_stays_on_its_line():
    text = line(tags=(tag("priority", "P1\nurgent"),), environment=Environment(name="a\nb"))
    assert text == "P1 urgent Critical · db-117 · replication lag (3 alerts, a b)"
