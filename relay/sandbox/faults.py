"""What can go wrong between a client and a stand-in, and when: before a call took effect, or after.

    slack.faults.add(Fault(behaviour=Drop(), after_effect=True, method="chat.postMessage", nth=3))

lets the third post happen and cuts the connection instead of answering it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from relay.sandbox.calls import ReceivedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """An HTTP answer, whatever it is."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`{"ok": false, "error": code}`, with HTTP 200: `internal_error`, `fatal_error`, or any other."""

    code: str


@dataclass(frozen=True, slots=True)
class DropConnection:
    """The connection is cut without an answer."""


@dataclass(frozen=True, slots=True)
class SlowAnswer:
    """The right answer, but late: the effect comes at once or at the end, as the fault says."""

    seconds: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer, until `Faults.release` or the end of the server cuts the connection."""


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Something else happens (somebody deletes the parent, the client is stopped), then all goes on as usual."""

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
    """A 429. Its body is not documented; this is the one that clients report most."""
    headers = {"Retry-After": str(seconds)}
    return RawResponse(status=429, body='{"ok":false,"error":"ratelimited"}', headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InjectedFault:
    """What goes wrong with which calls.

    A call is meant if it is of `method` and in `channel` (its id, or as the call names it) where these are given, and
    `where` says yes to its arguments. Of those meant, the `nth` is struck and the ones after it, `times` in all (None:
    for ever), each with `probability` (drawn with `seed`, so that a run can be repeated).
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

    def matches(self, call: ReceivedCall) -> bool:
        """Whether it is about this call."""
        return (
            self.method in (None, call.method)
            and self.channel in (None, call.channel, call.arguments.get("channel"))
            and (self.where is None or self.where(call.arguments))
        )


class ActiveFault:
    """A fault that lies in wait: how many calls it has seen that it means, and how many it struck."""

    def __init__(self, fault: InjectedFault) -> None:
        """Begin to count."""
        self.fault = fault
        self.matched = 0
        self.applied = 0
        self._random = random.Random(fault.seed)  # noqa: S311  chance in a test, not a secret

    def should_apply(self, call: ReceivedCall) -> bool:
        """Count a call, and say whether it is struck."""
        if not self.fault.matches(call):
            return False
        self.matched += 1
        spent = self.fault.times is not None and self.applied >= self.fault.times
        if self.matched < self.fault.nth or spent or self._random.random() >= self.fault.probability:
            return False
        self.applied += 1
        return True


class FaultInjector:
    """All faults that lie in wait. A call is struck by the first that strikes; those after it do not see the call."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Begin with none; `sleep` is what a slow answer waits by."""
        self._sleep = sleep
        self._armed: list[ActiveFault] = []
        self._released = asyncio.Event()
        self._waiting = asyncio.Event()

    def add(self, fault: InjectedFault) -> ActiveFault:
        """Let a fault lie in wait."""
        armed = ActiveFault(fault)
        self._armed.append(armed)
        return armed

    def clear(self) -> None:
        """Take all faults away; calls that are kept waiting still wait."""
        self._armed.clear()

    def release(self) -> None:
        """Cut the connections of all calls that `Silence` keeps waiting."""
        self._released.set()
        self._released, self._waiting = asyncio.Event(), asyncio.Event()

    async def wait_until_blocked(self) -> None:
        """Wait until `Silence` keeps a call waiting."""
        await self._waiting.wait()

    def next_fault(self, call: ReceivedCall) -> InjectedFault | None:
        """The fault that strikes this call, if any."""
        return next((armed.fault for armed in self._armed if armed.should_apply(call)), None)

    async def run(self, call: ReceivedCall, perform: Callable[[], RawResponse]) -> RawResponse | DropConnection:
        """Let the call take effect by `perform`, and whatever goes wrong go wrong before it or after it."""
        fault = self.next_fault(call)
        if fault is not None and not fault.after_effect:
            instead = await self.apply(fault.behaviour, call)
            if instead is not None:
                return instead
        answer = perform()
        if fault is not None and fault.after_effect:
            return await self.apply(fault.behaviour, call) or answer
        return answer

    async def apply(self, does: FaultBehaviour, call: ReceivedCall) -> RawResponse | DropConnection | None:
        """Misbehave: what is answered instead, or None to go on as usual."""
        match does:
            case RawResponse() | DropConnection():
                return does
            case ErrorCode(code):
                return RawResponse(body=f'{{"ok":false,"error":"{code}"}}')
            case SlowAnswer(seconds):
                await self._sleep(seconds)
                return None
            case NoAnswer():
                self._waiting.set()
                await self._released.wait()
                return DropConnection()
            case SideEffect(action):
                happening = action(call)
                if happening is not None:
                    await happening
                return None
            case _:
                assert_never(does)
