"""Which channels a person may see: an incident is shown to those who may see one of its cards.

Relay knows from its own look-ups which channels are private, and asks Slack which channels the person is in. If it
knows neither for a channel, the channel is shown only to those who ask in it.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from relay.actions.people import LookupFailed, People
from relay.cards.model import Card, Channel
from relay.slack.responses import SlackUser

ASK_WITHIN = 1.2
"""Seconds for Slack's answers about the person, of the three within which the command must be answered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A person and the channel in which they ask.

    `channels` are those that relay knows, by reference. `member_of` are the ids of the channels that the person is in,
    None where Slack did not say. `person` is None where Slack did not say who it is.
    """

    user: str
    asked_in: str
    channels: Mapping[str, Channel]
    member_of: frozenset[str] | None
    person: SlackUser | None

    @property
    def is_known(self) -> bool:
        """Whether Slack has said all about the person that decides what they may see."""
        return self.member_of is not None and self.person is not None

    def sees(self, ref: str) -> bool:
        """Whether the person may see what is in the channel with that reference."""
        channel = self.channels.get(ref)
        if channel is not None and channel.canonical_ref:
            channel = self.channels.get(channel.canonical_ref, channel)
        if channel is None or not channel.slack_id:
            return False
        if channel.slack_id == self.asked_in or channel.slack_id in (self.member_of or ()):
            return True
        sees_public = self.person is not None and not self.person.guest
        return sees_public and channel.facts.get("private") is False

    def visible(self, cards: Iterable[Card]) -> tuple[Card, ...]:
        """Those of the cards that are in channels which the person may see."""
        return tuple(card for card in cards if self.sees(card.channel))


async def find_viewer(people: People, channels: Iterable[Channel], user: str, asked_in: str) -> Viewer:
    """Find out what a person may see; what Slack does not answer in time is unknown."""
    person, member_of = await asyncio.gather(_in_time(people.person(user)), _in_time(people.channels(user)))
    return Viewer(
        user=user,
        asked_in=asked_in,
        channels={each.ref: each for each in channels},
        member_of=member_of,
        person=person,
    )


async def _in_time(answer: Awaitable[T | LookupFailed]) -> T | None:
    try:
        async with asyncio.timeout(ASK_WITHIN):
            found = await answer
    except TimeoutError:
        return None
    return None if isinstance(found, LookupFailed) else found
