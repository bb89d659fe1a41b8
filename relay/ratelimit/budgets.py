"""How fast relay may call Slack and BigPanda, and what is due when: values and arithmetic, time is a parameter.

Two independent budgets limit delivery: posts (per channel and per workspace) and edits (per workspace). Each is a token
bucket: it refills at a steady rate up to a burst. In any 60 seconds relay makes at most a minute's steady rate plus one
burst of calls; together these are Slack's limit. All times are seconds of a clock that nobody sets.

Slack writes its limits as "50+": calls up to this number pass, and the real limit may be lower or higher. A rate limit
error (429) slows the budget that was used up. A budget that has been used up for a long time without a break and
without such an error grows a little each minute, up to its limit's `stretch`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from zlib import crc32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate limit: `steady` calls a minute without end, and `burst` calls at once after a break.

    A limit that Slack documents as "this many, or more" may grow up to `stretch` times its steady rate.
    """

    steady: float
    burst: int
    stretch: float = 1.0


# https://docs.slack.dev/apis/web-api/rate-limits: limits hold per method, workspace and app, in calls a minute.
TIER_2 = Limit(steady=16, burst=4, stretch=1.5)  # 20+ a minute
TIER_3 = Limit(steady=45, burst=5, stretch=1.5)  # 50+ a minute
TIER_4 = Limit(steady=90, burst=10, stretch=1.5)  # 100+ a minute
SPECIAL_TIER = Limit(steady=100, burst=20, stretch=1.5)  # "special": hundreds a minute
POSTS = Limit(steady=220, burst=20, stretch=1.5)  # "several hundred messages per minute": relay uses 240
CHANNEL_POSTS = Limit(steady=60, burst=4)  # "one message per second per channel", and short bursts

_SHRINK, _MIN_FACTOR, _RECOVERY = 0.8, 0.25, 0.05 / 60
"""A rate-limited call slows its budget to four fifths, never below a quarter; every minute restores a twentieth."""
_FIRST_PAUSE, _MAX_PAUSE, _PAUSES_RESET_AFTER = 1.0, 30.0, 60.0
"""Where Slack sends no `Retry-After`: the first pause, the longest, and the seconds after which the count restarts."""
_GROW_AFTER, _GROWTH, _NO_GROWTH_AFTER_ERROR = 900.0, 0.02 / 60, 7200.0
"""A budget grows by a fiftieth a minute once work has waited for it for a quarter of an hour without an error. After a
rate limit error it does not grow for two hours."""


@dataclass(slots=True)
class _Bucket:
    """One token bucket. `spent_until` is when it is full again, at the present rate."""

    limit: Limit
    spent_until: float = -inf
    factor: float = 1.0
    changed: float = -inf
    strained_since: float = inf
    no_growth_until: float = -inf

    @property
    def _interval(self) -> float:
        return 60.0 / (self.limit.steady * self.factor)

    def ready_at(self) -> float:
        return self.spent_until - (self.limit.burst - 1) * self._interval

    def spend(self, now: float) -> None:
        """Spend one call. Only this makes the rate grow, so that `ready_at` does not change in between."""
        if now - self.ready_at() > self._interval:  # a call was possible for a whole interval, and nobody made it
            self.strained_since = now
            self._step_back(now)
        if self.factor < 1.0:
            if now > self.changed:
                self.factor = min(1.0, self.factor + (now - self.changed) * _RECOVERY)
                self.changed = now
        elif (growing := now - max(self.strained_since + _GROW_AFTER, self.no_growth_until)) > 0:
            self.factor = min(self.limit.stretch, 1.0 + growing * _GROWTH)
        self.spent_until = max(self.spent_until, now) + self._interval

    def is_strained(self, now: float) -> bool:
        """Whether half of the burst or more is spent."""
        return self.spent_until - now >= self.limit.burst / 2 * self._interval

    def shrink(self, until: float) -> None:
        """Slow down, and start again at `until` without a burst. A grown rate goes back to the documented one."""
        resume = max(until, self.ready_at())
        self.factor = 1.0 if self.factor > 1.0 else max(_MIN_FACTOR, self.factor * _SHRINK)
        self.changed = resume
        self.spent_until = resume + (self.limit.burst - 1) * self._interval

    def stop_growth(self, now: float, until: float) -> None:
        """Stay at the documented limit for two hours from `until`."""
        self._step_back(now)
        self.no_growth_until = until + _NO_GROWTH_AFTER_ERROR

    def _step_back(self, now: float) -> None:
        """Go back to the documented rate. The calls that were spent stay spent; each takes longer to refill."""
        if self.factor > 1.0:
            self.spent_until = now + max(0.0, self.spent_until - now) * self.factor
            self.factor = 1.0


@dataclass(slots=True)
class _Pause:
    until: float
    guessed: int
    """How many pauses in a row had no `Retry-After`."""


@dataclass(slots=True)
class Budgets:
    """The calls that relay may still make in one workspace. Methods have Slack's names; only posts have channel limits.

    Slack's real limits are unpublished. They may be lower than `limits`: a rate limit error slows the budget that was
    used up, which then recovers slowly. They may be higher. If work has waited for a budget during a quarter of an
    hour, without a break or an error, the budget grows by a fiftieth a minute. It never grows beyond its
    `Limit.stretch`. A break takes it back to the documented limit. An error takes all budgets of its method back, and
    stops their growth for two hours.
    """

    limits: Mapping[str, Limit]
    channel_limits: Mapping[str, Limit] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)

    def ready_at(self, method: str, channel: str, now: float) -> float:
        """The earliest moment, not before now, at which this call may be made."""
        paused = self._pauses.get(method)
        waits = (bucket.ready_at() for bucket in self._of(method, channel))
        return max(now, paused.until if paused else -inf, *waits)

    def is_strained(self, method: str, now: float) -> bool:
        """Whether half of the workspace's burst for this method, or more, is spent."""
        return any(bucket.is_strained(now) for bucket in self._of(method, ""))

    def spend(self, method: str, channel: str, now: float) -> None:
        """Count a call that is made now, whatever its answer will be."""
        for bucket in self._of(method, channel):
            bucket.spend(now)

    def pause(self, method: str, until: float | None, now: float, channel: str = "") -> float:
        """Pause a method in the whole workspace after a rate limit error; return when the pause ends.

        `until` comes from Slack's `Retry-After`; None where Slack sent none. Calls that were in flight when the pause
        began are rate-limited too: they may prolong the pause, but do not slow the budget down again.
        """
        last = self._pauses.get(method)
        if last is not None and now < last.until:
            last.until = max(last.until, now if until is None else until)
            return last.until
        guessed = 0 if last is None or now > last.until + _PAUSES_RESET_AFTER else last.guessed
        if until is None:
            until = now + min(_MAX_PAUSE, _FIRST_PAUSE * 2**guessed)
            guessed += 1
        self._pauses[method] = _Pause(until, guessed)
        buckets = self._of(method, channel)
        for bucket in [each for each in buckets if each.is_strained(now)] or buckets:
            bucket.shrink(until)
        for (name, _), bucket in self._buckets.items():
            if name == method:
                bucket.stop_growth(now, until)
        return until

    def paused_until(self, now: float) -> dict[str, float]:
        """Return the methods that are paused now, and until when."""
        return {method: pause.until for method, pause in self._pauses.items() if pause.until > now}

    def _of(self, method: str, channel: str) -> list[_Bucket]:
        buckets = [self._bucket(method, "", self.limits.get(method, TIER_2))]
        if channel and (limit := self.channel_limits.get(method)) is not None:
            buckets.append(self._bucket(method, channel, limit))
        return buckets

    def _bucket(self, method: str, channel: str, limit: Limit) -> _Bucket:
        return self._buckets.setdefault((method, channel), _Bucket(limit))


# -- What is due when --------------------------------------------------------------------------------------------------


class Urgency(StrEnum):
    """What can fall due on a card."""

    CRITICAL_ROOT = "critical_root"
    ROOT = "root"
    WORSENED = "rise"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    REPLY = "reply"
    STATE_EDIT = "turn"
    """An edit that resolves or worsens the card."""
    EDIT = "edit"
    BULLETIN_EDIT = "bulletin_edit"


DEADLINES: Mapping[Urgency, float] = {
    Urgency.CRITICAL_ROOT: 0.0,
    Urgency.WORSENED: 5.0,
    Urgency.ROOT: 30.0,
    Urgency.REOPENED: 60.0,
    Urgency.RESOLVED: 60.0,
    Urgency.REPLY: 600.0,
    Urgency.STATE_EDIT: 0.0,
    Urgency.EDIT: 30.0,
    Urgency.BULLETIN_EDIT: 1e9,  # after every edit of a card
}
"""Seconds within which it must be done. A deadline, never a delay: where the budget allows, it is done at once."""

EDIT_SPACING = 3.0
"""Seconds between two edits of one card, unless the later resolves or worsens it."""


def earliest_edit(occasion: Urgency, now: float, edited: float | None) -> float:
    """The earliest moment for an edit of a card that was last edited (or posted) at `edited`."""
    if occasion is Urgency.STATE_EDIT or edited is None:
        return now
    return max(now, min(edited, now) + EDIT_SPACING)  # `edited` is later than now if the clock was set back


# -- Trying again ------------------------------------------------------------------------------------------------------

_FIRST_TRY, _LONGEST = 2.0, 300.0


def backoff(tries: int, key: str) -> float:
    """Seconds to wait after so many failed tries (from 1): doubling from 2 s to 5 minutes, less up to half of it.

    The reduction depends on `key` and `tries` alone: cards that failed together are retried at different times, and a
    restart computes the same times.
    """
    whole = min(_LONGEST, _FIRST_TRY * 2.0 ** min(tries - 1, 16))
    return whole * (1.0 - crc32(f"{key} {tries}".encode()) / 2**33)
