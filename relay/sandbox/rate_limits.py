"""Rate limits: a sliding window for each method; Slack's also allow one post a second in each channel.

https://docs.slack.dev/apis/web-api/rate-limits. Slack guarantees only how many calls pass, not when the next one is
rejected. Here every number can be set, tighter or looser than a client assumes.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from relay.slack import limits

MINUTE = 60.0
_PRECISION = 1e-6  # Unix seconds as floats are no more precise


@dataclass
class RateLimiter:
    """Counts calls in a sliding window of `seconds`, and says which come too soon. Off until `enabled`.

    `allowed` holds how many calls of each method fit into the window (unnamed methods are unlimited). `pause` works
    even when the rest is off.
    """

    enabled: bool = False
    allowed: dict[str, int] = field(default_factory=dict)
    seconds: float = MINUTE
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    _paused_until: dict[str, float] = field(default_factory=dict)

    def pause(self, method: str, now: float, seconds: float) -> None:
        """Answer every call of one method with 429 for so many seconds from now."""
        self._paused_until[method] = now + seconds

    def admit(self, method: str, channel: str | None, now: float) -> int | None:
        """Admit and count a call, or return after how many whole seconds it may be repeated."""
        paused = self._paused_until.get(method, now) - now
        wait = max(paused, self._wait(method, channel, now) if self.enabled else 0.0)
        if wait > _PRECISION:
            return max(1, math.ceil(wait))
        if self.enabled:
            self._count(method, channel, now)
        return None

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
    """Slack's limits: calls a minute of each method, and the spacing of chat.postMessage in one channel.

    There `post_burst` posts may come at once, then one each `seconds_between_posts`.
    """

    allowed: dict[str, int] = field(default_factory=lambda: dict(limits.CALLS_A_MINUTE))
    seconds_between_posts: float = limits.SECONDS_BETWEEN_POSTS
    post_burst: int = 5
    _free_at: dict[str, float] = field(default_factory=dict)

    def _wait(self, method: str, channel: str | None, now: float) -> float:
        wait = super()._wait(method, channel, now)
        if method != "chat.postMessage" or channel is None:
            return wait
        credit = (self.post_burst - 1) * self.seconds_between_posts
        return max(wait, self._free_at.get(channel, now) - credit - now)

    def _count(self, method: str, channel: str | None, now: float) -> None:
        super()._count(method, channel, now)
        if method == "chat.postMessage" and channel is not None:
            self._free_at[channel] = max(self._free_at.get(channel, now), now) + self.seconds_between_posts
