"""What the store takes and hands out beside the nouns of `planning`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.cards.model import Attempt, Card, DeadLetter, Entry, IncidentState, ShareOutcome, Task
from relay.model.json_types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedShare:
    """What became of a share that is kept: its number, and the routes that took it.

    `due` says whether a card of its incident has work, now or later; `decided` what was decided, as it is kept with the
    share. A repeat carries the number and the routes of the share that it repeats, and decides nothing.
    """

    share_id: int
    incident: str
    routes: tuple[str, ...]
    outcome: ShareOutcome
    due: bool = False
    decision: Mapping[str, JSON] = field(default_factory=dict, compare=False)  # for the log, no part of the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackCall:
    """One call of Slack's API about a card, and what Slack said; `at` is Unix seconds."""

    method: str
    at: float
    answer: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTarget:
    """An attempt in doubt, with the number of its card and the channel (its canonical reference) to look into."""

    card: int
    channel: str
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDeadLetter(DeadLetter):
    """An open dead letter, by its number, with the card that it is about."""

    id: int
    card: Card


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedBody:
    """A body that was no share: when it came (Unix seconds), why it was refused, and its bytes as they came.

    `size` is what it takes as it is kept; where many are listed, `body` is left empty.
    """

    id: int
    received: float
    reason: str
    headers: Mapping[str, str]
    size: int
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBacklog:
    """The work of one kind (`post` or `edit`) that is due in one channel, and how long the oldest waits, in seconds."""

    channel: str
    track: str
    cards: int
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much waits: work that is due, messages in doubt, open letters, refused bodies; and how large the database is.

    `last_share` is when a share that was none of the known ones was kept last (Unix seconds, 0: never). `errands` are
    those to BigPanda that are due, and `errand_age` is how many seconds ago the oldest that is not done was asked for.
    """

    channels: tuple[ChannelBacklog, ...] = ()
    in_doubt: int = 0
    dead_letters: int = 0
    quarantined_bodies: int = 0
    size_bytes: int = 0
    last_share_at: float = 0.0
    due_tasks: int = 0
    oldest_task_age: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSummary:
    """A kept share without its body: when it came, how often, and what was decided; `size` is the body's, in bytes."""

    id: int
    hash: str
    as_of: float
    received: float
    headers: Mapping[str, str]
    times_seen: int
    outcome: ShareOutcome
    routes: tuple[str, ...]
    decision: Mapping[str, JSON]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBody:
    """A kept share as it was sent: what `relay backtest` and `relay render` read again."""

    id: int
    received: float
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentHistory:
    """All that is kept of one incident. Attempts and calls stand under the number of their card, oldest first."""

    state: IncidentState
    shares: tuple[ShareSummary, ...]
    entries: tuple[Entry, ...]
    cards: tuple[Card, ...]
    attempts: Mapping[int, tuple[Attempt, ...]]
    calls: Mapping[int, tuple[SlackCall, ...]]
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionResult:
    """How much one run of retention let go: shares, incidents (slimmed to a stub), and calls."""

    shares: int = 0
    incidents: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConfiguration:
    """Routes and templates that worked, as they were written: file name -> text."""

    hash: str
    saved_at: float
    routes: str
    templates: Mapping[str, str]


class Lease(NamedTuple):
    """The right to deliver, as its holder knows it. `epoch` grows by one with every change of hands."""

    name: str
    holder: str
    epoch: int
