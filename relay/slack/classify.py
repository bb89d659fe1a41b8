"""Whatever came back from Slack, or did not, becomes an `Answer`: pure, and trusting no shape.

The order of the questions matters. No answer at all: only how it failed can speak. HTTP 429 and 5xx speak before the
body does: a 5xx may come from a gateway that gave up while Slack went on. Then `ok`, then the code, and what is left is
unreadable, which for a post means doubt.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, assert_never

from relay.http.outcome import Failure, Reply
from relay.slack.answers import Answer, Body, Deferred, Delivered, Gone, Kind, Method, Read, Refused, Unknown
from relay.slack.error_codes import Doubt, Fine, Loss, Refusal, Wait, meaning_of

Asked = Mapping[str, Any]
"""The arguments of the call that was answered."""

_WRITES = frozenset({Method.POST, Method.EDIT, Method.DELETE, Method.EPHEMERAL})
_DETAILS, _DETAIL_LENGTH, _CODE_LENGTH = 5, 300, 80
"""What of Slack's words goes into logs and letters: so many lines, and so many characters of each."""

_UNSENDABLE = "Report this to relay's authors: the message could not be written as JSON."
_TOO_LARGE = "Shorten the template that made the message: it is larger than what stands between relay and Slack takes."
_NOT_SLACK = (
    "Check SLACK_API_URL, and any proxy between relay and Slack: HTTP {status} came back without an answer of Slack's."
)


def judge(method: Method, came: Reply | Failure, asked: Asked | None = None) -> Answer:
    """What an answer, or the want of one, means.

    `asked` are the call's arguments: `thread_ts` tells a reply from a root, and `channel` and `ts` stand in where a
    success does not repeat them.
    """
    if isinstance(came, Failure):
        return _unanswered(came)
    told: Body = came.body if isinstance(came.body, Mapping) else {}
    code = _text(told.get("error"))[:_CODE_LENGTH]
    if came.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Deferred(reason="rate_limited", code=code, retry_after=came.retry_after, pauses=True)
    if came.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unknown(reason="server_error", code=code or f"http_{came.status}")
    if told.get("ok") is True:
        return _done(method, asked or {}, came, told)
    return _coded(method, asked or {}, came, code, told) if code else _wordless(came.status)


def _unanswered(failure: Failure) -> Answer:
    if failure is Failure.UNSENDABLE:
        return Refused(code="", kind=Kind.PAYLOAD, reason=failure.value, remedy=_UNSENDABLE)
    if failure.is_sure:
        return Deferred(reason=failure.value)
    return Unknown(reason=failure.value)


def _done(method: Method, asked: Asked, came: Reply, told: Body) -> Answer:
    if method not in _WRITES:
        return Read(body=told, scopes=_scopes(came))
    channel = _text(told.get("channel")) or _text(asked.get("channel"))
    ts = _text(told.get("ts")) or _text(told.get("message_ts"))
    if method is not Method.POST:
        return Delivered(channel=channel, ts=ts or _text(asked.get("ts")), body=told)
    if not ts:  # it stands somewhere, but nobody can say where
        return Unknown(reason="unreadable")
    return Delivered(channel=channel, ts=ts, stray=_is_stray(asked, told), body=told)


def _is_stray(asked: Asked, told: Body) -> bool:
    """Whether a reply stands outside its thread: Slack says so by the echoed message's `thread_ts` alone.

    An answer that echoes no message says nothing, and a message in its place must not be deleted on a suspicion.
    (https://github.com/slack-go/slack/issues/1571)
    """
    parent, message = asked.get("thread_ts"), told.get("message")
    return bool(parent) and isinstance(message, Mapping) and message.get("thread_ts") != parent


def _coded(method: Method, asked: Asked, came: Reply, code: str, told: Body) -> Answer:
    match meaning_of(method, code):
        case Fine():
            return _done(method, asked, came, {})
        case Wait() as wait:
            told_wait = came.retry_after
            after = wait.seconds if told_wait is None else told_wait
            return Deferred(reason=wait.reason, code=code, retry_after=after, pauses=wait.pauses, remedy=wait.remedy)
        case Doubt(reason=reason):
            return Unknown(reason=reason, code=code)
        case Loss(reason=reason):
            return Gone(reason=reason, code=code)
        case Refusal() as refusal:
            return _refused(refusal, code, told)
        case never:
            assert_never(never)


def _refused(refusal: Refusal, code: str, told: Body) -> Refused:
    needed, provided = _text(told.get("needed"))[:_DETAIL_LENGTH], _text(told.get("provided"))[:_DETAIL_LENGTH]
    return Refused(
        code=code,
        kind=refusal.kind,
        reason=refusal.reason,
        remedy=refusal.remedy.format(needed=needed or "that the method needs", provided=provided or "too few"),
        needed=needed,
        detail=_detail(told),
    )


def _wordless(status: int) -> Answer:
    """Neither a success nor a code. By HTTP's meaning a 4xx was not done, but it was not Slack who said so."""
    code = f"http_{status}"
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # waiting does not make it smaller
        return Refused(code=code, kind=Kind.PAYLOAD, reason="message_too_large", remedy=_TOO_LARGE)
    if status >= HTTPStatus.BAD_REQUEST:
        return Deferred(reason="not_slack", code=code, remedy=_NOT_SLACK.format(status=status))
    return Unknown(reason="unreadable", code=code)


def _scopes(came: Reply) -> tuple[str, ...]:
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
