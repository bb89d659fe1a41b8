"""The inputs and results of decisions about cards: incidents, entries, cards, attempts, channels, tasks.

`CardState` and `AttemptState` hold the state tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec import field

from relay.cards.bulletins import BulletinChange, BulletinState
from relay.cards.entries import Entry as Entry  # noqa: PLC0414  it belongs to these values, and has its module for `bulletins`
from relay.cards.holds import HeldPings, Hold, Reason
from relay.cards.milestones import NO_MILESTONES, Milestone, Milestones
from relay.cards.mutes import Mute
from relay.cards.notices import POINTER, Notices
from relay.cards.storms import ChannelStorm
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.record import Record
from relay.model.struct import Struct, replace
from relay.ratelimit.budgets import DEADLINES, Urgency
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.routes.rulebook import Fallback

ADOPTING = Reason.ADOPTING
"""Why the cards of a channel wait whose history relay reads: the database is new, and relay's cards may be there."""

IN_DOUBT = "in_doubt"
"""Begins the reason of a dead letter about something that may be in Slack: `in_doubt: missing_scope`."""


class CardState(StrEnum):
    """The state of a card's root message. A reply in flight does not change it: replies have attempts of their own.

    state        meaning                                             next
    pending      nothing of it is in Slack; it waits to be posted    posting, posted (1), in_doubt (2), rejected,
                                                                     cancelled, superseded
    posting      the attempt is committed; Slack has not answered    posted, pending, in_doubt, rejected
    posted       its root is in Slack, under `ts`                    pending (3), rejected, superseded
    in_doubt     Slack's answer was lost; it may be there            posted, pending, rejected, cancelled
    rejected     Slack does not accept it; a dead letter says why    pending, posted, in_doubt, cancelled, superseded
    cancelled    before its time came, the incident ended, or no     pending, superseded,
                 route matched any more, or it was not needed        posted (1)
    superseded   it is not followed any more: a later episode or     pending (4), posted (4)
                 another spelling of its channel took over

    (1) the card of a lost database was found in Slack. (2) after a restore from a backup, relay searches Slack before
    it posts. (3) somebody deleted it; it is reposted. (4) its channel and episode have a card again.
    """

    PENDING = "pending"
    POSTING = "posting"
    POSTED = "posted"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


NO_DEADLINE = 1e12
"""The deadline of work that may wait for ever; a number, since both databases sort it."""


class Due(Struct, frozen=True, kw_only=True):
    """Waiting work: not before `at`, best before `deadline` (Unix seconds); `urgent` work comes first."""

    at: float
    deadline: float
    urgent: bool = False

    @property
    def is_reply_edit(self) -> bool:
        """Whether it is an edit of a reply, which is less important: it comes after all other edits."""
        return self.deadline >= NO_DEADLINE

    @classmethod
    def on(cls, urgency: Urgency, at: float, *, urgent: bool = False) -> "Due":
        """Due at that moment, with the deadline that such work has."""
        return cls(at=at, deadline=at + DEADLINES[urgency], urgent=urgent)

    @classmethod
    def root(cls, state: State, at: float) -> "Due":
        """The root of an incident in that state: a critical one is urgent."""
        critical = state is State.CRITICAL
        return cls.on(Urgency.CRITICAL_ROOT if critical else Urgency.ROOT, at, urgent=critical)

    def sooner(self, other: "Due | None") -> "Due":
        """The earlier of both in each respect: nothing pushes a deadline back."""
        if other is None:
            return self
        at, deadline = min(self.at, other.at), min(self.deadline, other.deadline)
        return Due(at=at, deadline=deadline, urgent=self.urgent or other.urgent)


class Broadcast(Struct, frozen=True, kw_only=True):
    """A broadcast reply that pings people: a reopening or a rise; `ts` names it.

    `kind`, `at` and `data` are those of the entry that it reports. `over_at` (Unix seconds) and `became` say when the
    state that it reports ended, and with which state; None until then.
    """

    ts: str
    kind: EntryKind
    at: float
    data: Mapping[str, JSON]
    over_at: float | None = None
    became: State | None = None


class PreviousCard(Struct, frozen=True, kw_only=True):
    """The card of the previous episode, in the same channel: when it was posted (Unix seconds), and where."""

    at: float
    channel: str
    ts: str


class Card(Struct, frozen=True, kw_only=True):
    """The one root message of one episode in one channel; moments are Unix seconds.

    What: the `incident` with that id, or the `bulletin` with that number; the other is empty.
    Where: `channel` is the channel's canonical reference, `slack_channel` the id under which it was posted.
    Routes: `route` governs it (empty: the fallback has it because no route matched; of a bulletin it is what the
    bulletin is, in brackets), `mention` is whom the matching routes ping now, `matched` says whether any route matches
    now, `first_matched_at` since when `wait` runs.
    Root: `generation` counts reposts, `ts` names the message, `shown_hash` is what it shows, `shown_ended_at` the end
    that it shows; `pinged` and `root_seq` are whom the first post pinged and the entries that it already shows.
    Thread: it has reported the entries up to `reported_seq`. `worst` is the worst state since the first post or the
    last reopening, `episode_worst` the worst ever. `reopening_reported_at` and `reopening_pinged_at` are when it last
    reported a reopening by itself, and last pinged for one.
    `broadcasts` are the replies that are edited once their state is over.
    Held: `held` is what held its first post last and until when, if the channel's held list names it. `held_pings` are
    pings that were not sent yet; at `catch_up_due` one of them may be (`UNKNOWN_END`: nobody knows; None: none waits).
    Storms: `first_posted_at` is when its first post began, if it counts as a new card of its channel, and `storm_group`
    the group of its incident then.
    Reminders: nobody has had the incident since `unowned_since` (None: since it began). The series counts from
    `reminder_base`, and has sent `reminders_sent` so far; the next one is due at `reminder_due`. BigPanda was asked for
    it at `reminder_asked_at`. `escalated_at` is when another channel got a card in this episode.
    `thread_unread`: the thread may hold replies that this database does not know, since it is an older copy.
    Work: `post` is a root or reply that is due, `edit` an edit; `pending_since` is when the oldest began to wait,
    `tries` counts failed calls, `edit_in_doubt_until` is until when a lost edit may still land.
    """

    incident: str = ""
    bulletin: int | None = None
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
    notices: Notices = ()
    reposted_at: tuple[float, ...] = ()
    root_seq: int = 0
    edited_at: float | None = None
    edit_in_doubt_until: float | None = None
    pending_since: float | None = None
    tries: int = 0
    thread_unread: bool = False
    broadcasts: tuple[Broadcast, ...] = ()
    held: Hold | None = None
    held_pings: HeldPings = ()
    catch_up_due: float | None = None
    first_posted_at: float | None = None
    storm_group: str | None = None
    unowned_since: float | None = None
    reminder_base: float | None = None
    reminders_sent: int = 0
    reminder_due: float | None = None
    reminder_asked_at: float | None = None
    escalated_at: float | None = None
    post: Due | None = None
    edit: Due | None = None

    @property
    def subject(self) -> str:
        """What it is about, in words: `incident 5c1e`, or `held list`."""
        return f"incident {self.incident}" if self.bulletin is None else self.route.strip("()")

    @property
    def is_current(self) -> bool:
        """Whether later shares still concern it."""
        return self.state is not CardState.SUPERSEDED

    @property
    def is_pointer(self) -> bool:
        """Whether it was the fallback's, and has shrunk to a pointer."""
        return POINTER in self.notices


def replace_changed(card: Card, **values: Any) -> Card:
    """The card with these values; the same object if it has all of them, as most cards do."""
    return card if all(getattr(card, name) == value for name, value in values.items()) else replace(card, **values)


class Topic(Protocol):
    """What a card shows, and its thread reports: the state of an incident, or of a bulletin."""

    @property
    def identity(self) -> tuple[str, ...]:
        """What it is, for the key of a message: the same in every database."""

    @property
    def version(self) -> int:
        """It grows with each change of what it says."""

    @property
    def can_be_shown(self) -> bool:
        """Whether anything of it can be rendered."""

    @property
    def state(self) -> State:
        """The state by which it is urgent, and by which the card's mention pings."""

    @property
    def is_open(self) -> bool:
        """Whether it is not over: it may ping, and is posted again if somebody deletes it."""

    @property
    def ended(self) -> float | None:
        """When it ended, as the message says (Unix seconds); None while it is open."""

    @property
    def ended_at(self) -> float | None:
        """When relay knew that it had ended (Unix seconds); None while it is open."""

    @property
    def in_root(self) -> int:
        """Up to which entry the root shows what there is to say."""


class IncidentState(Struct, frozen=True, kw_only=True):
    """An incident as it is stored: its record, and the counters that go with it.

    `version` grows whenever the record changes. It is 0 while no share has come: then relay knows the incident by cards
    that it found in Slack, and the record holds what they say. `ended_at` is when the incident ended (Unix seconds),
    None while it is open. `next_seq` is the number of the next entry. `last_share_at` is when its newest share came;
    `stale_at` is when it will have been silent for too long, None if relay does not watch for that.
    `state` is what the record says.
    """

    record: Record
    state: State = State.UNKNOWN
    version: int = 0
    episode: int = 1
    ended_at: float | None = None
    next_seq: int = 1
    last_share_at: float = 0.0
    stale_at: float | None = None
    milestones: Milestones = NO_MILESTONES

    @property
    def was_shared(self) -> bool:
        """Whether a share has come. Else nothing of the incident can be rendered."""
        return self.version > 0

    can_be_shown = was_shared

    @property
    def incident(self) -> Incident:
        """What the record says, without the labels for its tags, on which no decision about a card depends."""
        return read_incident(self.record)

    @property
    def identity(self) -> tuple[str, ...]:
        """The id of the incident."""
        return (self.record.incident,)

    @property
    def is_open(self) -> bool:
        """Whether the incident is not resolved."""
        return self.incident.active

    @property
    def ended(self) -> float | None:
        """When it ended, by BigPanda's clock."""
        return self.incident.ended

    @property
    def in_root(self) -> int:
        """The newest entry: the root shows the state that it led to."""
        return self.next_seq - 1

    @property
    def as_of(self) -> float:
        """How new it is, by BigPanda's clock (Unix seconds); 0 where nothing is known."""
        return max((block.as_of for block in self.record.blocks.values()), default=0.0)


TOPICS: Final[tuple[type[Topic], ...]] = (IncidentState, BulletinState)
"""What a card may show. A decision that needs what only one of them has asks which it is."""


class ShareOutcome(StrEnum):
    """The outcome of a share; logs, metrics and the stored shares use these names."""

    FIRST = "first"
    UPDATE = "update"
    NOTHING_NEW = "nothing_new"
    REPEAT = "repeat"
    ENDED_LONG_AGO = "ended_long_ago"
    DROPPED = "dropped"
    NO_ROUTE = "no_route"


class AttemptState(StrEnum):
    """The state of an attempt to post a root or a reply, or of a task for BigPanda.

    state       meaning for a post                            meaning for a task             next
    in_flight   committed; Slack has not answered             BigPanda has not answered      waiting, in_doubt,
                                                                                             done, dropped, rejected
    waiting     it was in doubt and not found; the same is    it waits for its (next) try    in_flight, in_doubt
                posted again, since the first may turn up                                    (restored), done, dropped,
                                                                                             rejected
    in_doubt    the answer was lost; relay searches for it    a comment whose answer was     done, waiting, dropped,
                                                              lost; relay searches for it    rejected
    done        it is in Slack                                BigPanda has done it           -
    dropped     it certainly was not sent, or its thread is   it came too late, or the       -
                lost: what comes next is decided again        incident was over
    rejected    Slack does not accept it                      BigPanda does not accept it    in_doubt (retried)
    """

    IN_FLIGHT = "in_flight"
    WAITING = "waiting"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    DROPPED = "dropped"
    REJECTED = "rejected"

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self in {AttemptState.IN_FLIGHT, AttemptState.WAITING, AttemptState.IN_DOUBT}


class TaskKind(StrEnum):
    """What BigPanda is to do or to answer; the table is on top of `tasks`."""

    CALLBACK = "callback"
    ASSIGN = "assign"
    COMMENT = "comment"
    SNOOZE = "snooze"
    UNASSIGN = "unassign"
    END_SNOOZE = "end_snooze"
    RESOLVE = "resolve"
    REPLY = "reply"
    CHECK = "check"


class Task(Struct, frozen=True, kw_only=True):
    """One thing that BigPanda is to do or to answer about an incident; times are Unix seconds.

    `payload` holds what the kind needs: `integration` (callback); `user`, `name`, `channel`, `message_ts` of the person
    in Slack, their `trigger_id`, and their `text`, `until`, `moment` or `owner` (from whom they take it); `searches`
    counts how often a comment was searched for, `asked` how often a confirmation was checked. Tasks that one press
    started have the same `batch`.
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
    batch: str | None = None
    id: int = 0


class Plan(Struct, frozen=True, kw_only=True):
    """What a share turns into: the new incident state, its entries, the cards that are new or changed, and why.

    `routes` names the routes that matched. `decision` is the same as plain JSON, to be stored. `tasks` are what
    BigPanda is to do because of it. `times_taken` is what the share reached first in its episode, and after how many
    seconds. `bulletins` are what it changes in them.
    """

    incident_state: IncidentState
    outcome: ShareOutcome
    entries: tuple[Entry, ...] = ()
    cards: tuple[Card, ...] = ()
    routes: tuple[str, ...] = ()
    decision: Mapping[str, JSON] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    times_taken: Mapping[Milestone, float] = field(default_factory=dict)
    bulletins: tuple[BulletinChange, ...] = ()


class Attempt(Struct, frozen=True, kw_only=True):
    """One root or reply (`kind`) on its way to Slack, committed before Slack is called.

    `key` is the marker that Slack keeps with the message, the same for every try. A reply reports the entries up to
    `upto_seq`; a retry has the same range, and those who are to be pinged (`targets`). `data` is what the first try
    decided (`broadcast`, `worst`, ...; `digest` stands for what the reply reports), `from` where a dropped reply began,
    `resume` where the card continues after an operator's retry. `searches` counts the searches that found nothing.
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
    def is_repeat(self) -> bool:
        """Whether it was in doubt and was posted again: the lost one may still turn up."""
        return self.tries > 1

    @property
    def reads_thread(self) -> bool:
        """Whether it only reads the thread of its card, and posts nothing."""
        return bool(self.data.get("reads_thread"))

    @property
    def is_operator_retry(self) -> bool:
        """Whether it was given up and an operator retries it. It is late, so it pings nobody."""
        return "resume" in self.data

    @property
    def reported_seq_after(self) -> int:
        """Up to which entry its card has reported once this reply is posted or given up."""
        return max(self.upto_seq, int(self.data.get("resume", 0)))


class ChannelState(StrEnum):
    """Whether a channel accepts messages.

    state      meaning
    new        relay has not looked it up yet
    open       it accepts messages
    rejected   it accepts none until somebody acts; relay looks again at `retry_at`
    """

    NEW = "new"
    OPEN = "open"
    REJECTED = "rejected"


class Channel(Struct, frozen=True, kw_only=True):
    """A Slack channel: `ref` (an id or `#name`) as configured, `slack_id` and `facts` as Slack reports them.

    `canonical_ref` is another reference that names the same channel and is used instead. `unread_since` (Unix seconds):
    relay may have posted there since then with a database that is lost; nothing is sent before that was read.
    """

    ref: str
    slack_id: str | None = None
    canonical_ref: str | None = None
    facts: Mapping[str, JSON] = field(default_factory=dict)
    state: ChannelState = ChannelState.NEW
    reason: str = ""
    retry_at: float | None = None
    unread_since: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether relay sends messages there now."""
        return self.state is ChannelState.OPEN and self.unread_since is None

    @property
    def waits_for(self) -> str:
        """Why relay sends nothing there now: a reason in a word; empty if it does."""
        if self.is_open:
            return ""
        return ADOPTING if self.state is ChannelState.OPEN else self.reason or str(self.state)

    @property
    def slack_name(self) -> str:
        """Its name in Slack (`#db`), as relay last saw it; empty if relay has not looked it up."""
        name = self.facts.get("name")
        return f"#{name}" if name else ""

    @property
    def references(self) -> frozenset[str]:
        """What routes and people may write for it: `ref`, its id and its name in Slack."""
        return frozenset(filter(None, (self.ref, self.slack_id, self.slack_name)))


class CardContext(Struct, frozen=True, kw_only=True):
    """All that a decision about one card needs.

    `topic` is what it shows, `cards` are the topic's current cards, `entries` those that this card has not reported,
    `attempt` is its open attempt. `newest_ts` is the newest known root in the card's channel: what is posted from now
    on comes after it. Of very many entries it holds the first; `more_entries` says that others follow them. `mutes` are
    those that are not over, where a post is decided. `storm` is what matters about storms in the channel, for a card
    that is not posted yet.
    """

    topic: IncidentState | BulletinState
    card: Card
    cards: tuple[Card, ...]
    entries: tuple[Entry, ...]
    channel: Channel
    attempt: Attempt | None = None
    newest_ts: str | None = None
    more_entries: bool = False
    mutes: tuple[Mute, ...] = ()
    storm: ChannelStorm | None = None

    @property
    def incident_state(self) -> IncidentState:
        """The topic of an incident's card.

        Raises TypeError: it is the card of a bulletin.
        """
        if not isinstance(self.topic, IncidentState):
            raise TypeError("The card shows a bulletin and no incident.")
        return self.topic

    @property
    def incident(self) -> Incident:
        """The incident of an incident's card. Raises TypeError: it is the card of a bulletin."""
        return self.incident_state.incident


class DeadLetter(Struct, frozen=True, kw_only=True):
    """Why Slack rejected something of a card for good, what to do about it, and since when (Unix seconds).

    For a reply, `unreported` is the range of its entries: after the first number, up to the second. It is None where
    the card itself was rejected.
    """

    reason: str
    remedy: str
    since: float
    unreported: tuple[int, int] | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether it may be in Slack anyway."""
        return self.reason.startswith(IN_DOUBT)


class ShownLines(Struct, frozen=True, kw_only=True):
    """The lines of a bulletin that a reply shows, as of that version of the bulletin.

    They are those after the first and up to the last number, or without these all that are in it already.
    """

    ts: str
    version: int
    after_seq: int | None = None
    upto_seq: int | None = None


class CardUpdate(Struct, frozen=True, kw_only=True):
    """What a decision changes: cards (one without an id is new), the attempt, the card's dead letter.

    `entries` are known entries with other data, or new ones.
    `closes_letter_at` closes the open dead letter of the card; one about a reply only with `closes_reply_letters`.
    `shown_lines` are the lines of a bulletin that Slack shows now. `bulletins` are what it changes in other bulletins.
    """

    cards: tuple[Card, ...] = ()
    attempt: Attempt | None = None
    entries: tuple[Entry, ...] = ()
    dead_letter: DeadLetter | None = None
    closes_letter_at: float | None = None
    closes_reply_letters: bool = False
    shown_lines: ShownLines | None = None
    bulletins: tuple[BulletinChange, ...] = ()


class DeliveryRules(Struct, frozen=True, kw_only=True):
    """The part of the configuration that these decisions need."""

    fallback: Fallback | None = None
    canonical_refs: Mapping[str, str] = field(default_factory=dict)
