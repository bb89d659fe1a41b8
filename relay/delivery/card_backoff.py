"""Cards with which something unforeseen went wrong: each is left alone for a while, and holds nobody else up.

A row that another version of relay wrote, or a fault of relay's own: whatever it is, it concerns one card. Nothing of
it is written down: the card stays due, so that metrics and alerts tell that it waits, and it is tried again with ever
longer pauses, until somebody has mended what is wrong.
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
"""Seconds of peace after which what goes wrong with a card counts as the first time."""

_NOTHING: Mapping[str, str] = {}


class CardBackoff:
    """The cards that are left alone, by their numbers; after a restart each is tried at once."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none. The pauses go by the steady clock."""
        self._clock = clock
        self._broke: dict[int, tuple[int, float]] = {}

    @property
    def skipped_cards(self) -> frozenset[int]:
        """Those that are to be passed over now."""
        steady = self._clock.monotonic()
        return frozenset(card for card, (_, until) in self._broke.items() if until > steady)

    def retry_at(self, card: int | None = None) -> float | None:
        """When that card is to be tried again (without one: the first of them); None where none is passed over."""
        steady = self._clock.monotonic()
        waits = [until - steady for each, (_, until) in self._broke.items() if card in {None, each} and until > steady]
        return self._clock.now() + min(waits) if waits else None

    def record_failure(self, card: int, error: Exception, told: Mapping[str, str]) -> None:
        """Leave a card alone, for longer than the last time, and say in the log what went wrong with it.

        `told` is what each line of the log says of the card.
        """
        steady = self._clock.monotonic()
        self._broke = {
            each: (tries, until) for each, (tries, until) in self._broke.items() if until + FORGET_AFTER > steady
        }
        tries, _ = self._broke.get(card, (0, -inf))
        pause = backoff(tries + 1, str(card))
        self._broke[card] = tries + 1, steady + pause
        trouble = error if isinstance(error, CardFailure) else CardFailure(card, told, error)
        cause = trouble.__cause__ or error
        log.error("card_broke", **told, detail=str(trouble), again_in=round(pause), exc_info=cause)

    async def run_isolated(
        self, card: int, work: Callable[[], Awaitable[T]], told: Mapping[str, str] = _NOTHING
    ) -> T | None:
        """Do what concerns one card. Where it goes wrong, that card is put aside, and None comes back.

        Raises:
            LeaseLost, StoreUnusable: what concerns everybody.
        """
        try:
            return await work()
        except (LeaseLost, StoreUnusable):
            raise
        except Exception as error:  # noqa: BLE001  logged with its traceback
            self.record_failure(card, error, told)
            return None
