"""Looks people up in Slack (name, e-mail, time zone, groups) and in BigPanda (the id to assign incidents to)."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Generic, TypeVar

from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import TaskDone, TaskRejected
from relay.bigpanda.responses import users_of
from relay.model.incident import Person
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read, Rejected, SlackOutcome
from relay.slack.pages import read_channels
from relay.slack.responses import SlackUser, members_by_group, members_of, user_of

PERSON_TTL = 3600.0
GROUP_MEMBERS_TTL = 300.0
MEMBERSHIPS_TTL = 300.0
"""Seconds for which a person, the members of a group, and the channels that a person is in are remembered."""

MANY_GROUPS = 4
"""If the members of so many groups are not known, relay asks for all groups at once: a modal cannot wait for each."""

CACHE_SIZE = 2000
"""The most people, and the most groups, that are remembered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFailed:
    """Slack or BigPanda did not answer the question; `permanent`, where asking again does not help."""

    reason: str
    permanent: bool = False


class _Cache(Generic[T]):
    """Remembers answers for a while."""

    def __init__(self, ttl: float, clock: Clock) -> None:
        self._ttl = ttl
        self._clock = clock
        self._entries: dict[str, tuple[float, T]] = {}

    def get(self, key: str) -> T | None:
        at, value = self._entries.get(key, (-inf, None))
        return value if value is not None and self._clock.monotonic() - at < self._ttl else None

    def put(self, key: str, value: T) -> T:
        if len(self._entries) >= CACHE_SIZE:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (self._clock.monotonic(), value)
        return value


class People:
    """Everyone who presses a button or writes into a thread of a card."""

    def __init__(
        self,
        slack: SlackGateway,
        bigpanda: BigPandaGateway | None,
        rulebook: Callable[[], Rulebook],
        clock: Clock,
    ) -> None:
        """`rulebook` returns the live routes: its `users` map e-mail addresses (casefolded) to BigPanda's user ids."""
        self._slack = slack
        self._bigpanda = bigpanda
        self._rulebook = rulebook
        self._persons: _Cache[SlackUser] = _Cache(PERSON_TTL, clock)
        self._members: _Cache[frozenset[str]] = _Cache(GROUP_MEMBERS_TTL, clock)
        self._memberships: _Cache[frozenset[str]] = _Cache(MEMBERSHIPS_TTL, clock)
        self._slack_ids: _Cache[str] = _Cache(PERSON_TTL, clock)
        self._bigpanda_ids: _Cache[str] = _Cache(PERSON_TTL, clock)

    @property
    def waiting(self) -> set[asyncio.Task[object] | None]:
        """The tasks that wait for a rate limit of Slack or BigPanda: only time moves them on."""
        known = (gateway.throttle.waiting for gateway in (self._slack, self._bigpanda) if gateway is not None)
        return set().union(*known)

    async def person(self, user: str) -> SlackUser | LookupFailed:
        """Look up a person in Slack."""
        if known := self._persons.get(user):
            return known
        answer = await self._slack.user(user)
        found = user_of(answer) if isinstance(answer, Read) else None
        return _failed(answer) if found is None else self._persons.put(user, found)

    async def channels(self, user: str) -> frozenset[str] | LookupFailed:
        """Return the ids of the channels that a person is in, of private ones those that relay is in, too."""
        known = self._memberships.get(user)
        if known is not None:
            return known
        found = await read_channels(partial(self._slack.user_channels, user))
        if not isinstance(found, tuple):
            return _failed(found)
        return self._memberships.put(user, frozenset(channel.id for channel in found))

    async def slack_id(self, person: Person) -> str:
        """Return the Slack id of a person whom BigPanda names; empty where Slack does not know them.

        `users` in routes.yaml maps addresses to BigPanda's ids; it takes precedence, as it does the other way.
        """
        mapped = (email for email, user_id in self._rulebook().users.items() if user_id == person.id)
        email = next(mapped, person.email.strip().casefold())
        if not email:
            return ""
        if known := self._slack_ids.get(email):
            return known
        answer = await self._slack.user_by_email(email)
        found = user_of(answer) if isinstance(answer, Read) else None
        return self._slack_ids.put(email, found.id) if found is not None and not found.deactivated else ""

    async def is_bigpanda_user(self, user: SlackUser, person: Person) -> bool | LookupFailed:
        """Whether a Slack user is this person of BigPanda."""
        if user.email and user.email.casefold() == person.email.casefold():
            return True
        user_id = await self.bigpanda_id(user.email)
        return user_id if isinstance(user_id, LookupFailed) else bool(user_id) and user_id == person.id

    async def names(self, users: Sequence[str]) -> dict[str, str]:
        """Return the names of these people, as far as Slack tells them."""
        found = {user: await self.person(user) for user in users}
        return {user: each.name for user, each in found.items() if isinstance(each, SlackUser) and each.name}

    async def is_in_any(self, user: str, groups: Sequence[str]) -> bool | LookupFailed:
        """Whether a person is in one of these user groups; without any group, everyone is."""
        if not groups:
            return True
        failed: LookupFailed | None = None
        for group in groups:
            members = await self._members_of(group)
            if isinstance(members, LookupFailed):
                failed = members
            elif user in members:
                return True
        return failed or False

    def known_bigpanda_id(self, email: str) -> str:
        """Return the same as `bigpanda_id`, without a call: empty if relay does not know it."""
        folded = email.strip().casefold()
        return self._rulebook().users.get(folded) or self._bigpanda_ids.get(folded) or ""

    async def look_up_groups(self, groups: Collection[str]) -> None:
        """Find out who is in these groups, by one call if there are many; `is_in_any` asks for the rest."""
        unknown = [group for group in groups if self._members.get(group) is None]
        if len(unknown) < MANY_GROUPS:
            return
        answer = await self._slack.user_groups(with_users=True)
        found = members_by_group(answer) if isinstance(answer, Read) else {}
        for group in found.keys() & set(unknown):
            self._members.put(group, frozenset(found[group]))

    async def bigpanda_id(self, email: str) -> str | LookupFailed:
        """Return the id of BigPanda's user with that e-mail address; empty if there is none."""
        folded = email.strip().casefold()
        if configured := self._rulebook().users.get(folded):
            return configured
        if not folded or self._bigpanda is None:
            return ""
        if known := self._bigpanda_ids.get(folded):
            return known
        answer = await self._bigpanda.users(email)
        if not isinstance(answer, TaskDone):
            return LookupFailed(reason=answer.reason, permanent=isinstance(answer, TaskRejected))
        users = users_of(answer.body)
        found = next((user.id for user in users if user.email.casefold() == folded and user.id), "")
        return self._bigpanda_ids.put(folded, found) if found else ""

    async def _members_of(self, group: str) -> frozenset[str] | LookupFailed:
        known = self._members.get(group)
        if known is not None:
            return known
        answer = await self._slack.group_members(group)
        if not isinstance(answer, Read):
            return _failed(answer)
        return self._members.put(group, frozenset(members_of(answer)))


def _failed(answer: SlackOutcome) -> LookupFailed:
    return LookupFailed(reason=answer.reason, permanent=isinstance(answer, Rejected))
