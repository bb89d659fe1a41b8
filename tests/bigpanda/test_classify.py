"""Every response from BigPanda becomes one outcome, for every call, and no shape of a response is trusted."""

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
from relay.http.outcome import Failure, HttpResponse

READS = (BigPandaCall.INCIDENT, BigPandaCall.TAG_DEFINITIONS, BigPandaCall.ACTIVITIES, BigPandaCall.USERS)
WRITES = tuple(call for call in BigPandaCall if call not in READS)
WITH_AN_INCIDENT = tuple(
    call for call in BigPandaCall if call not in (BigPandaCall.TAG_DEFINITIONS, BigPandaCall.USERS)
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def response(status, body=None, **headers):
    return HttpResponse(
        status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


# -- Done --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "status", "body"),
    [
        (BigPandaCall.CALLBACK, 200, {"status": 200, "data": {}}),
        (BigPandaCall.RESOLVE, 202, {"status": 202, "data": {}}),
        *[(call, 204, None) for call in WRITES if call not in (BigPandaCall.CALLBACK, BigPandaCall.RESOLVE)],
    ],
)
def test_each_write_is_done_with_its_documented_success(call, status, body):
    assert classify(call, response(status, body)) == TaskDone(body=body)


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("body", [{}, {"items": []}, [], [{"id": "x"}]])
def test_a_read_has_its_body(call, body):
    assert classify(call, response(200, body)) == TaskDone(body=body)


@pytest.mark.parametrize("call", WRITES)
def test_a_write_needs_no_body_if_the_status_is_unambiguous(call):
    assert classify(call, response(204, "<html>")) == TaskDone()
    assert classify(call, response(202, "accepted")) == TaskDone()
    assert classify(call, response(200)) == TaskDone()


@pytest.mark.parametrize("body", ["<html>sign in</html>", "ok", 7, True])
def test_a_200_from_an_unknown_server_is_ambiguous_for_a_write_and_retryable_for_a_read(body):
    assert {classify(call, response(200, body)) for call in WRITES} == {TaskAmbiguous(reason="unreadable")}
    assert {classify(call, response(200, body)) for call in READS} == {TaskRetryable(reason="unreadable")}


def test_a_read_without_a_body_is_retryable():
    assert {classify(call, response(200)) for call in READS} == {TaskRetryable(reason="unreadable")}


def test_resolving_a_resolved_incident_is_done():
    answer = response(409, {"status": 409, "errors": ["already resolved"]})
    assert classify(BigPandaCall.RESOLVE, answer) == TaskDone()


@pytest.mark.parametrize("call", [call for call in BigPandaCall if call is not BigPandaCall.RESOLVE])
def test_any_other_conflict_is_a_rejection(call):
    outcome = classify(call, response(409, {"errors": ["no"]}))

    assert (outcome.cause, outcome.reason, outcome.detail) == (RejectionCause.PAYLOAD, "conflict", "no")


# -- Not done ----------------------------------------------------------------------------------------------------------


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
def test_a_rejection_has_its_cause_and_a_remedy(call, status, kind, reason):
    outcome = classify(call, response(status, {"status": status, "errors": ["first", "second"]}))

    assert isinstance(outcome, TaskRejected)
    assert (outcome.cause, outcome.reason, outcome.detail) == (kind, reason, "first; second")
    assert re.search(r"^[A-Z].+\.$", outcome.remedy)


@pytest.mark.parametrize("call", BigPandaCall)
def test_a_rate_limit_pauses_the_call_with_or_without_a_retry_after(call):
    assert classify(call, response(429)) == TaskRetryable(reason="rate_limited", pauses=True)
    assert classify(call, response(429, Retry_After="7")) == TaskRetryable(
        reason="rate_limited", retry_after=7.0, pauses=True
    )
    assert classify(call, response(429, Retry_After="soon")) == TaskRetryable(reason="rate_limited", pauses=True)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_server_error_leaves_a_write_in_doubt_and_a_read_retryable(status):
    assert {classify(call, response(status, "<html>")) for call in WRITES} == {TaskAmbiguous(reason="server_error")}
    assert {classify(call, response(status, {"errors": []})) for call in READS} == {
        TaskRetryable(reason="server_error")
    }


@pytest.mark.parametrize(("status", "reason"), [(404, "not_found"), (410, "gone")])
@pytest.mark.parametrize("call", WITH_AN_INCIDENT)
def test_a_missing_incident_is_not_found(call, status, reason):
    assert classify(call, response(status, {"errors": ["stage: no such incident"]})) == IncidentNotFound(
        reason=reason, detail="stage: no such incident"
    )
    assert classify(call, response(status, "<html>404</html>")) == IncidentNotFound(reason=reason)


@pytest.mark.parametrize("call", [BigPandaCall.TAG_DEFINITIONS, BigPandaCall.USERS])
def test_a_404_without_an_incident_is_a_wrong_address(call):
    outcome = classify(call, response(404))

    assert (outcome.cause, outcome.reason) == (RejectionCause.UNSUPPORTED, "no_such_call")
    assert "BIGPANDA_API_URL" in outcome.remedy


@pytest.mark.parametrize(
    ("call", "message", "reason"),
    [
        (BigPandaCall.ASSIGN, "User not found", "user_unknown"),
        (BigPandaCall.ASSIGN, "no such assignee", "user_unknown"),
    ],
)
def test_a_missing_user_is_not_a_missing_incident(call, message, reason):
    assert classify(call, response(404, {"message": message})).reason == reason
    assert isinstance(classify(BigPandaCall.COMMENT, response(404, {"message": message})), IncidentNotFound)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
def test_a_redirect_is_treated_as_an_answer_of_another_server(status):
    outcome = classify(BigPandaCall.COMMENT, response(status))

    assert (type(outcome), outcome.reason) == (TaskRetryable, "not_bigpanda")
    assert "BIGPANDA_API_URL" in outcome.remedy


def test_a_call_that_never_arrived_is_retryable():
    assert classify(BigPandaCall.COMMENT, response(408)) == TaskRetryable(reason="request_truncated")
    assert classify(BigPandaCall.COMMENT, response(407)).reason == "proxy_rejected"


@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("call", BigPandaCall)
def test_without_a_response_only_a_write_that_may_have_arrived_is_ambiguous(call, failure):
    outcome = classify(call, failure)

    if failure is Failure.UNSENDABLE:
        assert (type(outcome), outcome.cause, outcome.reason) == (TaskRejected, RejectionCause.PAYLOAD, "unsendable")
    elif failure.is_surely_not_done or call.is_read:
        assert (type(outcome), outcome.reason) == (TaskRetryable, failure.value)
    else:
        assert outcome == TaskAmbiguous(reason=failure.value)


# -- The detail --------------------------------------------------------------------------------------------------------


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
def test_the_detail_is_bigpandas_text_in_any_shape(body, detail):
    assert classify(BigPandaCall.COMMENT, response(400, body)).detail == detail


def test_the_detail_is_bounded():
    detail = classify(BigPandaCall.COMMENT, response(400, {"errors": ["x" * 10_000] * 1000})).detail

    assert len(detail) < 2000


@given(call=st.sampled_from(BigPandaCall), status=st.integers(100, 999), body=json_values, wait=st.text(max_size=12))
def test_every_response_has_an_outcome_with_a_known_reason(call, status, body, wait):
    outcome = classify(call, HttpResponse(status=status, body=body, headers={"Retry-After": wait}))

    assert outcome.reason in REASONS
    assert not (call.is_read and isinstance(outcome, TaskAmbiguous))


def test_reasons_are_snake_case():
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", reason) for reason in REASONS)
