"""What storms and held lists hold now, as several pages show it."""

from dataclasses import dataclass

from relay.cards.bulletins import KINDS, BulletinKind
from relay.cards.holds import UNKNOWN_END
from relay.store.board import OpenList
from relay.tools.board.source import BoardSource
from relay.tools.message_text import ChannelNames

MAX_LISTS = 200
"""The lists that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownList:
    """A storm card or a held list: what holds cards in a channel, since when, until when, and how many wait.

    Times are Unix seconds; `until` is None if nobody knows. `link` is the address of its message.
    """

    name: str
    is_storm: bool
    channel: str
    ref: str
    reason: str
    since: float
    until: float | None
    waiting: int
    link: str


async def read_lists(source: BoardSource, names: ChannelNames) -> tuple[ShownList, ...]:
    """Read those that are open, the oldest first. Raises StoreError: the database failed."""
    return tuple(_shown(each, source, names) for each in await source.store.open_lists(MAX_LISTS))


def _shown(each: OpenList, source: BoardSource, names: ChannelNames) -> ShownList:
    return ShownList(
        name=KINDS[each.kind].name,
        is_storm=each.kind is BulletinKind.STORM,
        channel=names.get(each.channel, each.channel),
        ref=each.channel,
        reason=each.reason,
        since=each.since,
        until=each.until if each.until is not None and each.until < UNKNOWN_END else None,
        waiting=each.waiting,
        link=source.link(each.slack_channel, each.ts) if each.ts else "",
    )
