"""Whatever came back from BigPanda, or did not, becomes a `Ruling`: pure, and trusting no shape.

The status speaks, and the body only where the status leaves a question: what BigPanda says in it is documented for few
calls (`{"status", "errors"}`, `{"statusCode", "error", "message"}`), and its gateway answers some statuses itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias, assert_never

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
from relay.http.outcome import Failure, HttpResponse

_DETAILS, _DETAIL_LENGTH = 5, 300
"""What of BigPanda's words goes into logs and letters: so many of them, and so many characters of each."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """Surely not done, and worth another try."""

    reason: str
    pauses: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Loss:
    """What the call is about is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Not done, for good."""

    kind: RejectionCause
    reason: str
    remedy: str


_Meaning: TypeAlias = _Wait | _Loss | _Refusal

_NOT_BIGPANDA = _Wait(
    "not_bigpanda",
    remedy="Check BIGPANDA_API_URL, and any proxy between relay and BigPanda: something else answers there.",
)
_BAD_REQUEST = _Refusal(
    RejectionCause.PAYLOAD, "bad_request", "Read what BigPanda says of it: it takes no call like this one."
)
_UNSUPPORTED = _Refusal(
    RejectionCause.UNSUPPORTED,
    "unsupported",
    "Ask BigPanda's support: this organisation's API does not offer the call.",
)
_NO_SUCH_CALL = _Refusal(
    RejectionCause.UNSUPPORTED,
    "no_such_call",
    "Check BIGPANDA_API_URL: a key of one region finds nothing in another (https://api.bigpanda.io is the United "
    "States, https://eu-api.bigpanda.io the European Union).",
)
_UNSENDABLE = _Refusal(
    RejectionCause.PAYLOAD, "unsendable", "Report this to relay's authors: the call could not be written as a request."
)

# https://api-docs.bigpanda.io/errors-and-troubleshooting, and for 429 https://api-docs.bigpanda.io/rate-limits. The
# rest of the 4xx is what HTTP makes of them (https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx).
_MEANINGS: Mapping[int, _Meaning] = {
    400: _BAD_REQUEST,
    401: _Refusal(
        RejectionCause.CREDENTIALS,
        "key_invalid",
        "Set BIGPANDA_API_KEY to a valid User API Key; an expired or deleted one, or an Org Token, is refused like "
        "this.",
    ),
    403: _Refusal(
        RejectionCause.PERMISSION,
        "forbidden",
        "Give the key's user a role with the permission that BigPanda misses: Incident Actions in this environment "
        "for what is done to incidents, User Management (View) for finding people.",
    ),
    404: _Loss("not_found"),
    405: _UNSUPPORTED,
    407: _Wait("proxy_refused", remedy="Let relay through the proxy that HTTPS_PROXY names."),
    408: _Wait("request_truncated"),
    409: _Refusal(
        RejectionCause.PAYLOAD, "conflict", "Look at the incident in BigPanda: its present state forbids this."
    ),
    410: _Loss("gone"),
    413: _Refusal(RejectionCause.PAYLOAD, "too_large", "Shorten the text: it is larger than BigPanda takes."),
    429: _Wait("rate_limited", pauses=True),
    501: _UNSUPPORTED,
}

_OF_SOMETHING_ELSE: Mapping[BigPandaCall, tuple[frozenset[str], _Refusal]] = {
    # "Tag ID ... does not exist" comes as a 404 (https://github.com/bigpandaio/bigpanda-ansible-test); that an unknown
    # assignee is told alike is assumed.
    BigPandaCall.TAG: (
        frozenset({"tag"}),
        _Refusal(
            RejectionCause.PAYLOAD,
            "tag_unknown",
            "Define the tag in BigPanda, or mend its id: there is none of that id.",
        ),
    ),
    BigPandaCall.ASSIGN: (
        frozenset({"user", "assignee"}),
        _Refusal(
            RejectionCause.PAYLOAD, "user_unknown", "Mend the id of the BigPanda user under `users:` in routes.yaml."
        ),
    ),
}
"""Calls whose 404 may be about something else than the incident, and the words by which that is known."""

_WORD = re.compile(r"[a-z]+")

_WITHOUT_QUESTION = frozenset({HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
"""Successes that only who understood the call would answer; a 200 may be anybody's page."""

REASONS: frozenset[str] = frozenset(
    {
        TaskDone.reason,
        "server_error",
        "unreadable",
        *(failure.value for failure in Failure),
        *(meaning.reason for meaning in (*_MEANINGS.values(), _NOT_BIGPANDA, _NO_SUCH_CALL, _UNSENDABLE)),
        *(refusal.reason for _, refusal in _OF_SOMETHING_ELSE.values()),
    }
)
"""Every `reason` that a ruling can have."""


def classify(call: BigPandaCall, response: HttpResponse | Failure) -> TaskOutcome:
    """What an answer, or the want of one, means for this call."""
    if isinstance(response, Failure):
        return _unanswered(call, response)
    if response.status == HTTPStatus.CONFLICT and call is BigPandaCall.RESOLVE:
        return TaskDone(repeated=True)
    if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return _done(call, response)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and response.status not in _MEANINGS:
        return _doubtful(call, "server_error")
    return _meant(call, _MEANINGS.get(response.status) or _otherwise(response.status), response)


def _otherwise(status: int) -> _Meaning:
    """A 4xx that nobody lists says that the call is wrong; and the API has no redirections."""
    return _BAD_REQUEST if status >= HTTPStatus.BAD_REQUEST else _NOT_BIGPANDA


def _unanswered(call: BigPandaCall, failure: Failure) -> TaskOutcome:
    if failure is Failure.UNSENDABLE:
        return TaskRejected(cause=_UNSENDABLE.kind, reason=_UNSENDABLE.reason, remedy=_UNSENDABLE.remedy)
    return TaskRetryable(reason=failure.value) if failure.is_surely_unsent else _doubtful(call, failure.value)


def _doubtful(call: BigPandaCall, reason: str) -> TaskOutcome:
    """What was only to be read was surely not read."""
    return TaskRetryable(reason=reason) if call.is_read else TaskAmbiguous(reason=reason)


def _done(call: BigPandaCall, came: HttpResponse) -> TaskOutcome:
    is_json = isinstance(came.body, Mapping | list)
    if call.is_read:
        return TaskDone(body=came.body) if is_json else _doubtful(call, "unreadable")
    if is_json or came.body is None or came.status in _WITHOUT_QUESTION:
        return TaskDone(body=came.body if is_json else None)
    return _doubtful(call, "unreadable")


def _meant(call: BigPandaCall, meaning: _Meaning, came: HttpResponse) -> TaskOutcome:
    match meaning:
        case _Wait(reason=reason, pauses=pauses, remedy=remedy):
            return TaskRetryable(reason=reason, retry_after=came.retry_after, pauses=pauses, remedy=remedy)
        case _Loss(reason=reason):
            return _lost(call, reason, _detail(came.body))
        case _Refusal():
            return _refused(meaning, _detail(came.body))
        case never:
            assert_never(never)


def _lost(call: BigPandaCall, reason: str, detail: str) -> TaskOutcome:
    if not call.names_incident:
        return _refused(_NO_SUCH_CALL, detail)
    words, refusal = _OF_SOMETHING_ELSE.get(call, (frozenset(), _BAD_REQUEST))
    if words.isdisjoint(_WORD.findall(detail.casefold())):
        return IncidentNotFound(reason=reason, detail=detail)
    return _refused(refusal, detail)


def _refused(refusal: _Refusal, detail: str) -> TaskRejected:
    return TaskRejected(cause=refusal.kind, reason=refusal.reason, remedy=refusal.remedy, detail=detail)


def _detail(body: object) -> str:
    """BigPanda's words about what is wrong: `errors`, `message`, `detail` or `error`; of a page nothing."""
    if not isinstance(body, Mapping):
        return ""
    told = (_texts(body.get(name)) for name in ("errors", "message", "detail", "error"))
    return "; ".join(next(filter(None, told), []))


def _texts(said: Any) -> list[str]:
    """Texts, or the messages of objects that stand in their place."""
    several = said if isinstance(said, list) else [said]
    found = (each.get("message") if isinstance(each, Mapping) else each for each in several[:_DETAILS])
    return [text[:_DETAIL_LENGTH] for text in found if isinstance(text, str) and text.strip()]
