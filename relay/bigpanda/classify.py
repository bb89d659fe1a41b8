"""Classify what came back from BigPanda: one table of its statuses, and the function that reads it. It trusts no shape.

The status decides. The body decides only if the status leaves a question. BigPanda documents its bodies for few calls
(`{"status", "errors"}`, `{"statusCode", "error", "message"}`), and its gateway answers some statuses itself.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import (
    IncidentNotFound,
    RejectionCause,
    TaskAmbiguous,
    TaskDone,
    TaskOutcome,
    TaskRejected,
    TaskRetryable,
)
from relay.http.json_fields import as_object
from relay.http.outcome import Failure, HttpResponse
from relay.model.struct import replace


def _rejected(cause: RejectionCause, reason: str, remedy: str) -> TaskRejected:
    return TaskRejected(cause=cause, reason=reason, remedy=remedy)


_BAD_REQUEST = _rejected(
    RejectionCause.PAYLOAD, "bad_request", "Read the detail: BigPanda rejects the call as it is, and says why."
)
_UNSUPPORTED = _rejected(
    RejectionCause.UNSUPPORTED,
    "unsupported",
    "Ask BigPanda's support: this organisation's API does not offer the call.",
)
NOT_BIGPANDA = TaskRetryable(
    reason="not_bigpanda",
    remedy="Check BIGPANDA_API_URL, and any proxy between relay and BigPanda: something else answers there.",
)
_REDIRECTED = replace(NOT_BIGPANDA, reason=Failure.REDIRECTED.value)
_NO_SUCH_CALL = _rejected(
    RejectionCause.UNSUPPORTED,
    "no_such_call",
    "Check BIGPANDA_API_URL: a key of one region finds nothing in another. The United States are "
    "https://api.bigpanda.io, the European Union is https://eu-api.bigpanda.io.",
)
_UNSENDABLE = _rejected(
    RejectionCause.PAYLOAD,
    Failure.UNSENDABLE.value,
    "Report this to relay's authors: the call could not be written as a request.",
)

# https://api-docs.bigpanda.io/errors-and-troubleshooting, and for 429 https://api-docs.bigpanda.io/rate-limits. The
# other 4xx have HTTP's meaning (https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx).
STATUSES: Final[Mapping[int, TaskRetryable | IncidentNotFound | TaskRejected]] = {
    400: _BAD_REQUEST,
    401: _rejected(
        RejectionCause.CREDENTIALS,
        "key_invalid",
        "Set BIGPANDA_API_KEY to a valid User API Key: an expired or deleted key and an Org Token fail.",
    ),
    403: _rejected(
        RejectionCause.PERMISSION,
        "forbidden",
        "Give the key's user a role with the missing permission: Incident Actions in this environment to act on "
        "incidents, User Management (View) to find people.",
    ),
    404: IncidentNotFound(reason="not_found"),
    405: _UNSUPPORTED,
    407: TaskRetryable(reason="proxy_rejected", remedy="Let relay through the proxy that HTTPS_PROXY names."),
    408: TaskRetryable(reason="request_truncated"),
    409: _rejected(
        RejectionCause.PAYLOAD, "conflict", "Look at the incident in BigPanda: its present state forbids this."
    ),
    410: IncidentNotFound(reason="gone"),
    413: _rejected(RejectionCause.PAYLOAD, "too_large", "Shorten the text: it is larger than BigPanda allows."),
    429: TaskRetryable(reason="rate_limited", pauses=True),
    501: _UNSUPPORTED,
}
"""Status -> what it means. To add a status, add a row."""

_USER_UNKNOWN = _rejected(
    RejectionCause.PAYLOAD, "user_unknown", "Correct the BigPanda user's id under `users:` in routes.yaml."
)
_NOT_THE_INCIDENT: Final[Mapping[BigPandaCall, tuple[frozenset[str], TaskRejected]]] = {
    # A missing tag is a 404 with "Tag ID ... does not exist" (https://github.com/bigpandaio/bigpanda-ansible-test). It
    # is an assumption that a missing assignee looks alike.
    BigPandaCall.ASSIGN: (frozenset({"user", "assignee"}), _USER_UNKNOWN),
}
"""Call -> the words by which a 404 is not about the incident, and what it means then."""

_WORD = re.compile(r"[a-z]+")
_MAX_TEXTS, _MAX_TEXT = 5, 300
"""How much of BigPanda's words goes into logs and dead letters: texts, and characters of a text."""

_SURE_SUCCESS = frozenset({HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
"""Only BigPanda answers these, after it understood the call. A 200 may come with anybody's page."""

REASONS: Final = frozenset(
    {
        TaskDone.reason,
        "server_error",
        "unreadable",
        *(failure.value for failure in Failure),
        *(outcome.reason for outcome in (*STATUSES.values(), NOT_BIGPANDA, _NO_SUCH_CALL, _UNSENDABLE)),
        *(rejected.reason for _, rejected in _NOT_THE_INCIDENT.values()),
    }
)
"""Every `reason` of an outcome."""


def classify(call: BigPandaCall, response: HttpResponse | Failure) -> TaskOutcome:
    """Return what a response, or a failure to get one, means for this call."""
    if isinstance(response, Failure):
        return _from_failure(call, response)
    status = response.status
    if status == HTTPStatus.CONFLICT and call is BigPandaCall.RESOLVE:
        return TaskDone()  # it was resolved before
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _success(call, response)
    if outcome := STATUSES.get(status):
        return _complete(call, outcome, response)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _in_doubt(call, "server_error")
    # An unlisted 4xx says that the call is wrong. The API has no redirections.
    return _complete(call, _BAD_REQUEST if status >= HTTPStatus.BAD_REQUEST else NOT_BIGPANDA, response)


def _from_failure(call: BigPandaCall, failure: Failure) -> TaskOutcome:
    if failure is Failure.UNSENDABLE:
        return _UNSENDABLE
    if failure is Failure.REDIRECTED:
        return _REDIRECTED
    return TaskRetryable(reason=failure.value) if failure.is_surely_not_done else _in_doubt(call, failure.value)


def _in_doubt(call: BigPandaCall, reason: str) -> TaskOutcome:
    """A read without a result can simply be repeated."""
    return TaskRetryable(reason=reason) if call.is_read else TaskAmbiguous(reason=reason)


def _success(call: BigPandaCall, response: HttpResponse) -> TaskOutcome:
    is_json = isinstance(response.body, Mapping | list)
    is_sure = not call.is_read and (response.body is None or response.status in _SURE_SUCCESS)
    if is_json or is_sure:
        return TaskDone(body=response.body if is_json else None)
    return _in_doubt(call, "unreadable")


def _complete(
    call: BigPandaCall, outcome: TaskRetryable | IncidentNotFound | TaskRejected, response: HttpResponse
) -> TaskOutcome:
    if isinstance(outcome, TaskRetryable):
        return replace(outcome, retry_after=response.retry_after)
    detail = _detail(response.body)
    if isinstance(outcome, IncidentNotFound):
        words, rejected = _NOT_THE_INCIDENT.get(call, (frozenset(), _BAD_REQUEST))
        if not call.names_incident:
            outcome = _NO_SUCH_CALL
        elif not words.isdisjoint(_WORD.findall(detail.casefold())):
            outcome = rejected
    return replace(outcome, detail=detail)


def _detail(body: object) -> str:
    """Return BigPanda's words: the texts under the first of these names that has any. A page has none.

    A value is a text, a list of texts, or a list of objects with a `message`.
    """
    for name in ("errors", "message", "detail", "error"):
        value = as_object(body).get(name)
        items = value[:_MAX_TEXTS] if isinstance(value, list) else [value]
        texts = (item.get("message") if isinstance(item, Mapping) else item for item in items)
        if found := [text[:_MAX_TEXT] for text in texts if isinstance(text, str) and text.strip()]:
            return "; ".join(found)
    return ""
