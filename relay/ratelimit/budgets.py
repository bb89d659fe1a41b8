"""How fast relay may call Slack and BigPanda, and what is due when: values and arithmetic, time is a parameter.

Two budgets rule delivery, and they have nothing to do with each other: posts (by channel and by workspace) and edits
(by workspace). Both are allowances that refill at a steady rate up to a burst, so that in any 60 seconds no more calls
are made than a minute's steady rate and one burst, which together make Slack's limit. All times are seconds.

Slack writes its limits as "50+": the documented ones are what is known to pass, and the real ones may be tighter or
looser. A rate limit error (429) slows the budget that was used up. A budget that work has waited for without a break
and without such an error, for longer than storms last, grows a little each minute, up to its limit's `stretch`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from zlib import crc32


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An allowance: `steady` calls a minute for as long as one likes, and `burst` calls at once after a rest.

    A limit that is given as "so many, or more" may be tried up to `stretch` times its steady rate.
    """

    steady: float
    burst: int
    stretch: float = 1.0

    @property
    def ceiling(self) -> float:
        """The most calls in any 60 seconds, as long as no more is tried."""
        return self.steady + self.burst


# https://docs.slack.dev/apis/web-api/rate-limits: limits hold per method, workspace and app, in calls a minute.
TIER_2 = Limit(steady=16, burst=4, stretch=1.5)  # 20+ a minute
TIER_3 = Limit(steady=45, burst=5, stretch=1.5)  # 50+ a minute
TIER_4 = Limit(steady=90, burst=10, stretch=1.5)  # 100+ a minute
SPECIAL_TIER = Limit(steady=100, burst=20, stretch=1.5)  # "special": hundreds a minute
POSTS = Limit(steady=220, burst=20, stretch=1.5)  # "several hundred messages per minute": relay takes 240
CHANNEL_POSTS = Limit(steady=60, burst=4)  # "one message per second per channel", short bursts are tolerated

_SHRINK, _LEAST, _RECOVERY = 0.8, 0.25, 0.05 / 60
"""A rejected call slows its budget to four fifths, never under a quarter; every minute gives back a twentieth."""
_FIRST_PAUSE, _LONGEST_PAUSE, _CALM = 1.0, 30.0, 60.0
"""Where Slack does not say how long: the first pause, the longest, and the quiet after which the count starts anew."""
_PATIENT, _STEP, _ONCE_BITTEN = 900.0, 0.02 / 60, 7200.0
"""A budget that work waits for gains a fiftieth a minute after a quarter of an hour without an error; after an error,
nothing beyond the documented limit is tried for two hours."""
_SET_BACK = 60.0
"""A moment so much earlier than the latest one was read from a clock that was set back, not by a task that dawdled."""


@dataclass(slots=True)
class _Bucket:
    """One allowance. `spent_until` is when all that was spent will have been refilled, at the present rate."""

    limit: Limit
    spent_until: float = -inf
    factor: float = 1.0
    changed: float = -inf
    strained_since: float = inf
    barred_until: float = -inf

    @property
    def _interval(self) -> float:
        return 60.0 / (self.limit.steady * self.factor)

    def ready_at(self) -> float:
        return self.spent_until - (self.limit.burst - 1) * self._interval

    def spend(self, now: float) -> None:
        """Take one call out. The rate grows here alone, so that `ready_at` stands still in between."""
        if now - self.ready_at() > self._interval:  # a whole call more was to be had, and nobody was there to make it
            self.strained_since = now
            self._step_back(now)
        if self.factor < 1.0:
            if now > self.changed:
                self.factor = min(1.0, self.factor + (now - self.changed) * _RECOVERY)
                self.changed = now
        elif (tried := now - max(self.strained_since + _PATIENT, self.barred_until)) > 0:
            self.factor = min(self.limit.stretch, 1.0 + tried * _STEP)
        self.spent_until = max(self.spent_until, now) + self._interval

    def is_strained(self, now: float) -> bool:
        """Whether half of the burst or more is spent."""
        return self.spent_until - now >= self.limit.burst / 2 * self._interval

    def shrink(self, until: float) -> None:
        """Slow down, and start again at `until` without a burst. What was only tried explains the error by itself."""
        resume = max(until, self.ready_at())
        self.factor = 1.0 if self.factor > 1.0 else max(_LEAST, self.factor * _SHRINK)
        self.changed = resume
        self.spent_until = resume + (self.limit.burst - 1) * self._interval

    def bar(self, now: float, until: float) -> None:
        """Try no more than is documented for a long time."""
        self._step_back(now)
        self.barred_until = until + _ONCE_BITTEN

    def _step_back(self, now: float) -> None:
        """Back to the documented rate. As many calls as were spent stay spent, though each takes longer to refill."""
        if self.factor > 1.0:
            self.spent_until = now + max(0.0, self.spent_until - now) * self.factor
            self.factor = 1.0


@dataclass(slots=True)
class _Pause:
    until: float
    unnamed: int
    """How many pauses in a row had to guess their length."""


@dataclass(slots=True)
class Budgets:
    """What relay may still spend in one workspace. Methods go by Slack's names; `channel` matters to posts alone.

    Slack's real limits are unpublished. They may be tighter than `limits`: a rate limit error slows the budget that
    was used up, which then recovers slowly. They may be looser: a budget that was strained for a quarter of an hour
    without a rest or an error grows by a fiftieth a minute, never beyond its `Limit.stretch`. A rest takes it back to
    the documented limit; an error does so with all budgets of its method, and keeps them from growing for two hours.
    A clock that is set back does not stop anything: what was planned by the old time moves back with it.
    """

    limits: Mapping[str, Limit]
    channel_limits: Mapping[str, Limit] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _latest: float = -inf

    def ready_at(self, method: str, channel: str, now: float) -> float:
        """The earliest moment, not before now, at which this call may be made."""
        self._follow(now)
        paused = self._pauses.get(method)
        waits = (bucket.ready_at() for bucket in self._of(method, channel))
        return max(now, paused.until if paused else -inf, *waits)

    def spend(self, method: str, channel: str, now: float) -> None:
        """Write down a call that is made now, whatever will come of it."""
        self._follow(now)
        for bucket in self._of(method, channel):
            bucket.spend(now)

    def pause(self, method: str, until: float | None, now: float, channel: str = "") -> float:
        """Stop a method in the whole workspace after a rate limit error; returns when it goes on.

        `until` comes from Slack's `Retry-After`; None where it gave none. Calls that were under way when the pause
        began are rejected too: they may prolong the pause, but slow nothing down again.
        """
        self._follow(now)
        last = self._pauses.get(method)
        if last is not None and now < last.until:
            last.until = max(last.until, now if until is None else until)
            return last.until
        unnamed = 0 if last is None or now > last.until + _CALM else last.unnamed
        if until is None:
            until = now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**unnamed)
            unnamed += 1
        self._pauses[method] = _Pause(until, unnamed)
        buckets = self._of(method, channel)
        for bucket in [each for each in buckets if each.is_strained(now)] or buckets:
            bucket.shrink(until)
        for (name, _), bucket in self._buckets.items():
            if name == method:
                bucket.bar(now, until)
        return until

    def _follow(self, now: float) -> None:
        back = self._latest - now
        if back > _SET_BACK:
            for bucket in self._buckets.values():
                bucket.spent_until -= back
                bucket.changed -= back
                bucket.strained_since -= back
                bucket.barred_until -= back
            for pause in self._pauses.values():
                pause.until -= back
            self._latest = now
        self._latest = max(self._latest, now)

    def _of(self, method: str, channel: str) -> list[_Bucket]:
        found = [self._bucket(method, "", self.limits.get(method, TIER_2))]
        if channel and (limit := self.channel_limits.get(method)) is not None:
            found.append(self._bucket(method, channel, limit))
        return found

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


DEADLINES: Mapping[Urgency, float] = {
    Urgency.CRITICAL_ROOT: 0.0,
    Urgency.WORSENED: 5.0,
    Urgency.ROOT: 30.0,
    Urgency.REOPENED: 60.0,
    Urgency.RESOLVED: 60.0,
    Urgency.REPLY: 600.0,
    Urgency.STATE_EDIT: 0.0,
    Urgency.EDIT: 30.0,
}
"""Seconds by which it is to be done. The latest moment, never a delay: where the budget is free it is done at once."""

EDIT_SPACING = 3.0
"""Seconds between two edits of one card, unless the later resolves or worsens it."""


def earliest_edit(occasion: Urgency, now: float, edited: float | None) -> float:
    """The earliest moment for an edit of a card that was last edited (or posted) at `edited`."""
    if occasion is Urgency.STATE_EDIT or edited is None:
        return now
    return max(now, edited + EDIT_SPACING)


# -- Trying again ------------------------------------------------------------------------------------------------------

_FIRST_TRY, _LONGEST = 2.0, 300.0


def backoff(tries: int, key: str) -> float:
    """Seconds to wait after so many failed tries (from 1): doubling from 2 s to 5 minutes, less up to half of it.

    What is taken off depends on `key` and `tries` alone, so that cards that failed together come back apart, and a
    restart computes the same.
    """
    whole = min(_LONGEST, _FIRST_TRY * 2.0 ** min(tries - 1, 16))
    return whole * (1.0 - crc32(f"{key} {tries}".encode()) / 2**33)
