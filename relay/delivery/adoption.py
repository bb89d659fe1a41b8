"""Reads the channels of a new database before relay posts there: it may replace a lost one.

A lost database leaves relay's cards in Slack, and a second card of the same incident would mislead everybody. So the
posts of a channel wait until its history was read once, and the cards that are found are taken over
(`relay.cards.adoption`). Other channels are not affected. After a new installation, that is one empty page for each
channel.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from relay.cards.adoption import AdoptionContext, AdoptionOutcome, AdoptionUpdate, FoundCard, adopt, adopt_bulletin
from relay.cards.model import Channel
from relay.delivery.channels import rejecting
from relay.delivery.context import DeliveryContext
from relay.delivery.history import MessageHistory, read_channel
from relay.model.counting import counted
from relay.routes.options import Options
from relay.routes.rulebook import Rulebook
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Rejected, RejectionScope, SlackOutcome
from relay.slack.responses import FoundMessage, Identity
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.delivery")

ADOPT_WINDOW = 7 * 86_400.0
"""Seconds of a channel's history that are read."""

MAX_PAGES = 100
"""The most pages of one channel, 20,000 messages: two minutes at Slack's rate limit."""

BATCH_SIZE = 50
"""Cards taken over in one transaction, so that shares need not wait for long."""

RETRY_PAUSE = 15.0
"""Seconds until a channel is read again that could not be read just now."""

MAX_WAIT = 600.0
"""Seconds after which relay posts in a channel anyway, although Slack does not let it read there."""

_LOST = (
    "The database is new, and relay's cards are in Slack: relay takes them over. The rest of the database is lost; "
    "the operating guide says what that is."
)
_WITHOUT_READING = "Relay posts there without knowing what it has posted before. `relay adopt` reads it later."


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAdoption:
    """The result for the cards of one channel; `complete`: all of the history that was asked for was read."""

    outcomes: Counter[AdoptionOutcome] = field(default_factory=Counter)
    complete: bool = True

    @property
    def adopted(self) -> int:
        """How many cards were taken over."""
        return self.outcomes[AdoptionOutcome.ADOPTED]

    @property
    def description(self) -> str:
        """The same as a sentence for the log."""
        others = f", and left {self.outcomes.total() - self.adopted} others alone" if self.left_alone else ""
        more = "" if self.complete else " The channel has older messages, which relay has not read."
        adopted = f"took {counted(self.adopted, 'card')} over" if self.adopted else "found no card to take over"
        return f"Relay has read what it had posted in the channel, and {adopted}{others}.{more}"

    @property
    def left_alone(self) -> dict[str, int]:
        """How many were not, by the reason."""
        return {str(why): number for why, number in self.outcomes.items() if why is not AdoptionOutcome.ADOPTED}


async def adopt_channel(  # noqa: PLR0913  each has a name
    slack: SlackGateway,
    store: Store,
    channel: Channel,
    *,
    identity: Identity,
    instance: str,
    rulebook: Rulebook,
    since: float,
    now: float,
    lease: Lease | None = None,
) -> SlackOutcome | ChannelAdoption:
    """Read a channel from `since` (Unix seconds) on, and take relay's own cards over; done again, it changes nothing.

    `identity` and `instance` say which cards are this relay's. Returns Slack's answer where the channel cannot be read.

    Raises LeaseLost: another relay delivers now.
    """
    slack_id = channel.slack_id or channel.ref
    history = await read_channel(slack, slack_id, f"{since:.6f}", max_pages=MAX_PAGES)
    if not isinstance(history, MessageHistory):
        return history
    outcomes, every = find_cards(history.messages, slack_id, identity, instance)
    found = [card for card in every if card.bulletin is None]
    bulletins = [card for card in every if card.bulletin is not None]

    def decide(context: AdoptionContext, card: FoundCard) -> AdoptionUpdate:
        return adopt(context, card, _options(rulebook, card, channel), now)

    for start in range(0, len(found), BATCH_SIZE):
        batch = found[start : start + BATCH_SIZE]
        outcomes.update(await store.adopt_cards(channel.ref, batch, decide, now=now, lease=lease))
    if bulletins:
        outcomes.update(await store.adopt_bulletins(channel.ref, bulletins, adopt_bulletin, now=now, lease=lease))
    return ChannelAdoption(outcomes=outcomes, complete=history.complete)


def find_cards(
    messages: Iterable[FoundMessage], slack_channel: str, identity: Identity, instance: str
) -> tuple[Counter[AdoptionOutcome], list[FoundCard]]:
    """Return this relay's newest card of each incident and bulletin; and how many others stay as they are, and why."""
    outcomes: Counter[AdoptionOutcome] = Counter()
    newest: dict[tuple[str, str], FoundCard] = {}
    for message, card in _cards(messages, slack_channel):
        other = newest.get(card.topic)
        if card.marker.instance != instance:
            outcomes[AdoptionOutcome.ANOTHER_NAME] += 1
        elif identity.bot_id not in {"", message.bot_id}:
            outcomes[AdoptionOutcome.ANOTHER_BOT] += 1
        elif other is None:
            newest[card.topic] = card
        else:
            outcomes[AdoptionOutcome.OLDER_EPISODE] += 1
            newest[card.topic] = max(other, card, key=_age)
    return outcomes, list(newest.values())


def _cards(messages: Iterable[FoundMessage], slack_channel: str) -> Iterator[tuple[FoundMessage, FoundCard]]:
    for message in messages:
        if message.marker is None or message.deleted:
            continue
        found = FoundCard(slack_channel=slack_channel, ts=message.ts, marker=message.marker)
        if message.marker.kind == "card" or found.bulletin is not None:
            yield message, found


def _age(card: FoundCard) -> tuple[int, int, str]:
    return card.episode, card.marker.generation, card.ts


def _options(rulebook: Rulebook, card: FoundCard, channel: Channel) -> Options:
    """Until a share comes, those of the route that the card names; the next share decides again."""
    if not card.marker.route and rulebook.fallback is not None:
        return rulebook.fallback.options
    return rulebook.options_for(card.marker.route, channel.ref)


class Adoption:
    """Reads each channel that is marked as unread, one after the other."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._retry_at: dict[str, float] = {}
        self._failed_since: dict[str, float] = {}
        self._announced = False

    async def adopt_due(self) -> float | None:
        """Read the unread channels; return when to try again one that could not be read."""
        identity = self._shared.slack.breaker.identity
        if identity is None:
            return None
        while unread := await self._shared.store.unread_channels():  # read again: a share may wait for another
            now = self._shared.clock.monotonic()
            due = [channel for channel in unread if self._retry_at.get(channel.ref, 0.0) <= now]
            if not due:
                return self._shared.clock.time_at(min(self._retry_at[channel.ref] for channel in unread))
            await self._adopt(due[0], identity)
        return None

    async def _adopt(self, channel: Channel, identity: Identity) -> None:
        shared, since = self._shared, channel.unread_since
        if since is None:
            return
        found = await adopt_channel(
            shared.slack,
            shared.store,
            channel,
            identity=identity,
            instance=shared.instance,
            rulebook=shared.live().rulebook,
            since=since,
            now=shared.clock.now(),
            lease=shared.lease,
        )
        if not isinstance(found, ChannelAdoption):
            await self._handle_unreadable(channel, found)
            return
        await self._mark_read(channel)
        self._report(channel, found)

    async def _mark_read(self, channel: Channel) -> None:
        await self._shared.store.mark_read(channel.ref, lease=self._shared.lease)
        self._retry_at.pop(channel.ref, None)
        self._failed_since.pop(channel.ref, None)
        self._shared.wake_all()

    def _report(self, channel: Channel, found: ChannelAdoption) -> None:
        if found.adopted and not self._announced:
            self._announced = True
            log.warning("database_lost", detail=_LOST)
        write = log.info if found.complete and not found.outcomes else log.warning
        write(
            "history_read",
            channel=channel.ref,
            adopted=found.adopted,
            left_alone=found.left_alone,
            complete=found.complete,
            detail=found.description,
        )

    async def _handle_unreadable(self, channel: Channel, answer: SlackOutcome) -> None:
        """Reject a channel in which relay is not; wait for what passes; post without reading where nothing helps."""
        now, passed = self._shared.clock.now(), self._shared.clock.monotonic()
        since = self._failed_since.setdefault(channel.ref, passed)
        fields = {"channel": channel.ref, "reason": answer.reason, "remedy": answer.remedy}
        if isinstance(answer, Rejected) and answer.scope is RejectionScope.CHANNEL:
            log.warning(
                "history_not_read", **fields, detail="Relay is not in the channel, and cannot post there either."
            )
            await self._shared.store.update_channel(rejecting(channel, answer.reason, now))
            self._shared.wake_all()
            return
        is_temporary = not isinstance(answer, Rejected) or answer.scope is RejectionScope.CREDENTIALS
        if is_temporary and passed - since < MAX_WAIT:
            self._retry_at[channel.ref] = passed + RETRY_PAUSE
            log.warning("history_not_read", **fields, detail="Relay tries again before it posts in the channel.")
            return
        log.error("history_not_read", **fields, detail=_WITHOUT_READING)
        await self._mark_read(channel)
