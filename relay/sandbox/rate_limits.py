"""Rate limits: a sliding window for each method, and Slack's, which has one post a second in each channel too.

https://docs.slack.dev/apis/web-api/rate-limits. Slack promises only that so many calls pass, never when the next is
refused; here every number can be set, tighter or looser than a client assumes.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from relay.slack import limits

MINUTE = 60.0
_GRAIN = 1e-6  # two moments closer than this are one: Unix seconds as floats are no finer


def _tiers() -> dict[str, int]:
    tiers = {method: limits.TIERS[tier] for method, tier in limits.METHOD_TIERS.items()}
    return {**tiers, "chat.postMessage": limits.POSTS_A_MINUTE}


@dataclass
class RateLimiter:
    """Counts calls in a sliding window of `seconds`, and says which come too soon. Off until `enabled`.

    `allowed` holds how many calls of each method the window takes (one that is not named is unlimited); `pause` works
    even when the rest is off.
    """

    enabled: bool = False
    allowed: dict[str, int] = field(default_factory=dict)
    seconds: float = MINUTE
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    _paused_until: dict[str, float] = field(default_factory=dict)

    def pause(self, method: str, now: float, seconds: float) -> None:
        """Answer every call of one method with 429 from now on for so many seconds."""
        self._paused_until[method] = now + seconds

    def admit(self, method: str, channel: str | None, now: float) -> int | None:
        """Take a call, or say after how many whole seconds it may come again; a refused call counts for nothing."""
        wait = max(self._pause(method, now), self._wait(method, channel, now) if self.enabled else 0.0)
        if wait > _GRAIN:
            return max(1, math.ceil(wait))
        if self.enabled:
            self._count(method, channel, now)
        return None

    def _pause(self, method: str, now: float) -> float:
        return self._paused_until.get(method, now) - now

    def _wait(self, method: str, _channel: str | None, now: float) -> float:
        allowed = self.allowed.get(method)
        if allowed is None:
            return 0.0
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - self.seconds:
            calls.popleft()
        if len(calls) < allowed:
            return 0.0
        return calls[-allowed] + self.seconds - now if allowed else self.seconds

    def _count(self, method: str, _channel: str | None, now: float) -> None:
        self._calls.setdefault(method, deque()).append(now)


@dataclass
class SlackRateLimiter(RateLimiter):
    """Slack's: the calls a minute of each method, and of chat.postMessage in one channel.

    There, so many as `post_burst` may come at once, then one each `seconds_between_posts`.
    """

    allowed: dict[str, int] = field(default_factory=_tiers)
    seconds_between_posts: float = limits.SECONDS_BETWEEN_POSTS
    post_burst: int = 5
    _free_at: dict[str, float] = field(default_factory=dict)

    @property
    def per_minute(self) -> dict[str, int]:
        """The calls a minute for each method; may be changed."""
        return self.allowed

    def _wait(self, method: str, channel: str | None, now: float) -> float:
        return max(super()._wait(method, channel, now), self._spacing(method, channel, now))

    def _spacing(self, method: str, channel: str | None, now: float) -> float:
        if method != "chat.postMessage" or channel is None:
            return 0.0
        credit = (self.post_burst - 1) * self.seconds_between_posts
        return self._free_at.get(channel, now) - credit - now

    def _count(self, method: str, channel: str | None, now: float) -> None:
        super()._count(method, channel, now)
        if method == "chat.postMessage" and channel is not None:
            self._free_at[channel] = max(self._free_at.get(channel, now), now) + self.seconds_between_posts
