"""Decide when relay speaks: whether a card may be posted and may ping, what holds it, and until when.

One table (`REASONS`) names every reason that holds a card or a ping; one function (`attend`) reads it. The planner, the
scheduler, `relay explain`, `relay incident` and the simulation ask this function, so that they cannot differ.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from relay.cards.model import ADOPTING, Attempt, AttemptState, Card, Channel, ChannelState
from relay.cards.notices import NO_PING
from relay.model.incident import Incident

REOPEN_PING = 1800.0
"""Seconds within which a second reopening pings nobody, and while an incident flaps is not reported by itself."""

BLOCKING_STATES = (AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT)
"""An open attempt in such a state stops later posts of its card, never its edits."""

_MAX_STEPS = 50
"""How many reasons that follow one another are looked at: a hold that goes on for longer is asked about again then."""


class Reason(StrEnum):
    """What holds a card that is not posted yet, or a ping that is not sent yet.

    reason            it ends
    wait              when the route's `wait` is over
    retry             when relay tries again, after Slack failed
    channel_rejected  when the channel accepts messages again
    adopting          when relay has read what a lost database had posted in the channel
    in_doubt          when relay knows whether Slack has the card
    slack_paused      when Slack accepts relay's calls again
    snoozed           when the incident wakes
    flapping          when the incident stops flapping
    reopened_lately   half an hour after the last ping for a reopening
    late              never: the card was retried, reposted or adopted, and is too late to ping for
    """

    WAIT = "wait"
    RETRY = "retry"
    CHANNEL_REJECTED = "channel_rejected"
    ADOPTING = ADOPTING
    IN_DOUBT = "in_doubt"
    SLACK_PAUSED = "slack_paused"
    SNOOZED = "snoozed"
    FLAPPING = "flapping"
    REOPENED_LATELY = "reopened_lately"
    LATE = "late"


class Ping(StrEnum):
    """What people are pinged for.

    first_post   the card is posted
    rise         the incident is worse than its card has shown
    reopened     the incident is open again
    replaced     somebody else has the incident now; this pings the person who had it
    """

    FIRST_POST = "first_post"
    RISE = "rise"
    REOPENED = "reopened"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What holds a card or a ping, and until when (Unix seconds); None: nobody knows."""

    reason: Reason
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a decision depends on apart from the card and its incident.

    `channel` is the card's channel, `attempt` its open attempt; `slack_paused` says that Slack accepts no calls now.
    """

    channel: Channel | None = None
    attempt: Attempt | None = None
    slack_paused: bool = False


NO_SURROUNDINGS = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this card be posted, or ping, at that moment?

    `worsens` says that the incident is worse now than its card has shown since it last reopened.
    """

    card: Card
    incident: Incident
    surroundings: Surroundings
    at: float
    worsens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRow:
    """One reason: whether it holds the first post, which pings it holds, and when it ends.

    `ends` gives the moment at which it ends: one that is over means that it does not hold, infinity that nobody knows.
    """

    reason: Reason
    ends: Callable[[Question], float]
    post: bool = False
    pings: frozenset[Ping] = field(default=frozenset())


def _while(condition: Callable[[Question], bool]) -> Callable[[Question], float]:
    """It holds while the condition is true, and nobody knows how long that is."""
    return lambda question: inf if condition(question) else -inf


def _wait(question: Question) -> float:
    return question.card.first_matched_at + question.card.options.wait


def _retry(question: Question) -> float:
    card = question.card
    return card.post.at if card.tries and card.post is not None else -inf


def _channel_rejected(question: Question) -> float:
    channel = question.surroundings.channel
    return inf if channel is not None and channel.state is ChannelState.REJECTED else -inf


def _adopting(question: Question) -> bool:
    channel = question.surroundings.channel
    return channel is not None and channel.waits_for == ADOPTING


def _in_doubt(question: Question) -> bool:
    attempt = question.surroundings.attempt
    return attempt is not None and attempt.state in BLOCKING_STATES


def _reopened_lately(question: Question) -> float:
    pinged_at = question.card.reopening_pinged_at
    return -inf if pinged_at is None or question.worsens else pinged_at + REOPEN_PING


REASONS: Mapping[Reason, ReasonRow] = {
    row.reason: row
    for row in (
        ReasonRow(reason=Reason.WAIT, post=True, ends=_wait),
        ReasonRow(reason=Reason.RETRY, post=True, ends=_retry),
        ReasonRow(reason=Reason.CHANNEL_REJECTED, post=True, ends=_channel_rejected),
        ReasonRow(reason=Reason.ADOPTING, post=True, ends=_while(_adopting)),
        ReasonRow(reason=Reason.IN_DOUBT, post=True, ends=_while(_in_doubt)),
        ReasonRow(
            reason=Reason.SLACK_PAUSED, post=True, ends=_while(lambda question: question.surroundings.slack_paused)
        ),
        ReasonRow(
            reason=Reason.SNOOZED,
            pings=frozenset({Ping.FIRST_POST, Ping.REOPENED}),
            ends=_while(lambda question: question.incident.snooze.snoozed),
        ),
        ReasonRow(
            reason=Reason.FLAPPING,
            pings=frozenset({Ping.REOPENED}),
            ends=_while(lambda question: question.incident.flapping),
        ),
        ReasonRow(reason=Reason.REOPENED_LATELY, pings=frozenset({Ping.REOPENED}), ends=_reopened_lately),
        ReasonRow(
            reason=Reason.LATE,
            pings=frozenset({Ping.FIRST_POST}),
            ends=_while(lambda question: NO_PING in question.card.notices),
        ),
    )
}

POST_REASONS = tuple(reason for reason, row in REASONS.items() if row.post)
"""The reasons that hold a card which is not posted yet."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The answer for one card at one moment."""

    _question: Question

    @property
    def post(self) -> Hold | None:
        """What holds the first post for longest; None if the card may be posted."""
        return _last_hold(_rows(lambda row: row.post), self._question)

    def ping(self, ping: Ping, *, worsens: bool = False) -> Hold | None:
        """What holds such a ping for longest; None if it may be sent."""
        question = replace(self._question, worsens=worsens)
        return _last_hold(_rows(lambda row: ping in row.pings), question)


def attend(card: Card, incident: Incident, surroundings: Surroundings, now: float) -> Attention:
    """What holds the card and its pings at that moment (Unix seconds)."""
    return Attention(Question(card=card, incident=incident, surroundings=surroundings, at=now))


def _rows(chosen: Callable[[ReasonRow], bool]) -> Iterable[ReasonRow]:
    return filter(chosen, REASONS.values())


def _last_hold(rows: Iterable[ReasonRow], question: Question) -> Hold | None:
    """The reason that ends last, if nothing else changes, where one begins before another ends; else the last row."""
    rows, last = tuple(rows), None
    for _ in range(_MAX_STEPS):
        end, number = max(((row.ends(question), number) for number, row in enumerate(rows)), default=(-inf, 0))
        if end <= question.at:
            break
        last = Hold(reason=rows[number].reason, until=None if end == inf else end)
        if last.until is None:
            break
        question = replace(question, at=last.until)
    return last
