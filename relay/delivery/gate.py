"""Whether Slack is called at all: a dead token, a missing permission or an outage stops every lane, and loses nothing.

While the gate is shut one harmless call asks, now and then, whether it may open again; so nothing is posted into the
dark, where each post would be one more of which nobody knows what became.
"""

import asyncio

import structlog

from relay.clock import Clock
from relay.pacing import backoff
from relay.slack import Slack
from relay.verdict import Answer, Deferred, Delivered, Kind, Method, Read, Refused, Unknown
from relay.verdict.reads import Identity, identity_of

log = structlog.get_logger("relay.delivery")

UNANSWERED = 3
"""So many calls in a row without an answer are an outage, not bad luck."""

LONGEST = 30.0
"""Seconds between two questions, at the most."""


class Gate:
    """Opens and shuts by what Slack answers.

    `reason` and `remedy` say what is wrong, in the words of `verdict`. A missing permission stays named until a message
    has gone out, since the question by which the gate opens does not need it; until then one call at a time goes
    through (`cautious`, `calling`).
    """

    def __init__(self, slack: Slack, clock: Clock) -> None:
        """Start open, not knowing yet who relay is."""
        self.identity: Identity | None = None
        self.reason = ""
        self.remedy = ""
        self.needed = ""
        self.shut = False
        self.bell = asyncio.Event()
        self.opened: list[asyncio.Event] = []
        self._slack = slack
        self._clock = clock
        self.cautious = False
        self.calling = 0
        self._unanswered = 0
        self._tries = 0

    def note(self, method: Method, answer: Answer) -> None:
        """Learn from an answer to any call."""
        match answer:
            case Refused(kind=Kind.CREDENTIALS):
                self._shut(answer.reason, answer.remedy, answer.needed)
            case Refused(kind=Kind.APP) if method in {Method.POST, Method.EDIT}:
                self._shut(answer.reason, answer.remedy, answer.needed)
            case Unknown() | Deferred(pauses=False):
                self._unanswered += 1
                if self._unanswered >= UNANSWERED or self.cautious:
                    self._shut("no_answer", "wait, or look at status.slack.com and at relay's way to the internet")
            case Delivered():
                self._unanswered = self._tries = 0
                self.cautious = False
                self.reason = self.remedy = self.needed = ""
            case _:
                self._unanswered = 0

    async def run(self, over: asyncio.Event) -> None:
        """Learn who relay is, and ask again whenever the gate is shut; until `over`."""
        asked = False
        while not over.is_set():
            if self.identity is not None and not self.shut:
                await self._clock.wait(self.bell, None)
                continue
            if self.shut or asked:
                self._tries += 1
                await self._clock.wait(self.bell, self._clock.now() + min(LONGEST, backoff(self._tries, "gate")))
            asked = True
            if not over.is_set():
                await self._ask()

    async def _ask(self) -> None:
        answer = await self._slack.who_am_i()
        if not isinstance(answer, Read):
            remedy = answer.remedy if isinstance(answer, Refused | Deferred) else ""
            log.warning("slack_does_not_answer_us", reason=answer.reason, remedy=remedy)
            if isinstance(answer, Refused):
                self._shut(answer.reason, answer.remedy, answer.needed)
            return
        self.identity = identity_of(answer)
        self._open()

    def _shut(self, reason: str, remedy: str, needed: str = "") -> None:
        if not self.shut:
            log.error("gate_shut", reason=reason, remedy=remedy, needed=needed)
        self.shut = True
        self.reason, self.remedy, self.needed = reason, remedy, needed
        self.bell.set()

    def _open(self) -> None:
        if self.shut:
            log.warning("gate_opened", after=self.reason)
            self.cautious = True
        self.shut = False
        self._unanswered = 0
        if not self.needed:
            self.reason = self.remedy = ""
        for bell in self.opened:
            bell.set()
