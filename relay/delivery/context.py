"""What all parts of delivery share."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from relay.cards.attention import Surroundings
from relay.cards.draw import permalink
from relay.cards.model import Card, CardContext, CardUpdate, DeliveryRules
from relay.config.configuration import Configuration
from relay.delivery.card_backoff import CardBackoff
from relay.metrics import Metrics
from relay.routes.storm import Storm
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.message import DEFAULT_INSTANCE, Marker, marker_key
from relay.slack.responses import FoundMessage
from relay.store.open_cards import ChangeCard
from relay.store.store import Store
from relay.store.types import Lease, SlackCall

INCIDENTS_PER_BATCH = 200
"""Incidents of one transaction that changes the cards of all that are open."""

MAX_DOUBTS = 5
"""So many messages in doubt stop the posts of a channel until they are settled."""


def card_fields(card: Card) -> dict[str, str]:
    """Return the fields of each log line about a card: one filter finds all lines of an incident, or of a bulletin."""
    topic = {"incident": card.incident} if card.bulletin is None else {"bulletin": str(card.bulletin)}
    return {**topic, "route": card.route, "channel": card.channel}


@dataclass(slots=True, kw_only=True)
class DeliveryContext:
    """What all parts of delivery share.

    `live` returns the live configuration. `wake_all` wakes every part, since cards have changed; `call_ended` wakes
    those that wait for a call to end. `on_channel_changed` is called when a channel of the routes is found, or begins
    or stops to take messages. `backoff` holds the cards that are skipped for a while. `canonical_refs` maps the
    spellings of a channel to the one that is used. `doubts` counts the posts in doubt of each channel, by its
    reference; `held_in_storms` the cards that a storm holds and the log has not counted yet. `lease` is this relay's
    while it delivers; each transaction of delivery checks it. `marker_secret` is the database's, `instance` this
    relay's name.
    """

    store: Store
    slack: SlackGateway
    clock: Clock
    live: Callable[[], Configuration]
    wake_all: Callable[[], None]
    call_ended: Callable[[], None]
    metrics: Metrics
    backoff: CardBackoff
    on_channel_changed: Callable[[], None] = lambda: None
    canonical_refs: Mapping[str, str] = field(default_factory=dict)
    doubts: Counter[str] = field(default_factory=Counter)
    held_in_storms: Counter[str] = field(default_factory=Counter)
    lease: Lease | None = None
    marker_secret: str = ""
    instance: str = DEFAULT_INSTANCE

    def rules(self) -> DeliveryRules:
        """Return the part of the live configuration that decisions about answers need."""
        return DeliveryRules(fallback=self.live().rulebook.fallback, canonical_refs=self.canonical_refs)

    def surroundings(self) -> Surroundings:
        """Return what else decides when relay posts and pings, by the live configuration."""
        return Surroundings(rulebook=self.live().rulebook, canonical_refs=self.canonical_refs)

    def storm_in(self, *refs: str) -> Storm:
        """Return the storm limits of the channel that has these references."""
        return self.live().rulebook.storm_in(*refs)

    def names_channel(self, refs: Collection[str]) -> bool:
        """Return whether the live routes name a channel by one of these references."""
        return self.live().rulebook.names_channel(refs)

    def fixed_channels(self) -> Collection[str]:
        """Return the channels that the live routes name whatever the incident."""
        return self.live().rulebook.channel_refs

    def message_link(self, channel: str, ts: str) -> str:
        """Return the address of a message for people; empty until Slack has named the workspace's address."""
        identity = self.slack.breaker.identity
        return permalink(identity.url if identity else "", channel, ts)

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

    async def change_open_cards(self, decide: ChangeCard) -> None:
        """Change the cards of all open incidents, if this relay still delivers; interrupted, some are changed.

        Raises:
            LeaseLost: another relay delivers now.
            StoreError: the store failed.
        """
        after: str | None = ""
        while after is not None:
            after = await self.store.change_open_cards(after, INCIDENTS_PER_BATCH, decide, lease=self.lease)
