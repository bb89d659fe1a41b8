"""Whatever came back from Slack, or did not, becomes an `Answer`: pure, and trusting no shape.

The order of the questions matters. No answer at all: only how it failed can speak. HTTP 429 and 5xx speak before the
body does: a 5xx may come from a gateway that gave up while Slack went on. Then `ok`, then the code, and what is left is
unreadable, which for a post means doubt.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, assert_never

from relay.http.outcome import Failure, HttpResponse
from relay.slack.error_codes import AlreadyDone, AmbiguousCode, NotFoundCode, RejectionCode, RetryCode, meaning_of
from relay.slack.methods import Method
from relay.slack.outcomes import (
    Ambiguous,
    Body,
    Delivered,
    NotFound,
    Read,
    Rejected,
    RejectionScope,
    Retryable,
    SlackOutcome,
)

Asked = Mapping[str, Any]
"""The arguments of the call that was answered."""

_DETAILS, _DETAIL_LENGTH, _CODE_LENGTH = 5, 300, 80
"""What of Slack's words goes into logs and letters: so many lines, and so many characters of each."""

_UNSENDABLE = "Report this to relay's authors: the message could not be written as JSON."
_TOO_LARGE = "Shorten the template that made the message: it is larger than what stands between relay and Slack takes."
_NOT_SLACK = (
    "Check SLACK_API_URL, and any proxy between relay and Slack: HTTP {status} came back without an answer of Slack's."
)


def classify(method: Method, response: HttpResponse | Failure, arguments: Asked | None = None) -> SlackOutcome:
    """What an answer, or the want of one, means.

    `asked` are the call's arguments: `thread_ts` tells a reply from a root, and `channel` and `ts` stand in where a
    success does not repeat them.
    """
    if isinstance(response, Failure):
        return _unanswered(response)
    told: Body = response.body if isinstance(response.body, Mapping) else {}
    code = _text(told.get("error"))[:_CODE_LENGTH]
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Retryable(reason="rate_limited", code=code, retry_after=response.retry_after, pauses=True)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ambiguous(reason="server_error", code=code or f"http_{response.status}")
    if told.get("ok") is True:
        return _done(method, arguments or {}, response, told)
    return _coded(method, arguments or {}, response, code, told) if code else _wordless(response.status)


def _unanswered(failure: Failure) -> SlackOutcome:
    if failure is Failure.UNSENDABLE:
        return Rejected(code="", scope=RejectionScope.PAYLOAD, reason=failure.value, remedy=_UNSENDABLE)
    if failure.is_surely_unsent:
        return Retryable(reason=failure.value)
    return Ambiguous(reason=failure.value)


def _done(method: Method, asked: Asked, came: HttpResponse, told: Body) -> SlackOutcome:
    if not method.sends:
        return Read(body=told, scopes=_scopes(came))
    channel = _text(told.get("channel")) or _text(asked.get("channel"))
    ts = _text(told.get("ts")) or _text(told.get("message_ts"))
    if method is not Method.POST:
        return Delivered(channel=channel, ts=ts or _text(asked.get("ts")), body=told)
    if not ts:  # it stands somewhere, but nobody can say where
        return Ambiguous(reason="unreadable")
    return Delivered(channel=channel, ts=ts, stray=_is_stray(asked, told), body=told)


def _is_stray(asked: Asked, told: Body) -> bool:
    """Whether a reply stands outside its thread: Slack says so by the echoed message's `thread_ts` alone.

    An answer that echoes no message says nothing, and a message in its place must not be deleted on a suspicion.
    (https://github.com/slack-go/slack/issues/1571)
    """
    parent, message = asked.get("thread_ts"), told.get("message")
    return bool(parent) and isinstance(message, Mapping) and message.get("thread_ts") != parent


def _coded(method: Method, asked: Asked, came: HttpResponse, code: str, told: Body) -> SlackOutcome:
    match meaning_of(method, code):
        case AlreadyDone():
            return _done(method, asked, came, {})
        case RetryCode() as wait:
            told_wait = came.retry_after
            after = wait.seconds if told_wait is None else told_wait
            return Retryable(reason=wait.reason, code=code, retry_after=after, pauses=wait.pauses, remedy=wait.remedy)
        case AmbiguousCode(reason=reason):
            return Ambiguous(reason=reason, code=code)
        case NotFoundCode(reason=reason):
            return NotFound(reason=reason, code=code)
        case RejectionCode() as refusal:
            return _refused(refusal, code, told)
        case never:
            assert_never(never)


def _refused(refusal: RejectionCode, code: str, told: Body) -> Rejected:
    needed, provided = _text(told.get("needed"))[:_DETAIL_LENGTH], _text(told.get("provided"))[:_DETAIL_LENGTH]
    return Rejected(
        code=code,
        scope=refusal.scope,
        reason=refusal.reason,
        remedy=refusal.remedy.format(needed=needed or "that the method needs", provided=provided or "too few"),
        missing_scopes=needed,
        detail=_detail(told),
    )


def _wordless(status: int) -> SlackOutcome:
    """Neither a success nor a code. By HTTP's meaning a 4xx was not done, but it was not Slack who said so."""
    code = f"http_{status}"
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # waiting does not make it smaller
        return Rejected(code=code, scope=RejectionScope.PAYLOAD, reason="message_too_large", remedy=_TOO_LARGE)
    if status >= HTTPStatus.BAD_REQUEST:
        return Retryable(reason="not_slack", code=code, remedy=_NOT_SLACK.format(status=status))
    return Ambiguous(reason="unreadable", code=code)


def _scopes(came: HttpResponse) -> tuple[str, ...]:
    return tuple(scope for scope in map(str.strip, came.header("X-OAuth-Scopes").split(",")) if scope)


def _detail(told: Body) -> str:
    """What Slack says about the payload: `[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/...]`."""
    about = told.get("response_metadata")
    messages = about.get("messages") if isinstance(about, Mapping) else None
    said = messages or told.get("errors")
    lines = [line[:_DETAIL_LENGTH] for line in said if isinstance(line, str)] if isinstance(said, list) else []
    return "; ".join(lines[:_DETAILS])


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
