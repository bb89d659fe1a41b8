"""What all parts of delivery share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.cards.model import Card, DeliveryRules
from relay.delivery.card_backoff import CardBackoff
from relay.metrics import Metrics
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.store.store import Store


def card_fields(card: Card) -> dict[str, str]:
    """Return the fields that each log line about a card has, so that one filter finds all lines of an incident."""
    return {"incident": card.incident, "route": card.route, "channel": card.channel}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryContext:
    """What all parts of delivery share.

    `rules` returns the part of the live configuration that decisions need. `wake_all` wakes every part, since cards
    have changed; `wake_schedulers` wakes those that wait for a call to end. `backoff` holds the cards that are skipped
    for a while. `doubts` counts the posts in doubt of each channel, by its reference.
    """

    store: Store
    slack: SlackGateway
    clock: Clock
    rules: Callable[[], DeliveryRules]
    wake_all: Callable[[], None]
    wake_schedulers: Callable[[], None]
    metrics: Metrics
    backoff: CardBackoff
    doubts: Counter[str] = field(default_factory=Counter)
