"""What every part of delivery works with."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.cards.model import Card, DeliveryRules
from relay.delivery.card_backoff import CardBackoff
from relay.delivery.circuit_breaker import CircuitBreaker
from relay.delivery.lease_guard import LeaseGuard
from relay.metrics import Metrics
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock, WakeEvent
from relay.slack.client import SlackClient
from relay.slack.methods import Method
from relay.slack.outcomes import Retryable, SlackOutcome
from relay.store.store import Store


def card_fields(card: Card) -> dict[str, str]:
    """What each log line about a card says of it, so that one filter tells all that became of an incident."""
    return {"incident": card.incident, "route": card.route, "channel": card.channel}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryContext:
    """The store, Slack, and what bounds the calls. `rules` gives the live ones.

    `settled` says that cards changed, and everybody looks; `carried` that a call is over, and the pumps do.
    `metrics` is told what became of them. `door` leads to Slack, whoever delivers; `slack` while this relay does.
    `doubts` counts the posts in doubt, lane by lane; `aside` are the cards that are left alone for a while.
    """

    store: Store
    door: SlackClient
    lease_guard: LeaseGuard
    budgets: Budgets
    throttle: Throttle
    breaker: CircuitBreaker
    clock: Clock
    rules: Callable[[], DeliveryRules]
    wake_all: Callable[[], None]
    wake_schedulers: Callable[[], None]
    metrics: Metrics
    backoff: CardBackoff
    doubts: Counter[str] = field(default_factory=Counter)

    @property
    def slack(self) -> SlackClient:
        """The door to Slack: asked for right before each call, since that is the last moment to find it shut.

        Raises:
            LeaseLost: another relay may deliver by now.
        """
        self.lease_guard.check()
        return self.door

    async def wait(self, bell: WakeEvent, until: float | None) -> None:
        """Wait for the bell, at the longest until that moment."""
        await self.clock.wait_idle(bell, until)

    def record_answer(self, method: Method, answer: SlackOutcome, lane: str = "") -> None:
        """Learn from an answer: a rate limit pauses its method and not the world; what is worse shuts the gate."""
        self.breaker.record(method, answer)
        if isinstance(answer, Retryable) and answer.pauses:
            self.throttle.pause(method, answer.retry_after, lane)
