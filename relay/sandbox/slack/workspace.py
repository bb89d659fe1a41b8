"""A Slack workspace in memory: its channels, its users, the tokens of its apps, and its policies."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.apps import DEFAULT_SCOPES, TEAM, TEAM_NAME, Bot, TokenGrant
from relay.sandbox.slack.channel import FakeChannel, FakeMessage, Timestamps
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.users import FakeUser, FakeUserGroup
from relay.sandbox.slack.views import FakeView, TriggerIds


class ChangeSignal:
    """Counts changes; a watcher that remembers the count misses none."""

    def __init__(self) -> None:
        self.count = 0
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Count one change and wake the watchers."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait_for_change(self, count: int, seconds: float) -> bool:
        """Wait until the count differs from `count`, for at most so many seconds; return whether it does."""
        if self.count == count:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._next.wait()
        return self.count != count


class Workspace:
    """Everything that a call can read or change. Times are Unix seconds of the injected clock.

    `directs` are the conversations between the app and one user, by the user's id.
    `edit_window` is how long a message may be edited (seconds; 0 never, None for ever). `history_lag` is how long a new
    message stays invisible to conversations.history and conversations.replies. `changes` signals every change.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        token: str = "xoxb-sandbox",  # noqa: S107  a fake token opens nothing
        scopes: Iterable[str] = DEFAULT_SCOPES,
    ) -> None:
        self.now = clock
        self.changes = ChangeSignal()
        self.bot = Bot()
        self.token = token
        self.grants: dict[str, TokenGrant] = {}
        self.teams = {TEAM: TEAM_NAME}
        self.channels: dict[str, FakeChannel] = {}
        self.directs: dict[str, FakeChannel] = {}
        self.users: dict[str, FakeUser] = {}
        self.usergroups: dict[str, FakeUserGroup] = {}
        self.views: list[FakeView] = []
        self.triggers = TriggerIds()
        self.timestamps = Timestamps(clock)
        self._number = 0
        self.edit_window: float | None = None
        self.history_lag = 0.0
        self.install(token, scopes=scopes)

    # --- channels and people ---

    def add_channel(self, id: str, name: str, *, member: bool = False, **more: Any) -> FakeChannel:  # noqa: A002  Slack's word
        """Make a channel (`more` are fields of `FakeChannel`); with `member`, the app is in it."""
        channel = FakeChannel(
            id=id,
            name=name,
            clock=self.now,
            on_change=self.changes.notify,
            bot=self.bot.user_id,
            members={self.bot.user_id} if member else set(),
            **more,
        )
        self.channels[id] = channel
        self.changes.notify()
        return channel

    def channel(self, ref: str) -> FakeChannel:
        """The channel with this id or name (with or without #). `KeyError` where there is none."""
        channel = self.find_channel(ref)
        if channel is None:
            raise KeyError(f"no channel {ref}: there are {', '.join(sorted(c.name for c in self.channels.values()))}")
        return channel

    def find_channel(self, ref: str) -> FakeChannel | None:
        """The channel with this id or name, if there is one."""
        if ref in self.channels:
            return self.channels[ref]
        if (direct := next((each for each in self.directs.values() if each.id == ref), None)) is not None:
            return direct
        name = ref.removeprefix("#")
        return next((channel for channel in self.channels.values() if channel.name == name), None)

    def direct(self, user: str) -> FakeChannel:
        """The conversation between the app and a user, which is made when it is first opened."""
        if user not in self.directs:
            members = {self.bot.user_id, user}
            self.directs[user] = FakeChannel(
                id=f"D{len(self.directs) + 1:010d}",
                name=user,
                clock=self.now,
                on_change=self.changes.notify,
                private=True,
                members=members,
            )
        return self.directs[user]

    def channel_by_id(self, caller: TokenGrant, arguments: read.Arguments) -> FakeChannel:
        """The channel of the argument `channel`, which must be an id.

        Raises `channel_not_found` also for private channels that the app is not in.
        """
        channel = self.channels.get(read.required(arguments, "channel"))
        if channel is None or (channel.private and caller.bot.user_id not in channel.members):
            raise MethodError("channel_not_found")
        return channel

    def add_user(self, id: str, name: str, *, channels: Iterable[str] = (), **more: Any) -> FakeUser:  # noqa: A002  the same
        """Make a person (`more` are fields of `FakeUser`) who is a member of these channels (ids or names)."""
        self.users[id] = FakeUser(id=id, name=name, **more)
        for channel in channels:
            self.channel(channel).invite(id)
        self.changes.notify()
        return self.users[id]

    def add_usergroup(self, id: str, handle: str, *, name: str = "", users: Iterable[str] = ()) -> FakeUserGroup:  # noqa: A002  the same
        """Make a user group."""
        self.usergroups[id] = FakeUserGroup(id=id, handle=handle, name=name or handle, users=list(users))
        return self.usergroups[id]

    def user_name(self, user: str) -> str:
        """The name of a user; an unknown id as it is."""
        return self.users[user].name if user in self.users else user

    def author_name(self, message: FakeMessage) -> str:
        """The name that is shown above a message."""
        return message.author.name if isinstance(message.author, Bot) else self.user_name(message.author)

    def next_number(self) -> int:
        """A number that nothing else in the workspace has."""
        self._number += 1
        return self._number

    # --- tokens ---

    def install(
        self, token: str, *, scopes: Iterable[str] = DEFAULT_SCOPES, bot: Bot | None = None, app_level: bool = False
    ) -> TokenGrant:
        """Add a token; with another bot it is another app, whose messages the first cannot edit."""
        self.grants[token] = TokenGrant(bot=bot or self.bot, scopes=frozenset(scopes), app_level=app_level)
        return self.grants[token]

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the workspace's first token; can be set."""
        return self.grants[self.token].scopes

    @scopes.setter
    def scopes(self, scopes: Iterable[str]) -> None:
        self.grants[self.token].scopes = frozenset(scopes)

    def grant_scope(self, scope: str) -> None:
        """Add a scope to the first token."""
        self.scopes = self.scopes | {scope}

    def remove_scope(self, scope: str) -> None:
        """Remove a scope from the first token."""
        self.scopes = self.scopes - {scope}

    def revoke(self, token: str | None = None, *, code: str = "token_revoked") -> None:
        """Revoke a token: every call with it gets this error code."""
        self.grants[token or self.token].revoked = code

    def restore(self, token: str | None = None) -> None:
        """Make a revoked token valid again."""
        self.grants[token or self.token].revoked = None

    def authenticate(self, token: str | None) -> TokenGrant:
        """What a token may do; raises `not_authed`, `invalid_auth` or the code of its revocation."""
        if not token:
            raise MethodError("not_authed")
        if token not in self.grants:
            raise MethodError("invalid_auth")
        if (code := self.grants[token].revoked) is not None:
            raise MethodError(code)
        return self.grants[token]
