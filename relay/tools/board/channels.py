"""The channels: whether they take messages, what waits there, and their last cards."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from relay.store.types import ChannelBacklog
from relay.tools.board.lists import ShownList, read_lists
from relay.tools.board.source import BoardSource, SlackStatus

LAST_CARDS = 5
"""The cards of a channel that are listed."""

MAX_CHANNELS = 200
"""The channels that are listed: alerts may name any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCard:
    """A card that was posted: when (Unix seconds), of which incident, and its address in Slack.

    `subject` says what it concerns; it may concern no incident.
    """

    at: float
    incident: str
    subject: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChannel:
    """A channel. `waits_for` is why nothing is sent there now (empty: it takes messages).

    `lists` are its storm and its held lists that are open.
    """

    name: str
    ref: str
    waits_for: str
    retry_at: float | None
    backlog: tuple[ChannelBacklog, ...]
    cards: tuple[LastCard, ...]
    lists: tuple[ShownList, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsPage:
    """The page: those that take no messages first, then those with a storm or a held list, then by what waits.

    `omitted` counts the rest.
    """

    channels: tuple[ShownChannel, ...]
    slack: SlackStatus
    pauses: Mapping[str, float]
    omitted: int = 0


async def read_channels(source: BoardSource) -> ChannelsPage:
    """Read the page. Raises StoreError: the database failed."""
    now, names = source.clock.now(), await source.names()
    waiting: defaultdict[str, list[ChannelBacklog]] = defaultdict(list)
    for each in (await source.store.backlog(now)).channels:
        waiting[each.channel].append(each)
    lists: defaultdict[str, list[ShownList]] = defaultdict(list)
    for one in await read_lists(source, names):
        lists[one.ref].append(one)
    known = [each for each in await source.store.channels() if each.canonical_ref is None]
    known.sort(
        key=lambda each: (
            each.is_open,
            each.ref not in lists,
            -sum(one.cards for one in waiting[each.ref]),
            names.get(each.ref, ""),
        )
    )
    shown = []
    for channel in known[:MAX_CHANNELS]:
        cards = await source.store.last_cards(channel.ref, LAST_CARDS)
        shown.append(
            ShownChannel(
                name=names.get(channel.ref, channel.ref),
                ref=channel.ref,
                waits_for=channel.waits_for,
                retry_at=channel.retry_at,
                backlog=tuple(waiting[channel.ref]),
                lists=tuple(lists[channel.ref]) if channel.ref in lists else (),
                cards=tuple(
                    LastCard(
                        at=float(card.ts or 0),
                        incident=card.incident,
                        subject=card.subject,
                        link=source.link(card.slack_channel or "", card.ts or ""),
                    )
                    for card in cards
                ),
            )
        )
    slack = source.slack()
    return ChannelsPage(
        channels=tuple(shown), slack=slack, pauses=slack.pauses, omitted=max(0, len(known) - MAX_CHANNELS)
    )
