"""Who somebody in Slack is: to Slack (name, e-mail, zone, groups) and to BigPanda (the id that can be assigned)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from relay.actions.bigpanda_gateway import BigPandaGateway
from relay.actions.slack_gateway import SlackGateway
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import TaskDone, TaskRejected
from relay.bigpanda.responses import users_of
from relay.runtime.clock import Clock
from relay.slack.methods import Method
from relay.slack.outcomes import Read, SlackOutcome
from relay.slack.outcomes import Rejected as SlackRefused
from relay.slack.responses import SlackUser, members_of, user_of

PERSON_TTL = 3600.0
GROUP_MEMBERS_TTL = 300.0
"""Seconds for which a person, and the members of a group, are not asked for again."""

CACHE_SIZE = 2000
"""People and groups that are remembered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFailed:
    """It could not be found out now. `reason` is a word; `for_good`, where asking again would not help."""

    reason: str
    permanent: bool = False


class _Memory(Generic[T]):
    """What was asked for, for a while."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, tuple[float, T]] = {}

    def get(self, key: str) -> T | None:
        at, value = self._known.get(key, (0.0, None))
        return value if value is not None and self._clock.now() - at < self._seconds else None

    def put(self, key: str, value: T) -> T:
        if len(self._known) >= CACHE_SIZE:
            del self._known[next(iter(self._known))]
        self._known[key] = (self._clock.now(), value)
        return value


class People:
    """Everybody who presses a button or writes into a thread that relay looks after."""

    def __init__(
        self, phone: SlackGateway, line: BigPandaGateway | None, users: Callable[[], Mapping[str, str]], clock: Clock
    ) -> None:
        """`users` gives `users` of routes.yaml: e-mail address (casefolded) to BigPanda's user id."""
        self._phone = phone
        self._line = line
        self._users = users
        self._persons: _Memory[SlackUser] = _Memory(PERSON_TTL, clock)
        self._members: _Memory[frozenset[str]] = _Memory(GROUP_MEMBERS_TTL, clock)
        self._ids: _Memory[str] = _Memory(PERSON_TTL, clock)

    async def person(self, user: str) -> SlackUser | LookupFailed:
        """Somebody in Slack."""
        if known := self._persons.get(user):
            return known
        answer = await self._phone.call(Method.USER, lambda: self._phone.client.user(user))
        found = user_of(answer) if isinstance(answer, Read) else None
        return _cannot(answer) if found is None else self._persons.put(user, found)

    async def names(self, users: Sequence[str]) -> dict[str, str]:
        """The names of people who are mentioned, as far as they can be found out."""
        found = {user: await self.person(user) for user in users}
        return {user: each.name for user, each in found.items() if isinstance(each, SlackUser) and each.name}

    async def may_act(self, user: str, groups: Sequence[str]) -> bool | LookupFailed:
        """Whether somebody is in one of these user groups; where there is none, everybody is."""
        if not groups:
            return True
        trouble: LookupFailed | None = None
        for group in groups:
            members = await self._in(group)
            if isinstance(members, LookupFailed):
                trouble = members
            elif user in members:
                return True
        return trouble or False

    async def bigpanda_id(self, email: str) -> str | LookupFailed:
        """The id by which BigPanda can assign to somebody; empty where nobody has that e-mail address there."""
        folded = email.strip().casefold()
        if written := self._users().get(folded):
            return written
        line = self._line
        if not folded or line is None:
            return ""
        if known := self._ids.get(folded):
            return known
        ruling = await line.call(BigPandaCall.USERS, lambda: line.client.users(email))
        if not isinstance(ruling, TaskDone):
            return LookupFailed(reason=ruling.reason, permanent=isinstance(ruling, TaskRejected))
        found = next((each.id for each in users_of(ruling.body) if each.email.casefold() == folded and each.id), "")
        return self._ids.put(folded, found) if found else ""

    async def _in(self, group: str) -> frozenset[str] | LookupFailed:
        known = self._members.get(group)
        if known is not None:
            return known
        answer = await self._phone.call(Method.GROUP_MEMBERS, lambda: self._phone.client.group_members(group))
        if not isinstance(answer, Read):
            return _cannot(answer)
        return self._members.put(group, frozenset(members_of(answer)))


def _cannot(answer: SlackOutcome) -> LookupFailed:
    return LookupFailed(reason=answer.reason, permanent=isinstance(answer, SlackRefused))
