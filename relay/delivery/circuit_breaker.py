"""Whether Slack is called at all: a dead token, a missing permission or an outage stops every lane, and loses nothing.

While the gate is shut one harmless call asks, now and then, whether it may open again; so nothing is posted into the
dark, where each post would be one more of which nobody knows what became.
"""

import asyncio
from math import inf

import structlog

from relay.ratelimit.budgets import Budgets, backoff
from relay.runtime.clock import Clock, WakeEvent
from relay.slack.client import SlackClient
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.slack.responses import Identity, identity_of

log = structlog.get_logger("relay.delivery")

MAX_UNANSWERED = 3
"""So many calls in a row without an answer are an outage, not bad luck."""

MAX_PROBE_PAUSE = 30.0
"""Seconds between two questions, at the most."""


class CircuitBreaker:
    """Opens and shuts by what Slack answers.

    `reason` and `remedy` say what is wrong, in the words of `verdict`. A missing permission stays named until a message
    has gone out, since the question by which the gate opens does not need it; until then one call at a time goes
    through (`cautious`, `calling`).
    """

    def __init__(self, slack: SlackClient, clock: Clock, budgets: Budgets) -> None:
        """Start open, not knowing yet who relay is; what is asked is paid from the `budgets`."""
        self.identity: Identity | None = None
        self.reason = ""
        self.remedy = ""
        self.needed = ""
        self.is_open = False
        self.bell = WakeEvent()
        self.wake_on_close: list[asyncio.Event] = []
        self._slack = slack
        self._clock = clock
        self._budgets = budgets
        self.half_open = False
        self.calls_in_flight = 0
        self._unanswered = 0
        self._tries = 0
        self._asks_from = -inf

    def record(self, method: Method, answer: SlackOutcome) -> None:
        """Learn from an answer to any call."""
        was_shut = self.is_open
        self._learn(method, answer)
        if self.is_open and not was_shut:
            self._pause()
            self.bell.set()

    def _learn(self, method: Method, answer: SlackOutcome) -> None:
        match answer:
            case Rejected(scope=RejectionScope.CREDENTIALS):
                self._shut(answer.reason, answer.remedy, answer.missing_scopes)
            case Rejected(scope=RejectionScope.APP) if method in {Method.POST, Method.EDIT}:
                self._shut(answer.reason, answer.remedy, answer.missing_scopes)
            case Ambiguous() | Retryable(pauses=False):
                self._unanswered += 1
                if self._unanswered >= MAX_UNANSWERED or self.half_open:
                    self._shut("no_answer", "wait, or look at status.slack.com and at relay's way to the internet")
            case Delivered():
                self._unanswered = self._tries = 0
                self.half_open = False
                self.reason = self.remedy = self.needed = ""
            case _:
                self._unanswered = 0

    async def run(self, over: asyncio.Event) -> None:
        """Learn who relay is, and ask again whenever the gate is shut; until `over`.

        Whoever rings only has it look at the time: how often Slack is asked depends on nothing else.
        """
        while not over.is_set():
            until = self._next_question()
            if until is None or until > self._clock.now():
                await self._clock.wait_idle(self.bell, until)
            else:
                await self._ask()

    def _next_question(self) -> float | None:
        """When Slack is to be asked; None while there is nothing to ask."""
        if self.identity is not None and not self.is_open:
            return None
        now = self._clock.now()
        return max(now + (self._asks_from - self._clock.monotonic()), self._budgets.ready_at(Method.AUTH_TEST, "", now))

    async def _ask(self) -> None:
        self._budgets.spend(Method.AUTH_TEST, "", self._clock.now())
        answer = await self._slack.auth_test()
        if isinstance(answer, Read):
            self.identity = identity_of(answer)
            self._open()
            return
        remedy = answer.remedy if isinstance(answer, Rejected | Retryable) else ""
        log.warning("slack_does_not_answer_us", reason=answer.reason, remedy=remedy)
        if isinstance(answer, Rejected):
            self._shut(answer.reason, answer.remedy, answer.missing_scopes)
        if isinstance(answer, Retryable) and answer.pauses:
            now = self._clock.now()
            told = answer.retry_after
            self._budgets.pause(Method.AUTH_TEST, None if told is None else now + told, now)
        self._pause()

    def _pause(self) -> None:
        """Not before then Slack is asked again. By the steady clock: one that is set right must not silence it."""
        self._tries += 1
        self._asks_from = self._clock.monotonic() + min(MAX_PROBE_PAUSE, backoff(self._tries, "gate"))

    def _shut(self, reason: str, remedy: str, needed: str = "") -> None:
        if not self.is_open:
            log.error("gate_shut", reason=reason, remedy=remedy, needed=needed)
        self.is_open = True
        self.reason, self.remedy, self.needed = reason, remedy, needed

    def _open(self) -> None:
        if self.is_open:
            log.warning("gate_opened", after=self.reason)
            self.half_open = True
        self.is_open = False
        self._unanswered = 0
        if not self.needed:
            self.reason = self.remedy = ""
        for bell in self.wake_on_close:
            bell.set()
