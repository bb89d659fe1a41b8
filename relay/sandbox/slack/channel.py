"""One channel: its messages in order, its threads, and what people do to it behind an app's back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.users import Bot

_MICRO = 1_000_000


@dataclass(slots=True, kw_only=True)
class FakeMessage:
    """A message, from its first version to its deletion. `thread_ts` is that of its parent; a root has none."""

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
    reactions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def content(self) -> MessageContent:
        """What it says now."""
        return self.versions[-1]

    @property
    def text(self) -> str:
        """Its text now: with blocks, what the notification says."""
        return self.content.text

    @property
    def blocks(self) -> tuple[dict[str, Any], ...]:
        """Its top-level blocks now."""
        return self.content.blocks

    @property
    def attachments(self) -> tuple[dict[str, Any], ...]:
        """Its attachments now."""
        return self.content.attachments

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Its metadata now."""
        return self.content.metadata

    @property
    def user(self) -> str:
        """The id of the user who wrote it; an app has one, too."""
        return self.author.user_id if isinstance(self.author, Bot) else self.author

    def with_changes(self, **changed: Any) -> MessageContent:
        """What it would say with these parts changed."""
        return replace(self.content, **changed)


@dataclass(slots=True, kw_only=True)
class EphemeralMessage(FakeMessage):
    """A note that only `to` sees; `seen` is False where it was written into a thread that nobody had begun.

    https://docs.slack.dev/reference/methods/chat.postEphemeral
    """

    recipient: str
    visible: bool = True


@dataclass(slots=True, kw_only=True, eq=False)
class FakeChannel:
    """A channel. `members` are user ids; `previous` are its earlier names. Times come from `clock` (Unix seconds).

    `changed` is called when something happens here that no call of the API did.
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
    _all: dict[str, FakeMessage] = field(default_factory=dict)
    _replies: dict[str, list[FakeMessage]] = field(default_factory=dict)
    _newest: int = 0

    # --- what there is ---

    @property
    def messages(self) -> list[FakeMessage]:
        """The root messages that stand here, oldest first; replies are in `thread`."""
        return [message for message in self._all.values() if message.thread_ts is None and not message.deleted]

    @property
    def all_messages(self) -> list[FakeMessage]:
        """Every message that ever was here, replies and deleted ones too, oldest first."""
        return list(self._all.values())

    def thread(self, ts: str) -> list[FakeMessage]:
        """The replies that stand under this root, oldest first."""
        return [message for message in self._replies.get(ts, []) if not message.deleted]

    def find(self, ts: str) -> FakeMessage | None:
        """The message with this ts, unless it is deleted."""
        message = self._all.get(ts)
        return message if message is not None and not message.deleted else None

    def root(self, ts: str) -> FakeMessage | None:
        """The root with this ts; a deleted one only while replies keep its tombstone there."""
        message = self._all.get(ts)
        if message is None or message.thread_ts is not None or (message.deleted and not self.thread(ts)):
            return None
        return message

    def visible_messages(self) -> Iterator[FakeMessage]:
        """What stands in the channel itself, newest first: roots, tombstones and replies that were broadcast."""
        for message in reversed(self._all.values()):
            if self.root(message.ts) or (message.broadcast and not message.deleted):
                yield message

    # --- what happens ---

    def add_message(
        self, content: MessageContent, author: Bot | str, thread_ts: str | None = None, **more: Any
    ) -> FakeMessage:
        """Post: in the thread of `thread_ts` or of its parent; into the channel where there is no such message.

        That is what Slack does with a reply whose parent is gone: it succeeds, as a root
        (https://github.com/slack-go/slack/issues/1571).
        """
        parent = self._parent(thread_ts)
        message = FakeMessage(
            channel=self.id,
            ts=self.next_ts(),
            author=author,
            posted_at=self.clock(),
            versions=[content],
            thread_ts=parent.ts if parent else None,
            **more,
        )
        message.broadcast = message.broadcast and parent is not None
        self._all[message.ts] = message
        if parent is not None:
            self._replies.setdefault(parent.ts, []).append(message)
        self.on_change()
        return message

    def _parent(self, ts: str | None) -> FakeMessage | None:
        message = self.find(ts) if ts is not None else None
        return self.find(message.thread_ts) if message and message.thread_ts else message

    def next_ts(self) -> str:
        """A ts that is later than any other in this channel, whatever the clock says."""
        self._newest = max(round(self.clock() * _MICRO), self._newest + 1)
        return f"{self._newest // _MICRO}.{self._newest % _MICRO:06d}"

    # --- what people do ---

    def post(self, text: str, *, user: str = "U0SOMEBODY", thread_ts: str | None = None) -> FakeMessage:
        """A person writes something."""
        return self.add_message(MessageContent(text=text), user, thread_ts)

    def delete(self, ts: str) -> None:
        """An administrator deletes a message, whosever it is. `KeyError` where there is none."""
        message = self.find(ts)
        if message is None:
            raise KeyError(f"no message {ts} in #{self.name}")
        message.deleted = True
        self.on_change()

    def rename(self, name: str) -> None:
        """Give the channel another name; its id stays."""
        self.previous_names.append(self.name)
        self.name = name
        self.on_change()

    def archive(self) -> None:
        """Close the channel; what was said can still be read."""
        self.archived = True
        self.on_change()

    def unarchive(self) -> None:
        """Open the channel again."""
        self.archived = False
        self.on_change()

    def invite(self, user: str | None = None) -> None:
        """Make someone a member; by default the app."""
        self.members.add(user or self.bot)

    def kick(self, user: str | None = None) -> None:
        """Throw someone out; by default the app."""
        self.members.discard(user or self.bot)

    def share(self, *, external: bool = True) -> None:
        """Share the channel with another organisation (Slack Connect), or cease to."""
        self.external = external
