"""BigPanda's answers: every status has its meaning for every call, and no shape of an answer is trusted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.classify import REASONS, classify
from relay.bigpanda.outcomes import (
    IncidentNotFound,
    RejectionCause,
    TaskAmbiguous,
    TaskDone,
    TaskRejected,
    TaskRetryable,
)
from relay.bigpanda.responses import comments_of, tag_definitions_of, users_of
from relay.http.outcome import Failure, HttpResponse
from relay.model.incident import Person
from relay.model.tag_labels import TagDefinition

READS = (BigPandaCall.INCIDENT, BigPandaCall.TAG_DEFINITIONS, BigPandaCall.ACTIVITIES, BigPandaCall.USERS)
WRITES = tuple(call for call in BigPandaCall if call not in READS)
ABOUT_AN_INCIDENT = tuple(
    call for call in BigPandaCall if call not in (BigPandaCall.TAG_DEFINITIONS, BigPandaCall.USERS)
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def answer(status, body=None, **headers):
    return HttpResponse(
        status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


# -- What was done -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        (BigPandaCall.CALLBACK, 200, {"status": 200, "data": {}}),
        (BigPandaCall.RESOLVE, 202, {"status": 202, "data": {}}),
        *[(call, 204, None) for call in WRITES if call not in (BigPandaCall.CALLBACK, BigPandaCall.RESOLVE)],
    ],
)
def test_each_write_is_done_with_the_success_that_is_documented_for_it(call, status, body):
    assert classify(call, answer(status, body)) == TaskDone(body=body)


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("body", [{}, {"items": []}, [], [{"id": "x"}]])
def test_a_read_gives_what_it_read(call, body):
    assert classify(call, answer(200, body)) == TaskDone(body=body)


@pytest.mark.parametrize("call", WRITES)
def test_a_write_needs_no_body_where_the_status_leaves_no_question(call):
    assert classify(call, answer(204, "<html>")) == TaskDone()
    assert classify(call, answer(202, "accepted")) == TaskDone()
    assert classify(call, answer(200)) == TaskDone()


@pytest.mark.parametrize("body", ["<html>sign in</html>", "ok", 7, True])
def test_a_success_that_may_be_anybodys_page_is_doubt_for_a_write_and_another_try_for_a_read(body):
    assert {classify(call, answer(200, body)) for call in WRITES} == {TaskAmbiguous(reason="unreadable")}
    assert {classify(call, answer(200, body)) for call in READS} == {TaskRetryable(reason="unreadable")}


def test_a_read_that_was_answered_by_nothing_was_not_read():
    assert {classify(call, answer(200)) for call in READS} == {TaskRetryable(reason="unreadable")}


def test_what_is_resolved_already_is_resolved():
    assert classify(BigPandaCall.RESOLVE, answer(409, {"status": 409, "errors": ["already resolved"]})) == TaskDone(
        repeated=True
    )


@pytest.mark.parametrize("call", [call for call in BigPandaCall if call is not BigPandaCall.RESOLVE])
def test_any_other_conflict_is_a_refusal(call):
    ruling = classify(call, answer(409, {"errors": ["no"]}))

    assert (ruling.cause, ruling.reason, ruling.detail) == (RejectionCause.PAYLOAD, "conflict", "no")


# -- What was not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, RejectionCause.PAYLOAD, "bad_request"),
        (401, RejectionCause.CREDENTIALS, "key_invalid"),
        (403, RejectionCause.PERMISSION, "forbidden"),
        (405, RejectionCause.UNSUPPORTED, "unsupported"),
        (413, RejectionCause.PAYLOAD, "too_large"),
        (415, RejectionCause.PAYLOAD, "bad_request"),
        (422, RejectionCause.PAYLOAD, "bad_request"),
        (499, RejectionCause.PAYLOAD, "bad_request"),
        (501, RejectionCause.UNSUPPORTED, "unsupported"),
    ],
)
@pytest.mark.parametrize("call", BigPandaCall)
def test_a_refusal_says_whose_it_is_and_what_to_do(call, status, kind, reason):
    ruling = classify(call, answer(status, {"status": status, "errors": ["first", "second"]}))

    assert isinstance(ruling, TaskRejected)
    assert (ruling.cause, ruling.reason, ruling.detail) == (kind, reason, "first; second")
    assert re.search(r"^[A-Z].+\.$", ruling.remedy)


@pytest.mark.parametrize("call", BigPandaCall)
def test_too_many_calls_pause_their_kind_whether_or_not_it_says_for_how_long(call):
    assert classify(call, answer(429)) == TaskRetryable(reason="rate_limited", pauses=True)
    assert classify(call, answer(429, Retry_After="7")) == TaskRetryable(
        reason="rate_limited", retry_after=7.0, pauses=True
    )
    assert classify(call, answer(429, Retry_After="soon")) == TaskRetryable(reason="rate_limited", pauses=True)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_server_that_fails_leaves_a_write_in_doubt_and_a_read_undone(status):
    assert {classify(call, answer(status, "<html>")) for call in WRITES} == {TaskAmbiguous(reason="server_error")}
    assert {classify(call, answer(status, {"errors": []})) for call in READS} == {TaskRetryable(reason="server_error")}


@pytest.mark.parametrize(("status", "reason"), [(404, "not_found"), (410, "gone")])
@pytest.mark.parametrize("call", ABOUT_AN_INCIDENT)
def test_an_incident_that_is_not_there_is_missing(call, status, reason):
    assert classify(call, answer(status, {"errors": ["stage: no such incident"]})) == IncidentNotFound(
        reason=reason, detail="stage: no such incident"
    )
    assert classify(call, answer(status, "<html>404</html>")) == IncidentNotFound(reason=reason)


@pytest.mark.parametrize("call", [BigPandaCall.TAG_DEFINITIONS, BigPandaCall.USERS])
def test_a_call_about_no_incident_that_is_not_there_is_an_address_that_is_wrong(call):
    ruling = classify(call, answer(404))

    assert (ruling.cause, ruling.reason) == (RejectionCause.UNSUPPORTED, "no_such_call")
    assert "BIGPANDA_API_URL" in ruling.remedy


@pytest.mark.parametrize(
    ("call", "said", "reason"),
    [
        (BigPandaCall.TAG, "Tag ID itd-1 does not exist", "tag_unknown"),
        (BigPandaCall.ASSIGN, "User not found", "user_unknown"),
        (BigPandaCall.ASSIGN, "no such assignee", "user_unknown"),
    ],
)
def test_a_tag_or_a_user_that_is_not_there_is_no_missing_incident(call, said, reason):
    assert classify(call, answer(404, {"message": said})).reason == reason
    assert isinstance(classify(BigPandaCall.COMMENT, answer(404, {"message": said})), IncidentNotFound)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
def test_a_redirection_means_that_something_else_answers(status):
    ruling = classify(BigPandaCall.COMMENT, answer(status))

    assert (type(ruling), ruling.reason) == (TaskRetryable, "not_bigpanda")
    assert "BIGPANDA_API_URL" in ruling.remedy


def test_what_never_arrived_is_worth_another_try():
    assert classify(BigPandaCall.COMMENT, answer(408)) == TaskRetryable(reason="request_truncated")
    assert classify(BigPandaCall.COMMENT, answer(407)).reason == "proxy_rejected"


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("call", BigPandaCall)
def test_a_call_without_an_answer_is_doubt_only_where_a_write_may_have_arrived(call, failure):
    ruling = classify(call, failure)

    if failure is Failure.UNSENDABLE:
        assert (type(ruling), ruling.cause, ruling.reason) == (TaskRejected, RejectionCause.PAYLOAD, "unsendable")
    elif failure.is_surely_unsent or call.is_read:
        assert ruling == TaskRetryable(reason=failure.value)
    else:
        assert ruling == TaskAmbiguous(reason=failure.value)


# -- What BigPanda says of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"status": 400, "errors": ["comment is required", "and short"]}, "comment is required; and short"),
        ({"statusCode": 403, "error": "Forbidden", "message": "insufficient permissions"}, "insufficient permissions"),
        ({"error": "Forbidden"}, "Forbidden"),
        ({"errors": [{"message": "bad"}, {"code": 3}, None, ["x"]]}, "bad"),
        ({"errors": "one"}, "one"),
        ({"errors": [], "message": "empty above"}, "empty above"),
        ({"errors": {"message": "an object"}}, "an object"),
        ({"schemas": ["urn"], "detail": "SCIM has its own word", "status": "400"}, "SCIM has its own word"),
        ("<html>", ""),
        (None, ""),
        ([1], ""),
    ],
)
def test_bigpandas_words_are_kept_whatever_their_shape(body, detail):
    assert classify(BigPandaCall.COMMENT, answer(400, body)).detail == detail


def test_bigpandas_words_are_bounded():
    detail = classify(BigPandaCall.COMMENT, answer(400, {"errors": ["x" * 10_000] * 1000})).detail

    assert len(detail) < 2000


@given(call=st.sampled_from(BigPandaCall), status=st.integers(100, 999), body=json_values, wait=st.text(max_size=12))
def test_whatever_is_answered_is_ruled_on_with_a_reason_of_the_closed_set(call, status, body, wait):
    ruling = classify(call, HttpResponse(status=status, body=body, headers={"Retry-After": wait}))

    assert ruling.reason in REASONS
    assert not (call.is_read and isinstance(ruling, TaskAmbiguous))


def test_the_reasons_are_words_for_metrics():
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", reason) for reason in REASONS)


# -- Tag definitions ---------------------------------------------------------------------------------------------------


def priority(*levels, **more):
    return [{"id": "itd_priority_1", "name": "Priority", "type": "Priority", "config": {"ordered_list": list(levels)}}]


def test_definitions_give_ids_their_names():
    body = [
        {"id": "itd-9ff554bc0c", "name": "Team", "type": "Text", "active": True},
        {"id": "affected services", "name": "Affected_Services", "type": "MultiValue", "active": False},
    ]

    expected = (
        TagDefinition(id="itd-9ff554bc0c", name="Team"),
        TagDefinition(id="affected services", name="Affected_Services"),
    )
    assert tag_definitions_of(body) == expected
    assert tag_definitions_of({"items": body}) == expected
    assert tag_definitions_of({"data": body}) == expected


def test_levels_that_are_bare_words_go_by_their_place_in_thousands():
    (found,) = tag_definitions_of(priority("P1", "P2", "P3"))

    assert found.ranks == {"1000": "P1", "2000": "P2", "3000": "P3"}


def test_levels_with_small_numbers_go_by_those_and_by_their_place():
    levels = [{"display_name": "P2", "order_id": 2, "active": True}, {"display_name": "P1", "order_id": 1}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"1000": "P1", "2000": "P2", "1": "P1", "2": "P2"}


def test_levels_with_numbers_as_shares_tell_them_go_by_those_alone():
    levels = [{"display_name": "P1", "order_id": 500}, {"display_name": "P2", "order_id": 1000.0}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"500": "P1", "1000": "P2"}


def test_a_level_that_is_deactivated_keeps_its_place_and_one_without_a_word_has_none():
    levels = [{"display_name": "P1", "active": False}, {"description": "?"}, None, " ", {"display_name": "P2"}]

    (found,) = tag_definitions_of(priority(*levels))

    assert found.ranks == {"1000": "P1", "2000": "P2"}


# -- People and comments -----------------------------------------------------------------------------------------------


def test_people_are_read_as_scim_has_them():
    body = {
        "schemas": ["urn:scim:schemas:core:1.0"],
        "totalResults": 3,
        "Resources": [
            {"id": "644c", "userName": "ann@example.com", "displayName": "Ann", "active": True},
            {"id": "644d", "userName": "bob@example.com", "displayName": "Bob", "active": False},
            {"id": "644e", "userName": "cy", "emails": [{"value": "cy@example.com"}], "name": {"familyName": "C"}},
            {"userName": "nobody@example.com"},
        ],
    }

    assert users_of(body) == (
        Person(name="Ann", email="ann@example.com", id="644c"),
        Person(email="cy@example.com", id="644e"),
    )


def test_people_are_read_as_the_api_reference_has_them():
    body = {"users": [{"id": "65f0", "fullName": "Jane Doe", "email": "jane@example.com"}], "pagination": {"page": 1}}

    assert users_of(body) == (Person(name="Jane Doe", email="jane@example.com", id="65f0"),)


def test_comments_are_the_newest_first_and_alone():
    items = [
        {"id": "3", "type": "incident_commented", "timestamp": 3, "params": {"comment": "second"}},
        {"id": "2", "type": "incident_assigned", "timestamp": 2, "params": {"assignee": {"id": "u"}}},
        {"id": "1", "type": "incident_commented", "timestamp": 1, "params": {"comment": "first"}},
        {"id": "0", "type": "incident_commented", "timestamp": 0},
    ]

    assert comments_of({"items": items}) == comments_of(items) == ("second", "first")


@given(body=json_values)
def test_reads_take_any_shape(body):
    for nested in (body, {"items": body}, {"Resources": body}, [body], [{"config": body, "id": "i", "name": "n"}]):
        assert isinstance(tag_definitions_of(nested), tuple)
        assert isinstance(users_of(nested), tuple)
        assert isinstance(comments_of(nested), tuple)
    assert isinstance(tag_definitions_of(priority(body, body)), tuple)
