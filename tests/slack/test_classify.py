"""Every response from Slack becomes one outcome, and no shape of a response is trusted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.http.outcome import Failure, HttpResponse
from relay.slack.classify import classify
from relay.slack.error_codes import TABLE, Effect
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable


def error(code, status=200, **more):
    return HttpResponse(status=status, body={"ok": False, "error": code, **more})


def test_a_rejection_has_its_scope_its_reason_and_a_remedy():
    outcome = classify(Method.POST, error("not_in_channel"))

    assert outcome == Rejected(
        code="not_in_channel",
        scope=RejectionScope.CHANNEL,
        reason="not_in_channel",
        remedy="Invite relay to the channel: /invite @relay.",
    )


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.codes)
def test_every_code_becomes_the_outcome_of_its_effect(row):
    expected = {Effect.RETRY: Retryable, Effect.AMBIGUOUS: Ambiguous, Effect.NOT_FOUND: NotFound, Effect.DONE: Read}
    method = row.method or Method.REPLIES
    for code in row.codes.split():
        outcome = classify(method, error(code), {"channel": "C1", "ts": "1.2"})
        assert isinstance(outcome, Delivered if row.method is Method.DELETE else expected.get(row.effect, Rejected))
        assert isinstance(outcome, (Read, Delivered)) or (outcome.code, outcome.reason) == (code, row.reason)
        assert "{" not in getattr(outcome, "remedy", "")


def test_deleting_a_message_that_is_gone_is_done():
    outcome = classify(Method.DELETE, error("message_not_found"), {"channel": "C1", "ts": "1.2"})

    assert outcome == Delivered(channel="C1", ts="1.2")


def test_an_unknown_code_rejects_the_call():
    outcome = classify(Method.POST, error("sunspots"))

    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code, outcome.reason) == (RejectionScope.UNKNOWN_CODE, "sunspots", "unknown_code")


def test_the_remedy_names_the_missing_scope():
    outcome = classify(Method.HISTORY, error("missing_scope", needed="channels:history", provided="chat:write"))

    assert isinstance(outcome, Rejected)
    assert outcome.missing_scopes == "channels:history"
    assert "channels:history" in outcome.remedy
    assert "chat:write" in outcome.remedy


def test_the_remedy_is_a_sentence_even_without_the_name_of_the_scope():
    outcome = classify(Method.HISTORY, error("missing_scope", needed=None))

    assert isinstance(outcome, Rejected)
    assert "None" not in outcome.remedy


def test_the_detail_is_slacks_message_about_the_blocks():
    line = "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    outcome = classify(Method.POST, error("invalid_blocks", response_metadata={"messages": [line, 7, "x" * 999]}))

    assert isinstance(outcome, Rejected)
    assert outcome.detail.startswith(line + "; xxx")
    assert len(outcome.detail) < 500


def test_without_messages_the_errors_are_the_detail():
    outcome = classify(Method.POST, error("invalid_blocks", errors=["unsupported block"]))

    assert isinstance(outcome, Rejected)
    assert outcome.detail == "unsupported block"


# -- Retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "30"}, {"ok": False, "error": "ratelimited"}, 30.0),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"RETRY-AFTER": "0"}, "<html>", 0.0),
        ({}, {"ok": False, "error": "rate_limited", "retry_after": 7}, 7.0),
        ({}, {"ok": False}, None),
        ({"Retry-After": "soon"}, {"retry_after": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({"Retry-After": "-5"}, {}, None),
        ({"Retry-After": "nan"}, {}, None),
        ({"Retry-After": "inf"}, {"retry_after": 10**400}, None),
        ({"Retry-After": "99999999"}, {}, 600.0),
    ],
)
def test_http_429_pauses_the_method_for_the_time_that_slack_names(headers, body, seconds):
    outcome = classify(Method.POST, HttpResponse(status=429, headers=headers, body=body))

    assert isinstance(outcome, Retryable)
    assert (outcome.reason, outcome.pauses, outcome.retry_after) == ("rate_limited", True, seconds)


@pytest.mark.parametrize("code", ["ratelimited", "rate_limited"])
def test_a_rate_limit_by_code_pauses_the_method_too(code):
    outcome = classify(
        Method.EDIT, HttpResponse(status=200, headers={"Retry-After": "3"}, body={"ok": False, "error": code})
    )

    assert outcome == Retryable(reason="rate_limited", code=code, retry_after=3.0, pauses=True)


def test_a_migrating_workspace_pauses_the_method_for_minutes():
    outcome = classify(Method.POST, error("team_added_to_org"))

    assert isinstance(outcome, Retryable)
    assert outcome.pauses
    assert outcome.retry_after is not None
    assert outcome.retry_after >= 60


def test_a_migrating_channel_does_not_pause_the_method():
    outcome = classify(Method.EDIT, error("external_channel_migrating"))

    assert isinstance(outcome, Retryable)
    assert not outcome.pauses


# -- In doubt ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", list(Failure))
def test_without_a_response_a_call_is_ambiguous_unless_it_surely_was_not_sent(failure):
    sure = ["name_not_resolved", "not_connected", "connect_timed_out", "tls_failed", "proxy_rejected", "redirected"]
    sure += [each for each in Failure if each.startswith("certificate_")]
    expected = {"unsendable": Rejected, **dict.fromkeys(sure, Retryable)}.get(failure, Ambiguous)

    outcome = classify(Method.POST, failure)

    assert type(outcome) is expected
    assert outcome.reason == failure


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [None, {}, "<html>", {"ok": False, "error": "service_unavailable"}, {"ok": True}])
def test_a_server_error_is_ambiguous_with_any_body(status, body):
    outcome = classify(Method.POST, HttpResponse(status=status, body=body))

    assert isinstance(outcome, Ambiguous)
    assert outcome.reason == "server_error"


def test_service_unavailable_is_ambiguous_for_a_post_and_retryable_for_the_rest():
    assert isinstance(classify(Method.POST, error("service_unavailable")), Ambiguous)
    assert isinstance(classify(Method.EDIT, error("service_unavailable")), Retryable)


@pytest.mark.parametrize(
    "body", [None, {}, [], "ok", b"\x1f\x8b", 7, {"ok": "true"}, {"ok": False}, {"ok": False, "error": 5}]
)
def test_an_unreadable_response_is_ambiguous(body):
    assert classify(Method.POST, HttpResponse(status=200, body=body)) == Ambiguous(reason="unreadable", code="http_200")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 408])
def test_a_rejection_by_a_proxy_is_retryable(status):
    outcome = classify(Method.POST, HttpResponse(status=status, body="<html>"))

    assert isinstance(outcome, Retryable)
    assert outcome.reason == "not_slack"
    assert str(status) in outcome.remedy


def test_a_message_too_large_for_a_proxy_is_rejected():
    outcome = classify(Method.POST, HttpResponse(status=413))

    assert isinstance(outcome, Rejected)
    assert outcome.scope is RejectionScope.PAYLOAD


def test_a_slack_code_counts_under_any_4xx_status():
    outcome = classify(Method.POST, error("invalid_auth", status=401))

    assert isinstance(outcome, Rejected)
    assert outcome.scope is RejectionScope.CREDENTIALS


# -- Successes ---------------------------------------------------------------------------------------------------------


def posted(**more):
    return HttpResponse(status=200, body={"ok": True, "channel": "C1", "ts": "1.000200", **more})


def test_a_post_is_delivered_with_its_ts():
    assert classify(Method.POST, posted(), {"channel": "C1"}) == Delivered(channel="C1", ts="1.000200")


def test_a_post_without_a_ts_is_ambiguous():
    assert isinstance(classify(Method.POST, HttpResponse(status=200, body={"ok": True, "channel": "C1"})), Ambiguous)


def test_an_edit_without_a_ts_in_the_response_has_the_ts_of_the_call():
    outcome = classify(Method.EDIT, HttpResponse(status=200, body={"ok": True}), {"channel": "C1", "ts": "1.2"})

    assert outcome == Delivered(channel="C1", ts="1.2")


@pytest.mark.parametrize(
    ("arguments", "body", "stray"),
    [
        ({"thread_ts": "1.1"}, {"message": {"thread_ts": "1.1"}}, False),
        ({"thread_ts": "1.1"}, {"message": {"text": "hello"}}, True),
        ({"thread_ts": "1.1"}, {"message": {"thread_ts": "9.9"}}, True),
        ({"thread_ts": "1.1"}, {}, False),
        ({}, {"message": {"text": "a card"}}, False),
    ],
    ids=["in its thread", "in the channel", "in another thread", "not echoed", "a root"],
)
def test_a_reply_outside_its_thread_is_a_stray(arguments, body, stray):
    outcome = classify(Method.POST, posted(**body), arguments)

    assert isinstance(outcome, Delivered)
    assert outcome.stray is stray


def test_an_ephemeral_message_is_delivered_with_its_own_ts():
    response = HttpResponse(status=200, body={"ok": True, "message_ts": "1.000300"})

    assert classify(Method.EPHEMERAL, response, {"channel": "C1", "user": "U1"}) == Delivered(
        channel="C1", ts="1.000300"
    )


def test_a_read_has_its_body_and_the_tokens_scopes():
    body = {"ok": True, "messages": []}

    outcome = classify(
        Method.HISTORY, HttpResponse(status=200, headers={"x-oauth-scopes": "chat:write, channels:read,"}, body=body)
    )

    assert outcome == Read(body=body, scopes=("chat:write", "channels:read"))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["messages", "errors"]), inner),
    max_leaves=10,
)
names = st.sampled_from(
    ["ok", "error", "ts", "channel", "message", "needed", "provided", "retry_after", "response_metadata", "errors"]
)


@given(
    method=st.sampled_from(Method),
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(["Retry-After", "X-OAuth-Scopes"]), st.text()),
    body=json
    | st.dictionaries(names, json | st.sampled_from([True, "missing_scope", "invalid_blocks", "ratelimited"])),
    arguments=st.dictionaries(st.sampled_from(["channel", "ts", "thread_ts"]), st.text()),
)
def test_every_response_has_an_outcome_and_nothing_raises(method, status, headers, body, arguments):
    outcome = classify(method, HttpResponse(status=status, headers=headers, body=body), arguments)

    assert outcome.reason.replace("_", "").isalpha()
    if isinstance(outcome, Retryable) and outcome.retry_after is not None:
        assert math.isfinite(outcome.retry_after)
        assert outcome.retry_after >= 0
    if isinstance(outcome, (Delivered, Read)):
        assert status < 500
    if isinstance(outcome, Delivered) and method is Method.POST:
        assert outcome.ts
