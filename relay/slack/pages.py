"""Reads Slack's lists to their end, page by page (https://docs.slack.dev/apis/web-api/pagination)."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from relay.slack.outcomes import Read, SlackOutcome
from relay.slack.responses import ChannelInfo, channels_of, cursor_of

T = TypeVar("T")

ReadPage: TypeAlias = Callable[[str | None], Awaitable[SlackOutcome]]
"""Reads the page at a cursor; None: the first page."""

MAX_CHANNEL_PAGES = 100
"""The most pages of conversations.list that relay reads, of 999 channels each: a cursor may never end."""


@dataclass(frozen=True, slots=True)
class Pages(Generic[T]):
    """The items of all pages, in Slack's order. `complete` says that there are no more."""

    items: tuple[T, ...]
    complete: bool


async def read_pages(
    read_page: ReadPage, items_of: Callable[[Read], Iterable[T]], max_pages: int
) -> SlackOutcome | Pages[T]:
    """Read page after page by its cursor; return the answer of Slack where a page could not be read."""
    items: list[T] = []
    cursor: str | None = None
    for _ in range(max_pages):
        answer = await read_page(cursor)
        if not isinstance(answer, Read):
            return answer
        items += items_of(answer)
        if (cursor := cursor_of(answer)) is None:
            break
    return Pages(tuple(items), complete=cursor is None)


async def read_channels(read_page: ReadPage) -> SlackOutcome | tuple[ChannelInfo, ...]:
    """Read the list of all channels that relay can see, by a function for one page of conversations.list."""
    pages = await read_pages(read_page, channels_of, MAX_CHANNEL_PAGES)
    return pages.items if isinstance(pages, Pages) else pages
