"""A Slack workspace in memory: its channels, its people, the tokens of its apps, and its policies."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from relay.sandbox.slack.change_signal import ChangeSignal
from relay.sandbox.slack.channel import FakeChannel
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.triggers import TriggerIds
from relay.sandbox.slack.users import DEFAULT_SCOPES, Bot, FakeUser, FakeUserGroup, TokenGrant
from relay.sandbox.slack.views import FakeView

_MICRO = 1_000_000


class Workspace:
    """Everything that a call can read or change. Times are Unix seconds, as the injected clock tells them.

    `edit_window` is how long a message may be edited (seconds; 0 never, None for ever); `history_lag` is how long a new
    message stays invisible to conversations.history and conversations.replies. `news` rings when anything has changed.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        token: str = "xoxb-sandbox",  # noqa: S107  a stand-in's token opens nothing
        scopes: Iterable[str] = DEFAULT_SCOPES,
    ) -> None:
        """Make an empty workspace in which one app is installed."""
        self.now = clock
        self.changes = ChangeSignal()
        self.bot = Bot()
        self.token = token
        self.grants: dict[str, TokenGrant] = {}
        self.channels: dict[str, FakeChannel] = {}
        self.users: dict[str, FakeUser] = {}
        self.usergroups: dict[str, FakeUserGroup] = {}
        self.views: list[FakeView] = []
        self.triggers = TriggerIds()
        self._count = 0
        self._stamped = 0
        self.edit_window: float | None = None
        self.history_lag = 0.0
        self.install(token, scopes=scopes)

    # --- what there is ---

    def add_channel(  # noqa: PLR0913  a channel is described in one line of a test
        self,
        id: str,  # noqa: A002  Slack's word for it
        name: str,
        *,
        private: bool = False,
        member: bool = False,
        archived: bool = False,
        external: bool = False,
    ) -> FakeChannel:
        """Make a channel; `member` says whether the app is in it."""
        channel = FakeChannel(
            id=id,
            name=name,
            clock=self.now,
            on_change=self.changes.notify,
            bot=self.bot.user_id,
            private=private,
            archived=archived,
            external=external,
            members={self.bot.user_id} if member else set(),
        )
        self.channels[id] = channel
        self.changes.notify()
        return channel

    def channel(self, ref: str) -> FakeChannel:
        """The channel with this id or name (with or without #). `KeyError` where there is none."""
        found = self.find_channel(ref)
        if found is None:
            raise KeyError(f"no channel {ref}: there are {', '.join(sorted(c.name for c in self.channels.values()))}")
        return found

    def find_channel(self, ref: str) -> FakeChannel | None:
        """The channel with this id or name, if there is one."""
        if ref in self.channels:
            return self.channels[ref]
        name = ref.removeprefix("#")
        return next((channel for channel in self.channels.values() if channel.name == name), None)

    def add_user(self, id: str, name: str, *, channels: Iterable[str] = (), **more: Any) -> FakeUser:  # noqa: A002  the same
        """Make a person (`more` as `User` has it), who is a member of these channels (ids or names)."""
        self.users[id] = FakeUser(id=id, name=name, **more)
        for channel in channels:
            self.channel(channel).invite(id)
        self.changes.notify()
        return self.users[id]

    def add_usergroup(self, id: str, handle: str, *, name: str = "", users: Iterable[str] = ()) -> FakeUserGroup:  # noqa: A002  the same
        """Make a group that can be mentioned."""
        self.usergroups[id] = FakeUserGroup(id=id, handle=handle, name=name or handle, users=list(users))
        return self.usergroups[id]

    def next_number(self) -> int:
        """A number that nothing else in the workspace has."""
        self._count += 1
        return self._count

    def next_ts(self) -> str:
        """The present as Slack writes it (`1700000000.000100`), later than any that was given before."""
        self._stamped = max(round(self.now() * _MICRO), self._stamped + 1)
        return f"{self._stamped // _MICRO}.{self._stamped % _MICRO:06d}"

    # --- tokens ---

    def install(
        self, token: str, *, scopes: Iterable[str] = DEFAULT_SCOPES, bot: Bot | None = None, app_level: bool = False
    ) -> TokenGrant:
        """Let another token in; with another bot it is another app, whose messages the first cannot edit."""
        self.grants[token] = TokenGrant(bot=bot or self.bot, scopes=frozenset(scopes), app_level=app_level)
        return self.grants[token]

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the workspace's first token; may be set."""
        return self.grants[self.token].scopes

    @scopes.setter
    def scopes(self, scopes: Iterable[str]) -> None:
        self.grants[self.token].scopes = frozenset(scopes)

    def grant_scope(self, scope: str) -> None:
        """Give the first token a scope more."""
        self.scopes = self.scopes | {scope}

    def remove_scope(self, scope: str) -> None:
        """Take a scope away from the first token."""
        self.scopes = self.scopes - {scope}

    def revoke(self, token: str | None = None, *, code: str = "token_revoked") -> None:
        """Make a token worthless: it is answered with the code from now on."""
        self.grants[token or self.token].revoked = code

    def restore(self, token: str | None = None) -> None:
        """Let a revoked token in again."""
        self.grants[token or self.token].revoked = None

    def authenticate(self, token: str | None) -> TokenGrant:
        """What a token may do; raises `not_authed`, `invalid_auth` or the code with which it was revoked."""
        if not token:
            raise MethodError("not_authed")
        if token not in self.grants:
            raise MethodError("invalid_auth")
        if (code := self.grants[token].revoked) is not None:
            raise MethodError(code)
        return self.grants[token]
