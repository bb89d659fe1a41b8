"""What all parts of delivery share."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from relay.cards.model import Card, CardContext, CardUpdate, DeliveryRules
from relay.delivery.card_backoff import CardBackoff
from relay.metrics import Metrics
from relay.routes.storm import NO_STORM, Storm
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.message import DEFAULT_INSTANCE, Marker, marker_key
from relay.slack.responses import FoundMessage
from relay.store.store import Store
from relay.store.types import Lease, SlackCall

MAX_DOUBTS = 5
"""So many messages in doubt stop the posts of a channel until they are settled."""


def card_fields(card: Card) -> dict[str, str]:
    """Return the fields of each log line about a card: one filter finds all lines of an incident, or of a bulletin."""
    topic = {"incident": card.incident} if card.bulletin is None else {"bulletin": str(card.bulletin)}
    return {**topic, "route": card.route, "channel": card.channel}


@dataclass(slots=True, kw_only=True)
class DeliveryContext:
    """What all parts of delivery share.

    `rules` returns the part of the live configuration that decisions need. `wake_all` wakes every part, since cards
    have changed; `call_ended` wakes those that wait for a call to end. `backoff` holds the cards that are skipped
    for a while. `doubts` counts the posts in doubt of each channel, by its reference; `held_in_storms` the cards that a
    storm holds and the log has not counted yet. `lease` is this relay's while it
    delivers; each transaction of delivery checks it. `marker_secret` is the database's, `instance` this relay's name.
    `names_channel` says whether the live routes name a channel by one of these references; `fixed_channels` returns
    those that they name whatever the incident. `on_channel_changed` is called when such a channel is found, or begins
    or stops to take messages. `storm_in` says what a storm is in the channel that has these references.
    """

    store: Store
    slack: SlackGateway
    clock: Clock
    rules: Callable[[], DeliveryRules]
    wake_all: Callable[[], None]
    call_ended: Callable[[], None]
    metrics: Metrics
    backoff: CardBackoff
    doubts: Counter[str] = field(default_factory=Counter)
    held_in_storms: Counter[str] = field(default_factory=Counter)
    lease: Lease | None = None
    marker_secret: str = ""
    instance: str = DEFAULT_INSTANCE
    names_channel: Callable[[Collection[str]], bool] = lambda _refs: True
    on_channel_changed: Callable[[], None] = lambda: None
    fixed_channels: Callable[[], Collection[str]] = tuple
    storm_in: Callable[..., Storm] = lambda *_refs: NO_STORM

    @property
    def blocked_channels(self) -> frozenset[str]:
        """The channels with too much in doubt to post more."""
        return frozenset(channel for channel, number in self.doubts.items() if number >= MAX_DOUBTS)

    def marker_key(self, key: str) -> str:
        """Return the key in the marker of an attempt's message, given the key of the attempt."""
        return marker_key(self.marker_secret, key)

    def own_marker(self, message: FoundMessage) -> Marker | None:
        """Return the marker of a message that this relay posted, with this database or another; None for any other.

        Only relay's own bot counts: other apps can read a marker and post it again. A user's token has no bot. Another
        relay with the same bot has another name.
        """
        marker, identity = message.marker, self.slack.breaker.identity
        by_own_bot = identity is not None and identity.bot_id in {"", message.bot_id}
        is_own = by_own_bot and marker is not None and marker.instance == self.instance and not message.deleted
        return marker if is_own else None

    async def update_card(
        self, card: int, decide: Callable[[CardContext], CardUpdate], call: SlackCall | None = None
    ) -> CardContext:
        """Store a decision about a card, if this relay still delivers; return the card as it is then.

        Raises:
            LeaseLost: another relay delivers now.
            StoreError: nothing is stored.
        """
        return await self.store.update_card(card, decide, call, lease=self.lease)
