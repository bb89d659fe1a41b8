"""What templates and channel expressions see of an incident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.incident import Alert, Change, Person, Snooze, State, Tag
from relay.rendering.context import (
    ALERT_NAMES,
    CHANGE_NAMES,
    VARIABLE_NAMES,
    tag_label,
    template_values,
    template_variables,
    without_marks,
)
from tests.support.rendering_samples import alert, incident, incidents

FULL = incident(
    note="n",
    changed=1,
    updated=2,
    ended=3,
    snooze=Snooze(snoozed=True, wake=4),
    assigner=Person(name="Lead"),
    changes=(
        Change(
            id="c",
            identifier="C",
            summary="s",
            status="Done",
            url="u",
            certainty="MATCH",
            comment="k",
            source="x",
            start=1,
            end=2,
        ),
    ),
    alerts=(alert(1, reported_status="Critical", source="nagios", changed=1, ended=2),),
)


def test_the_variables_have_the_listed_names():
    variables = template_variables(FULL, previous={"at": 1, "link": "l"})
    assert variables.keys() == VARIABLE_NAMES.keys()
    assert variables["incident"].keys() == VARIABLE_NAMES["incident"]
    assert variables["previous"].keys() == VARIABLE_NAMES["previous"]
    assert variables["incident"]["alerts"][0].keys() == ALERT_NAMES
    assert variables["incident"]["changes"][0].keys() == CHANGE_NAMES


def test_absent_values_are_left_out():
    variables = template_variables(
        incident(started=None, assignee=None, environment=None, sender=None, alerts=(), reported_status="")
    )
    assert {"started", "assignee", "snooze", "reported_status"}.isdisjoint(variables["incident"])
    assert (variables["environment"], variables["sender"], variables["previous"]) == ("", "", {})


def test_annotated_texts_compare_as_text():
    variables = template_variables(incident(assignee=Person(name="", email="ann@x.example", id="u")))
    assert variables["environment"] == "Production"
    assert variables["environment"].id == "e1"
    assert variables["incident"]["assignee"] == "ann@x.example"
    assert variables["sender"].name == "AutoShare"


def tags(*names, show=()):
    found = tuple(Tag(id=f"id-{name}", name=name, values=(f"value of {name}",)) for name in names)
    return template_variables(incident(tags=found), show_tags=show)["tags"]


def test_named_tags_are_shown_first_and_others_up_to_six():
    variables = tags("a", "b", "bp_short_description", "c", "d", "e", "f", "g", show=("E", "id-c", "nobody"))
    assert [tag.name for tag in variables.shown] == ["e", "c", "a", "b", "d", "f"]
    assert [tag.name for tag in variables.rest] == ["g"]


NAMES_OF_TAGS = "abcdefghij"


@given(st.permutations(NAMES_OF_TAGS), st.lists(st.sampled_from(NAMES_OF_TAGS + "xyz")))
def test_at_most_six_tags_are_shown_and_named_ones_come_first(present, show):
    variables = tags(*present, show=[*show, *(f"id-{name}" for name in show[:1])])
    named = [name for name in dict.fromkeys(show) if name in present]
    shown = [tag.name for tag in variables.shown]
    assert shown[: len(named)] == named[:6]
    assert len(shown) == 6
    assert [*shown, *(tag.name for tag in variables.rest)] == [*named, *(name for name in present if name not in named)]


def test_tags_are_found_by_name_or_id_in_any_case():
    variables = tags("Team")
    assert variables["team"] == variables["ID-TEAM"] == "value of Team"
    assert (list(variables), len(variables), "TEAM" in variables, "x" in variables) == (["Team"], 1, True, False)
    with pytest.raises(KeyError):
        variables["x"]


def test_a_tag_of_several_values_prints_them_on_one_line():
    [tag] = template_variables(incident(tags=(Tag(id="t", name="t", values=("a", "b")),)))["tags"].shown
    assert (tag, tag.values) == ("a, b", ["a", "b"])


@pytest.mark.parametrize(
    ("name", "expected"), [("affected_services", "Affected services"), ("CI", "CI"), ("*a* `b`", "A b"), ("_", "")]
)
def test_a_label_is_a_readable_name(name, expected):
    assert tag_label(name) == expected


def test_the_run_book_is_the_first_tag_with_a_value():
    with_both = alert(1, tags={"RunBook": ("second",), "run-book": (" ",), "wiki": ("third",)})
    variables = template_variables(incident(alerts=(with_both,)), runbook_tags=("run-book", "runbook", "wiki"))
    assert variables["incident"]["alerts"][0]["runbook"] == "second"


def test_alerts_are_read_on_demand_and_counted_without_reading():
    variables = template_variables(incident(alerts=tuple(alert(number) for number in range(300))))["incident"]["alerts"]
    assert len(variables) == len(variables.active) == 300
    assert variables.worst[0] is variables[0]
    assert [each["id"] for each in variables.worst[298:]] == ["298", "299"] or len(variables.worst[298:]) == 2
    assert variables[1:3].tally == {("alert", "critical"): 2}
    assert variables[:2].hosts == ["db-0", "db-1"]


def test_titles_are_one_line():
    variables = template_variables(incident(title="a\n b", alerts=(alert(1, tags={"host": ("x\ny",)}),)))
    assert (variables["incident"]["title"], variables["incident"]["alerts"][0]["subject"]) == ("a b", "x y")


@given(incidents())
def test_no_value_contains_a_mark(given_incident):
    for text in _strings(template_variables(given_incident, previous={"at": 1, "link": "\U000f0001"})):
        assert without_marks(text) == text


def _strings(value):
    match value:
        case str():
            yield str(value)
            for more in vars(value).values() if hasattr(value, "__dict__") else ():
                yield from _strings(more)
        case dict():
            for name, part in value.items():
                yield from _strings(name)
                yield from _strings(part)
        case None | bool() | int():
            return
        case _:
            for part in value:
                yield from _strings(value[part] if hasattr(value, "keys") else part)


def test_template_values_keep_everything_but_marks():
    value = {"a\U000f0001": ["\U000f0100b", 1, None, {"c": (True, 1.5)}]}
    assert template_values(value) == {"a": ["b", 1, None, {"c": [True, 1.5]}]}


def test_a_state_is_plain_text():
    assert type(template_variables(incident(state=State.WARNING))["incident"]["state"]) is str


def names_of(*tags):
    same = {"primary": "host", "secondary": "check", "description": "disk full"}
    alerts = tuple(
        Alert(id=str(number), state=State.CRITICAL, active=True, tags={k: (v,) for k, v in each.items()}, **same)
        for number, each in enumerate(tags)
    )
    return [each["name"] for each in template_variables(incident(alerts=alerts))["incident"]["alerts"].worst]


def test_alerts_with_equal_title_and_description_show_the_first_tag_that_differs():
    host = {"host": "db-1", "check": "disk", "event_id": "7"}
    apart = [{**host, "event_id": str(number), "mount": mount} for number, mount in enumerate(("/data", "/var"))]
    assert names_of(*apart) == ["db-1 · disk · /data", "db-1 · disk · /var"]
    assert names_of(host, host) == ["db-1 · disk", "db-1 · disk"]
    assert (
        names_of({**host, "link": "https://a.example/1"}, {**host, "link": "https://a.example/2"})
        == ["db-1 · disk"] * 2
    )
    assert names_of({**host, "mount": "/data"}, host) == ["db-1 · disk"] * 2
