"""Relay's modals: always within Slack's limits, and what comes back from them is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.actions.modal_parts import LENGTHS
from relay.actions.modals import LONGEST_SNOOZE, build_modal, build_owner_question, validation_errors
from relay.model.buttons import BUTTONS
from relay.sandbox.slack.block_kit import blocks
from relay.sandbox.slack.block_kit.schema import ErrorMessages
from relay.slack import limits
from relay.slack.interactions import ModalOrigin, Submission, parse_interaction

MODALS = [name for name, button in BUTTONS.items() if button.opens_modal]
NOW = 1_700_000_000.0
ABOUT = {"title": "db-117: replication lag", "incident": "5e7f", "channel": "C1", "message_ts": "100.000100"}


def texts(value):
    """Every text in a view."""
    if isinstance(value, dict):
        yield from ([value["text"]] if isinstance(value.get("text"), str) else [])
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def sent(view, **values):
    """What Slack sends when somebody has filled a view in."""
    state = {name: {name: {"value": value}} for name, value in values.items()}
    return {
        "type": "view_submission",
        "user": {"id": "U1", "name": "ann"},
        "view": {**view, "id": "V1", "state": {"values": state}},
    }


@pytest.mark.parametrize("action", MODALS)
def test_a_submitted_modal_carries_its_incident_and_action(action):
    assert parse_interaction(sent(build_modal(action, **ABOUT))) == Submission(
        action=action,
        incident="5e7f",
        channel="C1",
        message_ts="100.000100",
        user="U1",
        user_name="ann",
        view_id="V1",
    )


def test_a_button_without_questions_opens_no_modal():
    assert MODALS == ["comment", "snooze", "mute", "end_mute", "resolve"]


@pytest.mark.parametrize("action", ["assign", "unassign"])
def test_the_answer_to_a_question_carries_the_owner_that_the_question_named(action):
    origin = ModalOrigin(action=action, owner="5506e4fb", incident="5e7f", channel="C1", message_ts="100.000100")
    view = build_owner_question(origin, title="db-117", question="*Cid* has it. Take over?")
    assert view["submit"]["text"] == {"assign": "Take over", "unassign": "Unassign"}[action]
    assert "*Cid* has it. Take over?" in texts(view)
    answer = parse_interaction(sent(view))
    assert (answer.action, answer.owner, answer.values) == (action, "5506e4fb", {})


def test_a_comment_has_one_input_of_several_lines():
    (about, asked) = build_modal("comment", **ABOUT)["blocks"]

    assert about["text"]["text"] == ABOUT["title"]
    assert asked["element"]["multiline"]
    assert not asked["optional"]


def test_snoozing_offers_an_hour_first():
    asked = build_modal("snooze", **ABOUT)["blocks"][-2]["element"]

    assert [(each["text"]["text"], each["value"]) for each in asked["options"]] == [
        ("1 hour", "1h"),
        ("4 hours", "4h"),
        ("until the next 09:00", "morning"),
    ]
    assert asked["initial_option"]["value"] == "1h"


def test_the_resolve_modal_states_its_effect_and_its_note_is_optional():
    view = build_modal("resolve", **ABOUT)

    assert any("all of its alerts" in text and "cannot be undone" in text for text in texts(view))
    assert view["blocks"][-1]["optional"]


@pytest.mark.parametrize("values", [{}, {"text": ""}, {"text": " \n"}])
def test_an_empty_comment_is_a_problem_that_slack_shows_beside_its_input(values):
    view = build_modal("comment", **ABOUT)

    assert validation_errors("comment", values, NOW)["response_action"] == "errors"
    assert set(validation_errors("comment", values, NOW)["errors"]) <= {
        block.get("block_id") for block in view["blocks"]
    }


@pytest.mark.parametrize("until", [*LENGTHS, "", "5y"])
def test_only_offered_snooze_times_are_accepted(until):
    assert (validation_errors("snooze", {"until": until}, NOW) is None) is (until in LENGTHS)


@pytest.mark.parametrize(
    ("moment", "problem"),
    [
        (NOW - 60, "has passed"),
        (NOW, "has passed"),
        (NOW + 60, ""),
        (NOW + LONGEST_SNOOZE, ""),
        (NOW + LONGEST_SNOOZE + 60, "90 days"),
    ],
)
def test_a_chosen_time_is_used_if_bigpanda_accepts_it(moment, problem):
    view = build_modal("snooze", **ABOUT)
    state = {"moment": {"moment": {"type": "datetimepicker", "selected_date_time": int(moment)}}}
    answer = parse_interaction(sent(view) | {"view": {**view, "id": "V1", "state": {"values": state}}})
    assert answer.values == {"moment": str(int(moment))}
    errors = validation_errors("snooze", {"until": "1h", **answer.values}, NOW)
    assert problem in (errors or {"errors": {"moment": ""}})["errors"]["moment"]
    assert (errors is None) is (problem == "")


def test_a_comment_with_text_and_a_resolution_without_a_note_are_valid():
    assert validation_errors("comment", {"text": "x"}, NOW) is None
    assert validation_errors("resolve", {}, NOW) is None


@given(
    action=st.sampled_from(MODALS),
    title=st.text(max_size=20) | st.text(min_size=200, max_size=500).map(lambda text: text * 20),
    incident=st.text(min_size=1, max_size=255),
)
def test_a_modal_fits_for_any_title_of_an_incident(action, title, incident):
    view = build_modal(action, title=title, incident=incident, channel="C1", message_ts="1.2")
    findings = ErrorMessages()
    blocks.check_blocks(view["blocks"], "/view/blocks", findings, at_most=limits.VIEW_BLOCKS)

    assert findings.messages == []
    assert all(len(view[name]["text"]) <= limits.VIEW_TITLE for name in ("title", "submit", "close"))
    assert len(view["private_metadata"]) <= limits.PRIVATE_METADATA
