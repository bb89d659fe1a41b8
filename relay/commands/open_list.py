"""`open`: what is open in a channel, of a team, or wherever the person may look; as a summary of it says it.

In one channel, it also says what was resolved in the last day, and what Slack has rejected.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from relay.cards.bulletins import BulletinLine, summary_bulletin
from relay.cards.draw import draw_unposted
from relay.cards.model import Card, CardState
from relay.cards.mutes import Mute
from relay.cards.summaries import FIRST_SPAN, ChannelContent, described_values, open_line, resolved_line
from relay.commands.question import SlackQuestion
from relay.commands.requests import Open
from relay.commands.texts import with_note
from relay.commands.viewer import Viewer
from relay.model.errors import QueryError
from relay.routes.match_keys import IncidentFacts
from relay.routes.mute_match import literal_match, parse_mute_match
from relay.routes.rulebook import Rulebook
from relay.slack.message import Message
from relay.store.board import OpenFilter, OpenPosition
from relay.store.types import ListedIncident
from relay.tools.incidents import channel_references

MAX_SCANNED = 5_000
"""Open incidents that are looked at for one answer."""

BATCH = 500

CUT: Final = f"_There are more than {MAX_SCANNED:,} open incidents; relay looked at the worst._"

_TEAM = "team"
"""The tag that names an incident's team."""


async def answer_open(question: SlackQuestion, request: Open) -> Message | None:
    """Return the message; None if there is no such channel or team that the person may see."""
    viewer, rulebook = question.viewer, question.live.rulebook
    refs = _references(request, viewer, rulebook)
    if any(map(viewer.sees, refs)):
        return await _of_channel(question, refs)
    if request.channel:
        return None
    found, is_cut = await open_incidents(question)
    mutes = await question.store.mutes_after(question.now)
    team = request.team or request.name
    lines = await asyncio.to_thread(_lines, question, found, mutes, team)
    if not lines and request.name:
        return None
    title = f"Team {team}" if team else "All channels that you can see"
    return with_note(await asyncio.to_thread(_drawn, question, title, lines), CUT if is_cut else "")


class Found(NamedTuple):
    """Open incidents; `is_cut`: there are more than could be looked at."""

    incidents: list[ListedIncident]
    is_cut: bool


async def open_incidents(
    question: SlackQuestion, words: tuple[str, ...] = (), refs: frozenset[str] | None = None
) -> Found:
    """Find the open incidents that the person may see, the worst first.

    With `words`, those that have them all; with `refs`, those with a card in one of these channels, perhaps one that
    waits to be posted.
    """
    found: list[ListedIncident] = []
    place: OpenPosition | None = None
    wanted = OpenFilter(words=words, channels=refs)
    for _ in range(MAX_SCANNED // BATCH):
        batch = await question.store.open_incidents(wanted, place, BATCH, BATCH)
        found += [each for each in batch.incidents if any(_is_shown(card, refs, question) for card in each.cards)]
        place = batch.after
        if place is None:
            return Found(found, is_cut=False)
    rest = await question.store.open_incidents(wanted, place, 1, 1)
    return Found(found, is_cut=bool(rest.incidents))


def _is_shown(card: Card, refs: frozenset[str] | None, question: SlackQuestion) -> bool:
    """Whether the person may see the card, in one of these channels, or will once it is posted."""
    gone = card.is_pointer or card.state is CardState.CANCELLED
    return not gone and (refs is None or card.channel in refs) and question.viewer.sees(card.channel)


def shown_card(cards: Iterable[Card], viewer: Viewer) -> Card | None:
    """The card for the link: a posted one, preferably in the channel where the person asks."""
    posted = [card for card in viewer.visible(cards) if card.slack_channel and card.ts and not card.is_pointer]
    return min(posted, key=lambda card: (card.slack_channel != viewer.asked_in, card.id), default=None)


def _references(request: Open, viewer: Viewer, rulebook: Rulebook) -> frozenset[str]:
    """The references of the channel that is meant: one that is named, else the one where the person asks."""
    if request.everywhere or request.team:
        return frozenset()
    known = tuple(viewer.channels.values())
    try:
        return channel_references(request.channel or request.name or viewer.asked_in, known, rulebook)
    except QueryError:
        return frozenset()


async def _of_channel(question: SlackQuestion, refs: frozenset[str]) -> Message:
    viewer, now = question.viewer, question.now
    ref = next(filter(viewer.sees, sorted(refs)))
    found, is_cut = await open_incidents(question, refs=refs)
    content = await question.store.channel_content(ref, now - FIRST_SPAN, 0.0, now) or ChannelContent()
    name = viewer.channels[ref].slack_name or ref
    drawn = await asyncio.to_thread(_of_content, question, name, found, content)
    return with_note(drawn, CUT if is_cut else "")


def _of_content(
    question: SlackQuestion, name: str, found: Iterable[ListedIncident], content: ChannelContent
) -> Message:
    lines = _lines(question, found, content.mutes, "")
    resolved = [resolved_line(each, question.now) for each in content.resolved]
    return _drawn(question, name, lines, resolved, content.letters)


def _lines(
    question: SlackQuestion, found: Iterable[ListedIncident], mutes: Sequence[Mute], team: str
) -> list[BulletinLine]:
    """The lines of these incidents; with a team, of those whose tag names it."""
    if team:
        match = parse_mute_match(literal_match(_TEAM, team))
        found = [each for each in found if match.matches(IncidentFacts(each.state.incident))]
    return [open_line(each.state, shown_card(each.cards, question.viewer), mutes, question.now) for each in found]


def _drawn(
    question: SlackQuestion,
    title: str,
    lines: Sequence[BulletinLine],
    resolved: Sequence[BulletinLine] = (),
    letters: int = 0,
) -> Message:
    now = question.now
    values = described_values(lines, resolved, letters, now - FIRST_SPAN)
    bulletin = summary_bulletin("", "", {"title": title, "ref": "", "moment": now, **values}, now).bulletin
    return draw_unposted(question.live, bulletin, question.link).message
