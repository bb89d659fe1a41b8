"""What is held: a card that is not posted yet, or a ping that is not sent yet, for a named reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from relay.model.incident import State
from relay.model.json_types import JSON
from relay.model.struct import replace

UNKNOWN_END = 1e12
"""The moment at which a hold ends that ends nobody knows when; a number, since both databases sort it."""


class Reason(StrEnum):
    """What holds a card that is not posted yet, or a ping that is not sent yet.

    reason            it ends
    wait              when the route's `wait` is over
    storm             when the channel takes new cards again; unless the incident is critical or changes, never
    hold              when the hours of the route's `hold` are over
    retry             when relay tries again, after Slack failed
    channel_rejected  when the channel accepts messages again
    adopting          when relay has read what a lost database had posted in the channel
    in_doubt          when relay knows whether Slack has the card
    slack_paused      when Slack accepts relay's calls again
    mute              when a person's mute is over
    quiet             when the hours of the route's `quiet` are over
    snoozed           when the incident wakes
    flapping          when the incident stops flapping
    reopened_lately   half an hour after the last ping for a reopening
    late              never: the card was retried, reposted or adopted, and is too late to ping for
    """

    WAIT = "wait"
    HOLD = "hold"
    STORM = "storm"
    RETRY = "retry"
    CHANNEL_REJECTED = "channel_rejected"
    ADOPTING = "adopting"
    IN_DOUBT = "in_doubt"
    SLACK_PAUSED = "slack_paused"
    MUTE = "mute"
    QUIET = "quiet"
    SNOOZED = "snoozed"
    FLAPPING = "flapping"
    REOPENED_LATELY = "reopened_lately"
    LATE = "late"


class Ping(StrEnum):
    """The reasons for a ping.

    first_post   the card is posted
    rise         the incident is worse than its card has shown
    reopened     the incident is open again
    replaced     somebody else has the incident now; this pings the person who had it
    reminder     nobody has had the incident for a while
    """

    FIRST_POST = "first_post"
    RISE = "rise"
    REOPENED = "reopened"
    REPLACED = "replaced"
    REMINDER = "reminder"

    @property
    def occasion(self) -> str:
        """The key of `mention` that says whom it pings, where a route has that key."""
        return self.value if self in {Ping.REOPENED, Ping.REMINDER} else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What holds a card or a ping, and until when (Unix seconds); None: nobody knows."""

    reason: Reason
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPing:
    """A ping of one target that was not sent: what for, since when (Unix seconds), what holds it, and until when.

    `state` is what the incident was: what got worse since then pings by itself. `worsens` says that this was worse than
    its card had shown. `caught_up` says that a catch-up has pinged the target, though the card is not posted yet.
    """

    target: str
    ping: Ping
    since: float
    hold: Hold
    state: State
    worsens: bool = False
    caught_up: bool = False

    def as_json(self) -> dict[str, JSON]:
        """A plain JSON object, to be stored with a card or an attempt."""
        return {
            "target": self.target,
            "ping": str(self.ping),
            "since": self.since,
            "reason": str(self.hold.reason),
            "until": self.hold.until,
            "state": str(self.state),
            "worsens": self.worsens,
            "caught_up": self.caught_up,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, JSON]) -> Self:
        """Undo `as_json`."""
        return cls(
            target=stored["target"],
            ping=Ping(stored["ping"]),
            since=stored["since"],
            hold=Hold(reason=Reason(stored["reason"]), until=stored["until"]),
            state=State(stored["state"]),
            worsens=stored.get("worsens", False),
            caught_up=stored["caught_up"],
        )


HeldPings = tuple[HeldPing, ...]
"""The held pings of a card: at most one for each target, in the order in which they were held."""


def merge_held(before: HeldPings, more: Iterable[HeldPing]) -> HeldPings:
    """The held pings with more: each target once, held since the first of its pings, for the newest reason."""
    held = {each.target: each for each in before}
    for each in more:
        known = held.get(each.target)
        if known is None:
            held[each.target] = each
        elif not known.caught_up:
            held[each.target] = replace(each, since=known.since)
    return tuple(held.values())


def since_before(held: Iterable[HeldPing], before: HeldPings) -> HeldPings:
    """These pings; a ping that was held before keeps its time."""
    since = {each.target: each.since for each in before}
    return tuple(replace(each, since=since.get(each.target, each.since)) for each in held)


def without_targets(held: HeldPings, targets: Iterable[str]) -> HeldPings:
    """The held pings without those of these targets, which have been pinged."""
    pinged = frozenset(targets)
    return tuple(each for each in held if each.target not in pinged)


def catch_up_due(held: HeldPings) -> float | None:
    """The first moment at which one of them may be sent; `UNKNOWN_END` if nobody knows, None if none waits."""
    waiting = [each.hold.until for each in held if not each.caught_up]
    return min((UNKNOWN_END if until is None else until for until in waiting), default=None)
