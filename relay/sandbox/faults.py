"""Fault injection: what goes wrong with a call, and when: before the call takes effect, or after.

    slack.faults.add(InjectedFault(behaviour=DropConnection(), after_effect=True, method="chat.postMessage", nth=3))

lets the third post take effect and cuts the connection instead of answering it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from relay.sandbox.calls import ReceivedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """Any HTTP response."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`{"ok": false, "error": code}` with HTTP 200: `internal_error`, `fatal_error`, or any other."""

    code: str


@dataclass(frozen=True, slots=True)
class DropConnection:
    """The connection is cut without an answer."""


@dataclass(frozen=True, slots=True)
class SlowAnswer:
    """The right answer, but late; `after_effect` says whether the call takes effect before or after the delay."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer, until `FaultInjector.release` or the end of the server cuts the connection."""


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Something else happens first (somebody deletes the parent, the client is stopped), then the usual answer."""

    action: Callable[[ReceivedCall], Awaitable[None] | None]


FaultBehaviour = RawResponse | ErrorCode | DropConnection | SlowAnswer | NoAnswer | SideEffect

SERVER_ERROR: Final = RawResponse(status=500, body='{"ok":false,"error":"internal_error"}')
UNAVAILABLE: Final = RawResponse(
    status=503, body="<html><body>Service Unavailable</body></html>", content_type="text/html"
)
BAD_GATEWAY: Final = RawResponse(status=502, body="upstream connect error", content_type="text/plain")
PLAIN_TEXT: Final = RawResponse(body="ok", content_type="text/plain")
BROKEN_JSON: Final = RawResponse(body='{"ok":true,"channel":"C0')
EMPTY: Final = RawResponse()


def rate_limited(seconds: int) -> RawResponse:
    """A 429. Its body is not documented; clients report this one most often."""
    headers = {"Retry-After": str(seconds)}
    return RawResponse(status=429, body='{"ok":false,"error":"ratelimited"}', headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InjectedFault:
    """What goes wrong with which calls.

    A call matches if it is of `method` and in `channel` (its id, or as the call names it) where these are given, and
    `where` is true of its arguments. The fault applies to the `nth` matching call and the following ones, `times` in
    all (None: for ever), each with `probability` (drawn with `seed`, so that a run can be repeated).
    """

    behaviour: FaultBehaviour
    after_effect: bool = False
    method: str | None = None
    channel: str | None = None
    where: Callable[[Mapping[str, Any]], bool] | None = None
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0


class ActiveFault:
    """An injected fault with its counts: how many calls matched, and to how many it was applied."""

    def __init__(self, fault: InjectedFault) -> None:
        self.fault = fault
        self.matched = 0
        self.applied = 0
        self._random = random.Random(fault.seed)  # noqa: S311  chance in a test, not a secret

    def should_apply(self, call: ReceivedCall) -> bool:
        """Count a call, and return whether the fault applies to it."""
        fault = self.fault
        if (
            fault.method not in (None, call.method)
            or fault.channel not in (None, call.channel, call.arguments.get("channel"))
            or not (fault.where is None or fault.where(call.arguments))
        ):
            return False
        self.matched += 1
        spent = fault.times is not None and self.applied >= fault.times
        if self.matched < fault.nth or spent or self._random.random() >= fault.probability:
            return False
        self.applied += 1
        return True


class FaultInjector:
    """Active faults; the first that applies is used, and the later ones do not count the call."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Start without faults; `sleep` makes slow answers wait."""
        self._sleep = sleep
        self._active: list[ActiveFault] = []
        self._released = asyncio.Event()
        self._blocked = asyncio.Event()

    def add(self, fault: InjectedFault) -> ActiveFault:
        """Activate a fault."""
        active = ActiveFault(fault)
        self._active.append(active)
        return active

    def clear(self) -> None:
        """Remove all faults; calls that `NoAnswer` blocks stay blocked."""
        self._active.clear()

    def release(self) -> None:
        """Cut the connections of all calls that `NoAnswer` blocks."""
        self._released.set()
        self._released, self._blocked = asyncio.Event(), asyncio.Event()

    async def wait_until_blocked(self) -> None:
        """Wait until `NoAnswer` blocks a call."""
        await self._blocked.wait()

    async def run(self, call: ReceivedCall, perform: Callable[[], RawResponse]) -> RawResponse | DropConnection:
        """Carry a call out with `perform`, and apply a fault before or after it."""
        fault = next((active.fault for active in self._active if active.should_apply(call)), None)
        if fault is None:
            return perform()
        if fault.after_effect:
            answer = perform()
            return await self._apply(fault.behaviour, call) or answer
        return await self._apply(fault.behaviour, call) or perform()

    async def _apply(self, behaviour: FaultBehaviour, call: ReceivedCall) -> RawResponse | DropConnection | None:
        """Misbehave; returns what is answered instead, or None for the usual answer."""
        match behaviour:
            case RawResponse() | DropConnection():
                return behaviour
            case ErrorCode(code):
                return RawResponse(body=f'{{"ok":false,"error":"{code}"}}')
            case SlowAnswer(seconds):
                await self._sleep(seconds)
                return None
            case NoAnswer():
                self._blocked.set()
                await self._released.wait()
                return DropConnection()
            case SideEffect(action):
                waiting = action(call)
                if waiting is not None:
                    await waiting
                return None
            case _:
                assert_never(behaviour)
