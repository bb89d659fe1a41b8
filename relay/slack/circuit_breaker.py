"""Stops the calls to Slack while the token is dead, a permission is missing, or Slack does not answer.

While the circuit is open, one harmless call asks now and then whether it may close. No message is posted meanwhile: a
post without an answer would be one more message of which nobody knows whether Slack has it.

`run` opens it at first: nothing is posted before Slack was asked whose token it is. It asks again now and then, and
opens the circuit where the token is that of another workspace or bot.
"""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import structlog

from relay.http.json_fields import object_field, text_field
from relay.ratelimit.budgets import backoff
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock, WakeEvent
from relay.runtime.logging import LastingProblem
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.slack.responses import Identity, identity_of

log = structlog.get_logger("relay.slack")

MAX_UNANSWERED = 3
"""So many calls in a row without an answer open the circuit."""

MAX_PROBE_PAUSE = 30.0
"""The longest pause between two probes, in seconds."""

IDENTITY_EVERY = 300.0
"""Seconds between two checks of whose token it is, while the circuit is closed."""

_REPEATED_REMEDY = (
    "Check SLACK_API_URL, and any proxy between relay and Slack: a post was answered with the ts of an earlier one. "
    "Something answers in Slack's place."
)
_UNANSWERED_REMEDY = "Wait, or check status.slack.com and relay's way to the internet."


class CircuitBreaker:
    """Opens and closes by what Slack answers.

    `reason` and `remedy` say why it is open. A missing permission stays named until a message is delivered, since the
    probe does not need that permission. After it has closed it is `half_open` until then: one card at a time goes
    through (`calls_in_flight`), and the first failure opens it again. `check_identity` returns why the token of another
    workspace or bot must not be used.

    Only a circuit that is probed can close. So it opens only in the relay that delivers, which runs `run`.
    """

    def __init__(self, probe: Callable[[], Awaitable[SlackOutcome]], throttle: Throttle, clock: Clock) -> None:
        """Begin closed, and stay so until `run`. `probe` is auth.test, within the limits of the `throttle`."""
        self.identity: Identity | None = None
        self.reason = ""
        self.remedy = ""
        self.is_open = False
        self.half_open = False
        self.calls_in_flight = 0
        self.wakeup = WakeEvent()
        self.wake_on_close: list[asyncio.Event] = []
        self.check_identity: Callable[[Identity], Awaitable[Rejected | None]] = _accept_any
        self._probe = probe
        self._throttle = throttle
        self._clock = clock
        self._missing_scopes = ""
        self._unanswered = 0
        self._tries = 0
        self._probe_from = -inf
        self._probing = False
        self._unprobed = LastingProblem(log)

    @property
    def status(self) -> str:
        """`ok`, or why relay makes no calls to Slack."""
        return self.reason or ("ok" if self.identity else "not reached since relay started")

    def blocks(self, method: Method) -> bool:
        """Whether this call must not be made now."""
        return self.is_open and self._probing and method is not Method.AUTH_TEST

    def probe_if_by_another_bot(self, answer: SlackOutcome) -> bool:
        """Make the next probe due at once if another bot than relay's has posted the message; return whether it has."""
        message = object_field(answer.body, "message") if isinstance(answer, Delivered) else {}
        bot_id = text_field(message, "bot_id")
        if self.identity is None or not bot_id or bot_id == self.identity.bot_id:
            return False
        self._probe_from = -inf
        self.wakeup.set()
        return True

    def record(self, method: Method, outcome: SlackOutcome) -> None:
        """Learn from the outcome of a call."""
        if not self._probing or method is Method.AUTH_TEST:
            return
        was_open = self.is_open
        self._learn(method, outcome)
        if self.is_open and not was_open:
            self._schedule_probe()
            self.wakeup.set()

    def _learn(self, method: Method, outcome: SlackOutcome) -> None:
        match outcome:
            case Rejected(scope=RejectionScope.CREDENTIALS):
                self._open(outcome.reason, outcome.remedy, outcome.missing_scopes)
            case Rejected(scope=RejectionScope.APP) if method in {Method.POST, Method.EDIT}:
                self._open(outcome.reason, outcome.remedy, outcome.missing_scopes)
            case Ambiguous(reason="mismatch"):
                self._unanswered = 0  # Slack answered; only this message is in doubt
            case Ambiguous(reason="repeated_ts"):
                self._open("repeated_ts", _REPEATED_REMEDY)
            case Ambiguous() | Retryable(pauses=False):
                self._unanswered += 1
                if self._unanswered >= MAX_UNANSWERED or self.half_open:
                    self._open("no_answer", _UNANSWERED_REMEDY)
            case Delivered():
                self._unanswered = self._tries = 0
                self.half_open = False
                self.reason = self.remedy = self._missing_scopes = ""
            case _:
                self._unanswered = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Learn who relay is, and probe while the circuit is open, until `stopping` is set.

        How often Slack is asked depends on time alone, however often `wakeup` is set.
        """
        self._probing, self._probe_from = True, -inf
        self.is_open = self.is_open or self.identity is None
        try:
            while not stopping.is_set():
                until = self._next_probe()
                if until > self._clock.now():
                    await self._clock.wait_idle(self.wakeup, until)
                else:
                    await self._probe_once()
        finally:
            self._probing = False

    def _next_probe(self) -> float:
        pause = self._probe_from - self._clock.monotonic()
        return max(self._clock.now() + pause, self._throttle.blocked_until(Method.AUTH_TEST) or -inf)

    async def _probe_once(self) -> None:
        outcome = await self._probe()
        if isinstance(outcome, Read):
            identity = identity_of(outcome)
            if (rejected := await self.check_identity(identity)) is None:
                self._accept(identity)
                return
            outcome = rejected
        remedy = outcome.remedy if isinstance(outcome, Rejected | Retryable) else ""
        detail = "Slack did not accept relay's test call (auth.test); relay tries again."
        self._unprobed.report("warning", "slack_probe_failed", reason=outcome.reason, remedy=remedy, detail=detail)
        if isinstance(outcome, Rejected):
            self._open(outcome.reason, outcome.remedy, outcome.missing_scopes)
        elif self.is_open and not self.reason:
            self._close()  # a probe without an answer stops nothing
        self._schedule_probe()

    def _accept(self, identity: Identity) -> None:
        is_news = self.is_open or self.identity is None
        self._unprobed.over()
        self.identity = identity
        if is_news:
            self._close()
        self._probe_from = self._clock.monotonic() + IDENTITY_EVERY

    def _schedule_probe(self) -> None:
        """Set the next probe by the monotonic clock: a clock that is set back must not delay it."""
        self._tries += 1
        self._probe_from = self._clock.monotonic() + min(MAX_PROBE_PAUSE, backoff(self._tries, "slack"))

    def _open(self, reason: str, remedy: str, missing_scopes: str = "") -> None:
        if reason != self.reason or not self.is_open:
            detail = "relay keeps every share, and sends nothing to Slack until this is repaired."
            log.error("slack_paused", reason=reason, remedy=remedy, missing_scopes=missing_scopes, detail=detail)
        self.is_open = True
        self.reason, self.remedy, self._missing_scopes = reason, remedy, missing_scopes

    def _close(self) -> None:
        if self.is_open and self.reason:
            log.info("slack_resumed", after=self.reason, detail="Slack accepts relay's calls again.")
            self.half_open = True
        self.is_open = False
        self._unanswered = 0
        if not self._missing_scopes:
            self.reason = self.remedy = ""
        for event in self.wake_on_close:
            event.set()


async def _accept_any(_identity: Identity) -> None:
    return None
