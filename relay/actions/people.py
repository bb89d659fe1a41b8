"""Who somebody in Slack is: to Slack (name, e-mail, zone, groups) and to BigPanda (the id that can be assigned)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from relay.actions.bigpanda_gateway import Line
from relay.actions.slack_gateway import Phone
from relay.bigpanda.outcomes import BigPandaCall, TaskDone, TaskRejected
from relay.bigpanda.responses import users_of
from relay.runtime.clock import Clock
from relay.slack.outcomes import Method, Read, SlackOutcome
from relay.slack.outcomes import Rejected as SlackRefused
from relay.slack.responses import SlackUser, members_of, user_of

KNOWN_FOR = 3600.0
MEMBERS_FOR = 300.0
"""Seconds for which a person, and the members of a group, are not asked for again."""

MOST = 2000
"""People and groups that are remembered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotTell:
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
        if len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = (self._clock.now(), value)
        return value


class People:
    """Everybody who presses a button or writes into a thread that relay looks after."""

    def __init__(self, phone: Phone, line: Line | None, users: Callable[[], Mapping[str, str]], clock: Clock) -> None:
        """`users` gives `users` of routes.yaml: e-mail address (casefolded) to BigPanda's user id."""
        self._phone = phone
        self._line = line
        self._users = users
        self._persons: _Memory[SlackUser] = _Memory(KNOWN_FOR, clock)
        self._members: _Memory[frozenset[str]] = _Memory(MEMBERS_FOR, clock)
        self._ids: _Memory[str] = _Memory(KNOWN_FOR, clock)

    async def person(self, user: str) -> SlackUser | CannotTell:
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

    async def may_act(self, user: str, groups: Sequence[str]) -> bool | CannotTell:
        """Whether somebody is in one of these user groups; where there is none, everybody is."""
        if not groups:
            return True
        trouble: CannotTell | None = None
        for group in groups:
            members = await self._in(group)
            if isinstance(members, CannotTell):
                trouble = members
            elif user in members:
                return True
        return trouble or False

    async def bigpanda_id(self, email: str) -> str | CannotTell:
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
            return CannotTell(reason=ruling.reason, permanent=isinstance(ruling, TaskRejected))
        found = next((each.id for each in users_of(ruling.body) if each.email.casefold() == folded and each.id), "")
        return self._ids.put(folded, found) if found else ""

    async def _in(self, group: str) -> frozenset[str] | CannotTell:
        known = self._members.get(group)
        if known is not None:
            return known
        answer = await self._phone.call(Method.GROUP_MEMBERS, lambda: self._phone.client.group_members(group))
        if not isinstance(answer, Read):
            return _cannot(answer)
        return self._members.put(group, frozenset(members_of(answer)))


def _cannot(answer: SlackOutcome) -> CannotTell:
    return CannotTell(reason=answer.reason, permanent=isinstance(answer, SlackRefused))
