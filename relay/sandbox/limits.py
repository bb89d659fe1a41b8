"""Slack's rate limits: a sliding minute for each method, and one post a second in each channel.

https://docs.slack.dev/apis/web-api/rate-limits. Slack promises only that so many calls pass, never when the next is
refused; here every number can be set, tighter or looser than a client assumes.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from relay import blockkit

MINUTE = 60.0
_GRAIN = 1e-6  # two moments closer than this are one: Unix seconds as floats are no finer


def _tiers() -> dict[str, int]:
    tiers = {method: blockkit.TIERS[tier] for method, tier in blockkit.METHOD_TIERS.items()}
    return {**tiers, "chat.postMessage": blockkit.POSTS_A_MINUTE}


@dataclass(slots=True)
class Limits:
    """Counts calls and says which come too soon. Off until `enabled`; `pause` works even so.

    `per_minute` holds the calls a minute for each method (one that is not named is unlimited); `seconds_between_posts`
    and `post_burst` are those of chat.postMessage in one channel: so many may come at once, then one each so often.
    """

    enabled: bool = False
    per_minute: dict[str, int] = field(default_factory=_tiers)
    seconds_between_posts: float = blockkit.SECONDS_BETWEEN_POSTS
    post_burst: int = 5
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    _free_at: dict[str, float] = field(default_factory=dict)
    _paused_until: dict[str, float] = field(default_factory=dict)

    def pause(self, method: str, now: float, seconds: float) -> None:
        """Answer every call of one method with 429 from now on for so many seconds."""
        self._paused_until[method] = now + seconds

    def admit(self, method: str, channel: str | None, now: float) -> int | None:
        """Take a call, or say after how many whole seconds it may come again; a refused call counts for nothing."""
        wait = max(self._pause(method, now), self._window(method, now), self._spacing(method, channel, now))
        if wait > _GRAIN:
            return max(1, math.ceil(wait))
        if self.enabled:
            self._count(method, channel, now)
        return None

    def _pause(self, method: str, now: float) -> float:
        return self._paused_until.get(method, now) - now

    def _window(self, method: str, now: float) -> float:
        allowed = self.per_minute.get(method)
        if not self.enabled or allowed is None:
            return 0.0
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if len(calls) < allowed:
            return 0.0
        return calls[-allowed] + MINUTE - now if allowed else MINUTE

    def _spacing(self, method: str, channel: str | None, now: float) -> float:
        if not self.enabled or method != "chat.postMessage" or channel is None:
            return 0.0
        credit = (self.post_burst - 1) * self.seconds_between_posts
        return self._free_at.get(channel, now) - credit - now

    def _count(self, method: str, channel: str | None, now: float) -> None:
        self._calls.setdefault(method, deque()).append(now)
        if method == "chat.postMessage" and channel is not None:
            self._free_at[channel] = max(self._free_at.get(channel, now), now) + self.seconds_between_posts
