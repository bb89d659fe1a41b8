"""Skips cards whose work failed unexpectedly, each for a while, so that it delays no other card.

The cause may be a row that another version of relay wrote, or a bug. This is not stored: the card stays due, so
that metrics and alerts show that it waits. Relay tries it again after growing pauses.
"""

from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import TypeVar

import structlog

from relay.model.errors import CardFailure, LeaseLost, StoreUnusable
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock

T = TypeVar("T")

log = structlog.get_logger("relay.delivery")

FORGET_AFTER = 600.0
"""Seconds without a failure after which the next failure of a card counts as its first."""

_NO_FIELDS: Mapping[str, str] = {}


class CardBackoff:
    """The cards that are skipped now, by their numbers. After a restart each is tried at once."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none. The pauses go by the monotonic clock."""
        self._clock = clock
        self._failures: dict[int, tuple[int, float]] = {}

    @property
    def skipped_cards(self) -> frozenset[int]:
        """The cards to skip now."""
        now = self._clock.monotonic()
        return frozenset(card for card, (_, until) in self._failures.items() if until > now)

    def retry_at(self, card: int | None = None) -> float | None:
        """Return when this card (without one: the first card) is tried again; None if none is skipped."""
        now = self._clock.monotonic()
        ends = [until for number, (_, until) in self._failures.items() if card in {None, number} and until > now]
        return self._clock.time_at(min(ends)) if ends else None

    def record_failure(self, card: int, error: Exception, fields: Mapping[str, str]) -> None:
        """Skip a card, longer than the last time, and log the error with these fields."""
        now = self._clock.monotonic()
        self._failures = {
            number: (tries, until) for number, (tries, until) in self._failures.items() if until + FORGET_AFTER > now
        }
        tries = self._failures.get(card, (0, -inf))[0] + 1
        pause = backoff(tries, str(card))
        self._failures[card] = tries, now + pause
        failure = error if isinstance(error, CardFailure) else CardFailure(card, fields, error)
        log.error(
            "card_failed", **fields, detail=str(failure), retry_in=round(pause), exc_info=failure.__cause__ or error
        )

    async def run_isolated(
        self, card: int, work: Callable[[], Awaitable[T]], fields: Mapping[str, str] = _NO_FIELDS
    ) -> T | None:
        """Do the work of one card. Where it fails, skip the card for a while and return None.

        Raises LeaseLost, StoreUnusable: what concerns all cards.
        """
        try:
            return await work()
        except (LeaseLost, StoreUnusable):
            raise
        except Exception as error:  # noqa: BLE001  logged with its traceback
            self.record_failure(card, error, fields)
            return None
