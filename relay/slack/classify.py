"""Classify what came back from Slack: every response and every failure becomes one outcome. It trusts no shape.

The order of the checks matters. Without a response, the failure decides. HTTP 429 and 5xx come before the body: a
gateway may give up with a 5xx while Slack continues. Then `ok`, then the error code. Any other answer is unreadable,
and a post without a readable answer is in doubt. So is one whose answer is about another channel, message or user.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, assert_never

from relay.http.json_fields import as_object, object_field, text_field
from relay.http.outcome import CERTIFICATE_REMEDIES, Failure, HttpResponse
from relay.slack.error_codes import Effect, Meaning, meaning_of
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

Arguments = Mapping[str, Any]

_MAX_LINES, _MAX_LINE, _MAX_CODE = 5, 300, 80
"""How much of Slack's words goes into logs and dead letters: lines, characters of a line, characters of a code."""

_UNSENDABLE = "Report this to relay's authors: the message could not be written as JSON."
_TOO_LARGE = "Shorten the template of the message: it is larger than a proxy between relay and Slack allows."
_NOT_SLACK = "Check SLACK_API_URL, and any proxy between relay and Slack: HTTP {status} came back, but not from Slack."
_REDIRECTED = (
    "Check SLACK_API_URL, and any proxy between relay and Slack: the call was redirected. Relay follows no redirect."
)

_TS = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)
"""A message's id in its channel: the seconds and microseconds at which Slack stored it."""

_ECHOES: Final[Mapping[str, tuple[Method, ...]]] = {
    "channel": (Method.POST, Method.EDIT, Method.DELETE, Method.CHANNEL, Method.JOIN),
    "ts": (Method.EDIT, Method.DELETE),
    "user": (Method.USER,),
}
"""Argument -> the methods that repeat it in their answer: as it is, or as the `id` of an object of that name."""

_READS_MESSAGES: Final = frozenset({Method.HISTORY, Method.REPLIES})
"""Their answers must have a list of messages: without one, every card would look deleted."""


def classify(method: Method, response: HttpResponse | Failure, arguments: Arguments | None = None) -> SlackOutcome:
    """Return what a response, or a failure to get one, means.

    `arguments` are the call's: `thread_ts` tells a reply from a root message. An answer that repeats another `channel`,
    `ts` or `user` than was asked for is ambiguous.
    """
    arguments = arguments or {}
    if isinstance(response, Failure):
        return _from_failure(response)
    body = as_object(response.body)
    code = text_field(body, "error")[:_MAX_CODE]
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Retryable(reason="rate_limited", code=code, retry_after=response.retry_after, pauses=True)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Ambiguous(reason="server_error", code=code or f"http_{response.status}")
    if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        return _from_status(response.status)
    if response.status < HTTPStatus.BAD_REQUEST and body.get("ok") is True:
        has_all = method not in _READS_MESSAGES or isinstance(body.get("messages"), list)
        return _success(method, arguments, response, body) if has_all else Ambiguous(reason="unreadable")
    return _from_code(method, arguments, response, code, body) if code else _from_status(response.status)


def _from_failure(failure: Failure) -> SlackOutcome:
    if failure is Failure.UNSENDABLE:
        return Rejected(code="", scope=RejectionScope.PAYLOAD, reason=failure.value, remedy=_UNSENDABLE)
    if failure is Failure.REDIRECTED:
        return Retryable(reason=failure.value, remedy=_REDIRECTED)
    if failure.is_surely_not_done:
        return Retryable(reason=failure.value, remedy=CERTIFICATE_REMEDIES.get(failure, ""))
    return Ambiguous(reason=failure.value)


def _success(method: Method, arguments: Arguments, response: HttpResponse, body: Body) -> SlackOutcome:
    if any(_differs(name, arguments, body) for name, methods in _ECHOES.items() if method in methods):
        return Ambiguous(reason="mismatch")
    if not method.sends:
        scopes = (scope.strip() for scope in response.header("X-OAuth-Scopes").split(","))
        return Read(body=body, scopes=tuple(filter(None, scopes)))
    channel = text_field(arguments, "channel")
    if method is not Method.POST:
        ts = text_field(arguments, "ts") or text_field(body, "message_ts")
        return Delivered(channel=channel, ts=ts if is_ts(ts) else "", body=body)
    ts = text_field(body, "ts")
    if not is_ts(ts):  # the message exists, but nobody knows where
        return Ambiguous(reason="unreadable")
    return Delivered(channel=channel, ts=ts, stray=_is_stray(arguments, body), body=body)


def is_ts(text: str) -> bool:
    """Return whether a text can be a message's id."""
    return _TS.fullmatch(text) is not None


def _differs(name: str, arguments: Arguments, body: Body) -> bool:
    """Whether an answer repeats an argument differently: then nobody knows what was done, and where."""
    sent, echo = arguments.get(name), body.get(name)
    echoed = echo.get("id") if isinstance(echo, Mapping) else echo
    return sent is not None and echoed is not None and echoed != sent


def _is_stray(arguments: Arguments, body: Body) -> bool:
    """Return whether a reply stands outside its thread. Only the `thread_ts` of the echoed message says so.

    A response without an echoed message proves nothing, and relay must not delete a message that is in its place.
    (https://github.com/slack-go/slack/issues/1571)
    """
    parent, message = arguments.get("thread_ts"), body.get("message")
    return bool(parent) and isinstance(message, Mapping) and message.get("thread_ts") != parent


def _from_code(method: Method, arguments: Arguments, response: HttpResponse, code: str, body: Body) -> SlackOutcome:
    meaning = meaning_of(method, code)
    match meaning.effect:
        case Effect.DONE:
            return _success(method, arguments, response, {})
        case Effect.RETRY:
            after = meaning.wait if response.retry_after is None else response.retry_after
            return Retryable(
                reason=meaning.reason, code=code, retry_after=after, pauses=meaning.pauses, remedy=meaning.remedy
            )
        case Effect.AMBIGUOUS:
            return Ambiguous(reason=meaning.reason, code=code)
        case Effect.NOT_FOUND:
            return NotFound(reason=meaning.reason, code=code)
        case RejectionScope() as scope:
            return _rejected(scope, meaning, code, body)
        case never:
            assert_never(never)


def _rejected(scope: RejectionScope, meaning: Meaning, code: str, body: Body) -> Rejected:
    needed, provided = text_field(body, "needed")[:_MAX_LINE], text_field(body, "provided")[:_MAX_LINE]
    # Slack's words, as in `[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/...]`
    lines = object_field(body, "response_metadata").get("messages") or body.get("errors")
    texts = [_in_words(line)[:_MAX_LINE] for line in lines] if isinstance(lines, list) else []
    return Rejected(
        code=code,
        scope=scope,
        reason=meaning.reason,
        remedy=meaning.remedy.format(needed=needed or "that the method needs", provided=provided or "too few"),
        missing_scopes=needed,
        detail="; ".join(list(filter(None, texts))[:_MAX_LINES]),
    )


def _in_words(line: object) -> str:
    """Slack's complaint: a text, or (blocks.validate) an object with the place of the element."""
    if isinstance(line, Mapping):
        message, pointer = text_field(line, "message"), text_field(line, "pointer")
        return f"{message} [json-pointer:{pointer}]" if pointer else message
    return line if isinstance(line, str) else ""


def _from_status(status: int) -> SlackOutcome:
    """Classify a response without `ok` and without a code. A 3xx or 4xx was not done, and is not from Slack."""
    code = f"http_{status}"
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # waiting does not make the message smaller
        return Rejected(code=code, scope=RejectionScope.PAYLOAD, reason="message_too_large", remedy=_TOO_LARGE)
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return Retryable(reason="not_slack", code=code, remedy=_NOT_SLACK.format(status=status))
    return Ambiguous(reason="unreadable", code=code)
