"""One channel: its messages in order, its threads, and what people do to it without the app."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from relay.sandbox.slack.apps import Bot
from relay.sandbox.slack.arguments import MICROSECONDS
from relay.sandbox.slack.message_content import MessageContent


@dataclass(slots=True, kw_only=True)
class FakeMessage:
    """A message with all its versions. `thread_ts` is the ts of its parent; None for a root message."""

    channel: str
    ts: str
    author: Bot | str
    posted_at: float
    versions: list[MessageContent]
    thread_ts: str | None = None
    broadcast: bool = False
    edited_at: str | None = None
    deleted: bool = False
    customised: bool = False

    @property
    def text(self) -> str:
        """Its text now; with blocks, the text of the notification."""
        return self.versions[-1].text

    @property
    def blocks(self) -> tuple[dict[str, Any], ...]:
        """Its top-level blocks now."""
        return self.versions[-1].blocks

    @property
    def attachments(self) -> tuple[dict[str, Any], ...]:
        """Its attachments now."""
        return self.versions[-1].attachments

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Its metadata now."""
        return self.versions[-1].metadata

    @property
    def user(self) -> str:
        """The user id of the author; an app has one, too."""
        return self.author.user_id if isinstance(self.author, Bot) else self.author


@dataclass(slots=True, kw_only=True)
class EphemeralMessage(FakeMessage):
    """A message that only `recipient` sees; not `visible` where it was sent to a thread without replies.

    https://docs.slack.dev/reference/methods/chat.postEphemeral
    """

    recipient: str
    visible: bool = True


@dataclass(slots=True)
class Timestamps:
    """Makes Slack's `ts` (`1700000000.000100`) from a clock (Unix seconds); each is later than the one before."""

    clock: Callable[[], float]
    _newest: int = 0

    def next(self) -> str:
        """The present, or the next free microsecond."""
        self._newest = max(round(self.clock() * MICROSECONDS), self._newest + 1)
        return f"{self._newest // MICROSECONDS}.{self._newest % MICROSECONDS:06d}"


CopiedMessages = tuple[dict[str, FakeMessage], dict[str, list[FakeMessage]]]
"""All messages of a channel by their ts, and the replies by the ts of their root."""


@dataclass(slots=True, kw_only=True, eq=False)
class FakeChannel:
    """A channel. `members` are user ids. Times come from `clock` (Unix seconds).

    `on_change` is called when something happens here that is no call of the API.
    """

    id: str
    name: str
    clock: Callable[[], float]
    on_change: Callable[[], None] = lambda: None
    bot: str = Bot().user_id
    private: bool = False
    archived: bool = False
    external: bool = False
    members: set[str] = field(default_factory=set)
    previous_names: list[str] = field(default_factory=list)
    ephemeral: list[EphemeralMessage] = field(default_factory=list)
    timestamps: Timestamps = field(init=False)
    _messages: dict[str, FakeMessage] = field(default_factory=dict)
    _replies: dict[str, list[FakeMessage]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timestamps = Timestamps(self.clock)

    @property
    def scope_family(self) -> str:
        """The first word of the scopes for this type of channel (`groups:read`)."""
        return "groups" if self.private else "channels"

    @property
    def messages(self) -> list[FakeMessage]:
        """The root messages that are not deleted, oldest first; `thread` has the replies."""
        return [message for message in self._messages.values() if message.thread_ts is None and not message.deleted]

    @property
    def all_messages(self) -> list[FakeMessage]:
        """Every message ever posted here, with replies and deleted messages, oldest first."""
        return list(self._messages.values())

    def thread(self, ts: str) -> list[FakeMessage]:
        """The replies to this root message that are not deleted, oldest first."""
        return [message for message in self._replies.get(ts, []) if not message.deleted]

    def find(self, ts: str) -> FakeMessage | None:
        """The message with this ts, unless it is deleted."""
        message = self._messages.get(ts)
        return message if message is not None and not message.deleted else None

    def root(self, ts: str) -> FakeMessage | None:
        """The root message with this ts; a deleted one only while it has replies (as a tombstone)."""
        message = self._messages.get(ts)
        if message is None or message.thread_ts is not None or (message.deleted and not self.thread(ts)):
            return None
        return message

    def visible_messages(self) -> Iterator[FakeMessage]:
        """What the channel itself shows, newest first: root messages, tombstones and broadcast replies."""
        for message in reversed(self._messages.values()):
            if self.root(message.ts) or (message.broadcast and not message.deleted):
                yield message

    def add_message(
        self, content: MessageContent, author: Bot | str, thread_ts: str | None = None, **more: Any
    ) -> FakeMessage:
        """Post a message, in the thread of `thread_ts` or of its parent.

        Where that message is gone, the reply becomes a root message, as in Slack
        (https://github.com/slack-go/slack/issues/1571).
        """
        parent = self.find(thread_ts) if thread_ts is not None else None
        if parent is not None and parent.thread_ts is not None:
            parent = self.find(parent.thread_ts)
        message = FakeMessage(
            channel=self.id,
            ts=self.timestamps.next(),
            author=author,
            posted_at=self.clock(),
            versions=[content],
            thread_ts=parent.ts if parent else None,
            **more,
        )
        message.broadcast = message.broadcast and parent is not None
        self._messages[message.ts] = message
        if parent is not None:
            self._replies.setdefault(parent.ts, []).append(message)
        self.on_change()
        return message

    def copy_messages(self) -> CopiedMessages:
        """Everything that was posted here, for `restore_messages` of this channel or of one in another workspace."""
        return deepcopy((self._messages, self._replies))

    def restore_messages(self, copied: CopiedMessages) -> None:
        """Hold what was copied, and nothing else."""
        self._messages, self._replies = deepcopy(copied)

    # --- what people do ---

    def post(self, text: str, *, user: str = "U0SOMEBODY", thread_ts: str | None = None) -> FakeMessage:
        """Post as a person."""
        return self.add_message(MessageContent(text=text), user, thread_ts)

    def delete(self, ts: str) -> None:
        """Delete anybody's message, as an administrator. `KeyError` where there is none."""
        message = self.find(ts)
        if message is None:
            raise KeyError(f"no message {ts} in #{self.name}")
        message.deleted = True
        self.on_change()

    def rename(self, name: str) -> None:
        """Rename the channel; its id stays."""
        self.previous_names.append(self.name)
        self.name = name
        self.on_change()

    def archive(self) -> None:
        """Archive the channel; it can still be read."""
        self.archived = True
        self.on_change()

    def unarchive(self) -> None:
        """Open the channel again."""
        self.archived = False
        self.on_change()

    def invite(self, user: str | None = None) -> None:
        """Add a member; by default the app."""
        self.members.add(user or self.bot)

    def kick(self, user: str | None = None) -> None:
        """Remove a member; by default the app."""
        self.members.discard(user or self.bot)

    def share(self, *, external: bool = True) -> None:
        """Share the channel with another organisation (Slack Connect), or stop."""
        self.external = external
