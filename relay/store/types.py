"""What the verbs of the store take and return, beside the dataclasses of `cards.model`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.bigpanda.webhook.share import Share
from relay.cards.holds import Reason
from relay.cards.milestones import Milestone
from relay.cards.model import Attempt, Card, DeadLetter, Entry, IncidentState, ShareOutcome, Task
from relay.cards.mutes import Mute
from relay.cards.notices import STAND_IN
from relay.model.incident import State
from relay.model.json_types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContext:
    """The input of the decision about one share: its incident (None if it is new) and its current cards.

    `canonical_refs` are the channel references that stand for another one: ref -> canonical ref. `mutes` are those that
    are not over.
    """

    incident_state: IncidentState | None
    cards: tuple[Card, ...]
    share: Share
    canonical_refs: Mapping[str, str]
    mutes: tuple[Mute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentContext:
    """What a decision about one incident needs: its state and its current cards."""

    incident_state: IncidentState
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedShare:
    """What happened to a stored share: its id, and the routes that match.

    `outcome` is None if it is new and not `planned`: it is in the inbox, and `error` says why planning failed, if it
    did. `due` says whether a card of its incident has work, now or later; `decision` is what was decided, as stored
    with the share. A repeat has the id and the routes of the share that it repeats, and no decision. `times_taken` is
    what the share reached first in its episode, and after how many seconds; `severity` is the worst state that the
    incident ever had.
    """

    share_id: int
    incident: str
    routes: tuple[str, ...] = ()
    outcome: ShareOutcome | None = None
    planned: bool = True
    error: str = ""
    due: bool = False
    decision: Mapping[str, JSON] = field(default_factory=dict, compare=False)  # for the log; not part of the answer
    times_taken: Mapping[Milestone, float] = field(default_factory=dict, compare=False)  # for the metrics
    severity: State = field(default=State.UNKNOWN, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnplannedShare:
    """A share in the inbox: `starts` counts how often planning began and did not end, `size` is the body's in bytes."""

    id: int
    size: int
    starts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedShare:
    """A share whose planning failed: how often, and the last error.

    `retry_at` (Unix seconds) is None if relay does not retry it by itself.
    """

    id: int
    incident: str
    received: float
    tries: int
    error: str
    retry_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackCall:
    """One call to Slack about a card, and Slack's answer; `at` is Unix seconds."""

    method: str
    at: float
    answer: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTarget:
    """An attempt to search for in Slack, with the id of its card and the channel to search (canonical reference)."""

    card: int
    channel: str
    attempt: Attempt


class OpenDeadLetter(DeadLetter, frozen=True, kw_only=True):
    """An open dead letter with its id and its card; `ended_at` is when its incident ended (Unix seconds), if it did."""

    id: int
    card: Card
    ended_at: float | None = None

    @property
    def of_stand_in(self) -> bool:
        """Whether the card is only a stand-in at the fallback for another card, which has its own dead letter."""
        return STAND_IN in self.card.notices


class RecordedDeadLetter(DeadLetter, frozen=True, kw_only=True):
    """An open or closed dead letter with its id and its card's; `discard_reason` is an operator's, if one closed it."""

    id: int
    card: int
    closed_at: float | None = None
    discard_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedBody:
    """A body that is no valid share: when it came (Unix seconds), why it was rejected, and its bytes.

    `size` is the body's in bytes; in lists, `body` is empty.
    """

    id: int
    received: float
    reason: str
    headers: Mapping[str, str]
    size: int
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBacklog:
    """The due work of one kind (`post` or `edit`) in one channel, and the age of the oldest in seconds."""

    channel: str
    work: str
    cards: int
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits: due work, messages in doubt, open dead letters, bodies in quarantine; and the size of the database.

    `last_share_at` is when the last new share was saved (Unix seconds, 0: never). `due_tasks` counts the due tasks for
    BigPanda, and `oldest_task_age` is the age of the oldest open one in seconds. `open_incidents` counts the open
    incidents by state, `held_cards` the cards that are not posted yet by what holds them; `due_cards` counts those that
    nothing holds but Slack itself, `cards_with_held_pings` those with a ping that was not sent yet. `unplanned_shares`
    are in the inbox; `failed_shares` are those of them whose planning failed, and `oldest_unplanned_age` is in seconds.
    `catch_up_age` is how long ago the oldest held ping could have been sent, `open_storms` counts the storms.
    `storm_change_age` is the age of the oldest change that a storm card does not show. `active_mutes` hold now.
    """

    channels: tuple[ChannelBacklog, ...] = ()
    in_doubt: int = 0
    dead_letters: int = 0
    quarantined_bodies: int = 0
    size_bytes: int = 0
    last_share_at: float = 0.0
    due_tasks: int = 0
    oldest_task_age: float = 0.0
    open_incidents: Mapping[State, int] = field(default_factory=dict)
    held_cards: Mapping[Reason, int] = field(default_factory=dict)
    due_cards: int = 0
    cards_with_held_pings: int = 0
    unplanned_shares: int = 0
    failed_shares: int = 0
    oldest_unplanned_age: float = 0.0
    catch_up_age: float = 0.0
    open_storms: int = 0
    storm_change_age: float = 0.0
    active_mutes: int = 0

    def held(self, *, slack_paused: bool) -> Mapping[Reason, int]:
        """Return the cards that are held, by the reason.

        While relay makes no calls to Slack, that holds all cards that are due, and those that are to be tried again.
        """
        held = dict(self.held_cards)
        if slack_paused and (cards := self.due_cards + held.pop(Reason.RETRY, 0)):
            held[Reason.SLACK_PAUSED] = cards
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSummary:
    """A stored share without its body: when it came, how often, and what was decided; `size` is the body's in bytes.

    A share that is not planned has neither `as_of` nor `outcome`; `error` says why, if planning failed.
    """

    id: int
    hash: str
    as_of: float | None
    received: float
    headers: Mapping[str, str]
    times_seen: int
    outcome: ShareOutcome | None
    routes: tuple[str, ...]
    decision: Mapping[str, JSON]
    size: int
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBody:
    """A stored share as it was sent, for `relay backtest` and `relay render`."""

    id: int
    received: float
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentHistory:
    """Everything that is stored about one incident. Attempts and calls are listed by the id of their card.

    Of very many rows only the newest are there; `omitted` counts the older ones by the name of the field.
    """

    state: IncidentState
    shares: tuple[ShareSummary, ...]
    entries: tuple[Entry, ...]
    cards: tuple[Card, ...]
    attempts: Mapping[int, tuple[Attempt, ...]]
    calls: Mapping[int, tuple[SlackCall, ...]]
    tasks: tuple[Task, ...] = ()
    dead_letters: tuple[RecordedDeadLetter, ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """Which incidents to list: open ones only; with a card in one of these channels (canonical references).

    `route` governs one of its cards, or matched one of its shares. `words` (casefolded) are all in its record.
    """

    open_only: bool = False
    channels: frozenset[str] | None = None
    route: str = ""
    words: tuple[str, ...] = ()


class ListPosition(NamedTuple):
    """The place of an incident in the list, which begins with the newest share (Unix seconds)."""

    last_share_at: float
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIncident:
    """An incident of a list, with its current cards."""

    state: IncidentState
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentBatch:
    """A part of the list of incidents; `after` is where the next part begins, None at the end of the list."""

    incidents: tuple[ListedIncident, ...]
    after: ListPosition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionResult:
    """How much one run of retention deleted: shares and calls; `incidents` counts those reduced to a stub.

    `failed` counts the shares that were never planned, and took too much space.
    """

    shares: int = 0
    incidents: int = 0
    calls: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConfiguration:
    """Routes and templates that worked, as they were written: file name -> text."""

    hash: str
    saved_at: float
    routes: str
    templates: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """An open notice about relay itself: a digest of what it says, its message, and when it was opened (Unix seconds).

    `channel` and `ts` are empty while it is not posted, or after a lost answer.
    """

    digest: str
    channel: str = ""
    ts: str = ""
    opened_at: float = 0.0


class Lease(NamedTuple):
    """The right to deliver, as its holder knows it. `epoch` grows by one with every new holder."""

    name: str
    holder: str
    epoch: int
