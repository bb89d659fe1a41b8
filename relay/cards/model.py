"""What relay keeps beside the record: the story of an incident, what happened in it, and the cards that tell of it.

    a card is     because
    wanted        nothing of it is in Slack yet
    trying        its root is being posted: the attempt was committed, the answer has not been
    shown         its root is in Slack, under `ts`
    in_doubt      Slack's answer was lost: it may be there
    refused       Slack will not have it
    lapsed        it waited, and was over (or no longer taken there) before its time came
    left          it is followed no more: a later episode, a card elsewhere or another spelling of its channel took over

A reply in flight does not change the card's state: it is an attempt of its own, as `Attempt` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.json_types import JSON
from relay.model.record import Record
from relay.ratelimit.budgets import DEADLINES, Urgency
from relay.routes.options import Mention, Options

IN_DOUBT = "in_doubt"
"""Begins the reason of a letter about what may be in Slack: `in_doubt: missing_scope`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `seq` counts within the incident, `key` is its identity, `at` is Unix seconds.

    `data` holds plain values for the template: `actor`, `old`, `new`, `text`, `items`, and what the kind has of its
    own.
    """

    seq: int
    key: str
    kind: EntryKind
    at: float
    data: Mapping[str, JSON] = field(default_factory=dict)


class CardState(StrEnum):
    """Where a card's root stands; the table is on top of this module."""

    PENDING = "pending"
    POSTING = "posting"
    POSTED = "posted"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Work that waits: not before `at`, best before `deadline` (Unix seconds); `urgent` comes before all else."""

    at: float
    deadline: float
    urgent: bool = False

    @classmethod
    def on(cls, occasion: Urgency, at: float, *, urgent: bool = False) -> "Due":
        """Due from that moment on, and overdue once relay's patience with such a thing ends."""
        return cls(at=at, deadline=at + DEADLINES[occasion], urgent=urgent)

    def sooner(self, other: "Due | None") -> "Due":
        """Both wishes in one: a bump never pushes a deadline back."""
        if other is None:
            return self
        return Due(
            at=min(self.at, other.at),
            deadline=min(self.deadline, other.deadline),
            urgent=self.urgent or other.urgent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousCard:
    """The card of the episode before, in the same channel: when it was posted (Unix seconds), and where it stands."""

    at: float
    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The one root message of one episode in one channel.

    `channel` is the channel's reference as configured (the canonical one, where it has several spellings);
    `slack_channel` the id under which it was posted. `route` governs it (empty: the fallback got it for want of a
    route). `mention` is whom the routes name that take it there *now*; `taken` whether any does. `worst` is the worst
    state told since the first post or the last reopening, `episode_worst` the worst ever. `shown_ended_at` is the end
    that the card shows, if it shows one. `reopening_reported_at` is when its thread last told a reopening by itself,
    and `reopening_pinged_at` when it last pinged for one. `post` is the root or a reply that is due, `edit` an edit.
    """

    incident: str
    channel: str
    episode: int
    options: Options
    mention: Mention = field(default_factory=Mention)
    id: int = 0
    state: CardState = CardState.PENDING
    reason: str = ""
    route: str = ""
    matched: bool = True
    first_matched_at: float = 0.0
    generation: int = 0
    ts: str | None = None
    slack_channel: str | None = None
    shown_hash: str = ""
    reported_seq: int = 0
    worst: State | None = None
    episode_worst: State | None = None
    shown_ended_at: float | None = None
    pinged: tuple[str, ...] = ()
    reopening_reported_at: float | None = None
    reopening_pinged_at: float | None = None
    previous: PreviousCard | None = None
    notices: tuple[str, ...] = ()
    reposted_at: tuple[float, ...] = ()
    root_seq: int = 0
    edited_at: float | None = None
    edit_in_doubt_until: float | None = None
    pending_since: float | None = None
    tries: int = 0
    post: Due | None = None
    edit: Due | None = None

    @property
    def is_current(self) -> bool:
        """Whether later shares still concern it."""
        return self.state is not CardState.SUPERSEDED

    @property
    def is_pointer(self) -> bool:
        """Whether it was the fallback's, and has shrunk to a pointer."""
        return "pointer" in self.notices


def replace_changed(card: Card, **told: Any) -> Card:
    """The card as `replace` makes it; the very same one where it says all of that already, as most do."""
    return card if all(getattr(card, name) == value for name, value in told.items()) else replace(card, **told)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentState:
    """An incident as it is kept: its record, and the counters that go with it.

    `version` grows whenever the record changes; `ended_at` is when the incident ended (Unix seconds), None while it is
    open; `next_seq` is the number of the next entry. `last_share` is when its newest came, and `stale_at` when it will
    have been silent for too long, where anybody looks for news of it.
    """

    record: Record
    version: int = 0
    episode: int = 1
    ended_at: float | None = None
    next_seq: int = 1
    last_share_at: float = 0.0
    stale_at: float | None = None


class ShareOutcome(StrEnum):
    """What became of a share, by the name that logs, metrics and the record of shares use."""

    FIRST = "first"
    UPDATE = "update"
    NOTHING_NEW = "nothing_new"
    REPEAT = "repeat"
    ENDED_LONG_AGO = "ended_long_ago"
    DROPPED = "dropped"
    NO_ROUTE = "no_route"


class AttemptState(StrEnum):
    """Where an attempt at a root or a reply stands. Open are `trying`, `waiting` and `in_doubt`.

    `waiting` was in doubt once and is tried again as it was, since the first try may still turn up; `dropped` surely
    never left, so that what comes next is decided anew.
    """

    IN_FLIGHT = "in_flight"
    WAITING = "waiting"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    DROPPED = "dropped"
    REJECTED = "rejected"


class TaskKind(StrEnum):
    """What BigPanda is to be told or asked; the table is on top of `errands`."""

    CALLBACK = "callback"
    ASSIGN = "assign"
    COMMENT = "comment"
    SNOOZE = "snooze"
    RESOLVE = "resolve"
    REPLY = "reply"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing that BigPanda is to be told or asked about an incident; times are Unix seconds.

    `payload` holds what the kind needs: `integration` (callback); `user`, `name`, `channel`, `message_ts` of whoever
    asks for it in Slack, and their `text` or `until`; `looks`, how often it was looked for.
    """

    key: str
    kind: TaskKind
    incident: str
    created: float
    payload: Mapping[str, JSON] = field(default_factory=dict)
    state: AttemptState = AttemptState.WAITING
    reason: str = ""
    due_at: float | None = None
    tries: int = 0
    id: int = 0

    @property
    def open(self) -> bool:
        """Whether something is still to be done about it."""
        return self.state in {AttemptState.IN_FLIGHT, AttemptState.WAITING, AttemptState.IN_DOUBT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a share turns into: the new story, what is to be told, the cards that are new or changed, and why.

    `routes` are the names of the routes that took it; `decided` is the same judgement as plain JSON, for keeping;
    `errands` are what BigPanda is to be told because of it.
    """

    incident_state: IncidentState
    outcome: ShareOutcome
    entries: tuple[Entry, ...] = ()
    cards: tuple[Card, ...] = ()
    routes: tuple[str, ...] = ()
    decided: Mapping[str, JSON] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One root or reply on its way to Slack, written down before Slack is called.

    `key` is the marker that Slack keeps with the message: the same for every try. A reply tells the entries up to
    `upto_seq`, and a retry has the same range: an open attempt freezes it. `targets` are those whom it pings and
    `words` what was decided with it at the first try (`broadcast`, `rise`, ...), `from` where a reply told that was
    given up, and where the card is to `resume` once that was redriven. `looks` counts how often this try was looked
    for in vain.
    """

    key: str
    kind: str
    generation: int
    upto_seq: int
    started_at: float
    state: AttemptState = AttemptState.IN_FLIGHT
    tries: int = 1
    targets: tuple[str, ...] = ()
    data: Mapping[str, JSON] = field(default_factory=dict)
    searches: int = 0
    next_search_at: float | None = None

    @property
    def open(self) -> bool:
        """Whether it is not settled yet."""
        return self.state in {AttemptState.IN_FLIGHT, AttemptState.WAITING, AttemptState.IN_DOUBT}

    @property
    def is_repeat(self) -> bool:
        """Whether it was in doubt once and was made again: the lost one may still turn up."""
        return self.tries > 1

    @property
    def is_operator_retry(self) -> bool:
        """Whether it was given up once, and an operator wants it all the same; it is late by now, and pings nobody."""
        return "resume" in self.data

    @property
    def reported_seq_after(self) -> int:
        """Up to which entry its card has told once this reply stands, or is given up: late ones go back for it."""
        return max(self.upto_seq, self._number("resume", 0))

    @property
    def reported_seq_before(self) -> int:
        """Up to which entry its card had told when this reply was given up."""
        return self._number("from", self.upto_seq)

    def _number(self, word: str, otherwise: int) -> int:
        found = self.data.get(word)
        return found if isinstance(found, int) else otherwise


class ChannelState(StrEnum):
    """Whether a channel takes messages: not known yet, yes, stopped for a while, or no."""

    NEW = "new"
    OPEN = "open"
    PAUSED = "paused"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A Slack channel: `ref` (an id or `#name`) as configured, `slack_id` and `facts` as Slack tells them."""

    ref: str
    slack_id: str | None = None
    canonical_ref: str | None = None
    facts: Mapping[str, JSON] = field(default_factory=dict)
    state: ChannelState = ChannelState.NEW
    reason: str = ""
    retry_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContext:
    """All that a decision about one card needs: the incident, its followed cards, what is untold, the open attempt.

    `last_ts` is the newest root that is known in the card's channel: what is posted from now on comes after it.
    """

    incident_state: IncidentState
    card: Card
    cards: tuple[Card, ...]
    entries: tuple[Entry, ...]
    channel: Channel
    attempt: Attempt | None = None
    newest_ts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter: why something of a card could not be shown, what to do about it, and since when (Unix seconds).

    `untold` is for a reply: the card had told the entries up to the first number, and the reply was to tell those up to
    the second. It is None where the card itself could not be shown.
    """

    reason: str
    remedy: str
    since: float
    unreported: tuple[int, int] | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether it may be in Slack all the same."""
        return self.reason.startswith(IN_DOUBT)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUpdate:
    """What a decision about a case changes: cards (one without a number is new), the attempt, the card's letter.

    `closes_letter_at` is the moment at which the open letter of the card, if it has one, is done with; one about a
    reply is only where the change `closes_reply_letters` as well.
    """

    cards: tuple[Card, ...] = ()
    attempt: Attempt | None = None
    dead_letter: DeadLetter | None = None
    closes_letter_at: float | None = None
    closes_reply_letters: bool = False
