"""Bulletins: root messages about several incidents, such as the list of held incidents in a channel.

A bulletin is delivered like a card: it has a row in the table of cards. It has lines where an incident has entries.
What a card shows, and its thread reports, is its *topic*: the state of an incident, or that of a bulletin.

    kind       opened by                    its lines are          ends
    held       the first held card          in its thread          with the reason that holds the cards
    storm      the first card that a        in its thread          with the storm; a new one soon after it opens the
               storm holds                                         same again
    catch_up   the end of a silence         in the message itself  when all its incidents have ended
    reminders  several reminders at once    in the message itself  when all its incidents have ended
    summary    its time of the day          in its data            once it is posted, or too late

A line names one incident. When the end of the line is known, relay edits the message that shows it. A *ping* is a
line without an incident. Its reply has no other line, pings people, and is broadcast. It never ends.
The line with the progress of a batch (`relay.cards.batches`) also has a reply of its own, but pings nobody.
A summary describes one moment, and is not edited.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import field

from relay.cards.entries import Entry
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State, worst_of
from relay.model.json_types import JSON
from relay.model.struct import Struct, replace
from relay.routes.mention import Mention
from relay.routes.options import Options

MOST_IN_ROOT: Final = 100
"""The most lines that a message itself keeps; the first ones stay, and the others are counted."""

CATCH_UP_LATE_AFTER: Final = 300.0
"""Seconds after the moment that it is about, after which a catch-up says that it is late."""

_CHANNEL_WIDE: Final = frozenset({"here", "channel"})


class BulletinKind(StrEnum):
    """What a bulletin is for; `KINDS` has a row for each."""

    HELD = "held"
    STORM = "storm"
    CATCH_UP = "catch_up"
    REMINDERS = "reminders"
    SUMMARY = "summary"


class BulletinKindRow(Struct, frozen=True, kw_only=True):
    """How a kind is called, and how it behaves.

    `in_thread`: its lines are in its thread, in batches; else the message itself shows them. `repeats`: once it is
    closed, the same key opens the next one; else it stays closed. `ends_with_lines`: it is closed with its last line.
    `reopens_within`: for so many seconds after it was closed, its key opens it again instead of the next one. `why`
    tells a reader why the message is there.
    """

    name: str
    why: str = "It is a message of relay about several incidents."
    in_thread: bool = False
    repeats: bool = False
    ends_with_lines: bool = False
    reopens_within: float = 0.0


KINDS: Final[Mapping[BulletinKind, BulletinKindRow]] = {
    BulletinKind.HELD: BulletinKindRow(
        name="held list",
        why="It lists incidents whose cards are held. Each gets its card when the hold ends.",
        in_thread=True,
        repeats=True,
    ),
    BulletinKind.STORM: BulletinKindRow(
        name="storm card",
        why="More new incidents came than this channel takes at once, so relay lists them in the thread. "
        "Each gets its card when it changes, or when there is room.",
        in_thread=True,
        repeats=True,
        reopens_within=1800.0,
    ),
    BulletinKind.CATCH_UP: BulletinKindRow(
        name="catch-up",
        why="Pings were held, and what held them is over. It names what was still open then.",
        ends_with_lines=True,
    ),
    BulletinKind.REMINDERS: BulletinKindRow(
        name="reminders",
        why="Nobody had these incidents when it was posted. It is a list, since several reminders came at once.",
        ends_with_lines=True,
    ),
    BulletinKind.SUMMARY: BulletinKindRow(
        name="summary", why="It is a summary of the channel at that time. It is not updated."
    ),
}


class LineEnd(StrEnum):
    """How a line ended: the incident was resolved, it got its card, or no route matches it any more."""

    RESOLVED = "resolved"
    POSTED = "posted"
    UNMATCHED = "unmatched"


class BulletinLine(Entry, frozen=True, kw_only=True):
    """One incident that a bulletin names; `key` identifies it there, `state` is the incident's at that time.

    `data` holds plain values for the template: `title`, `url`, `since`, `owner`, `route`, and `card` (Slack's channel
    and ts) where the incident has one. `ended` says how the line ended, at `ended_at` (Unix seconds).
    `ts` names the reply that shows it. `changed_in` is the version of the bulletin that changed the line last.
    `shown_in` is the version that its reply shows. `storm_group` is the group of the incident in a storm. A line
    without an incident has other `data`: a ping its `targets`, a batch its progress.
    """

    seq: int = 0
    kind: EntryKind = EntryKind.OTHER
    incident: str
    episode: int
    state: State
    ended: LineEnd | None = None
    ended_at: float | None = None
    ts: str | None = None
    changed_in: int = 1
    shown_in: int = 0
    storm_group: str | None = None

    @property
    def stands_alone(self) -> bool:
        """Whether it names no incident, and has a reply of its own."""
        return not self.incident

    @property
    def is_ping(self) -> bool:
        """Whether it stands alone, and pings people."""
        return self.stands_alone and not self.is_batch

    @property
    def is_batch(self) -> bool:
        """Whether it stands alone, and says how far a batch is."""
        return "batch" in self.data

    @property
    def targets(self) -> tuple[str, ...]:
        """Whom a ping pings."""
        return tuple(self.data.get("targets", ())) if self.is_ping else ()

    @property
    def says(self) -> tuple[object, ...]:
        """What a reader sees of it: the same for two lines that need no edit."""
        return self.state, self.ended, dict(self.data)

    @property
    def owner(self) -> str:
        """Who has the incident; empty if nobody has."""
        return str(self.data.get("owner") or "")


class Bulletin(Struct, frozen=True, kw_only=True):
    """One message about several incidents, in a channel (its canonical reference), known by its kind and `key`.

    `episode` counts those with the same key. `version` grows with each change of what it says. `data` holds plain
    values for the template. `mention` says whom its first post pings, `options` how it is delivered: both are decided
    when it is opened. It is open until `closed_at` (Unix seconds).
    """

    kind: BulletinKind
    channel: str
    key: str
    opened_at: float
    data: Mapping[str, JSON] = field(default_factory=dict)
    mention: Mention = field(default_factory=Mention)
    options: Options = field(default_factory=Options)
    closed_at: float | None = None
    episode: int = 1
    version: int = 1
    next_seq: int = 1
    id: int = 0

    @property
    def row(self) -> BulletinKindRow:
        """How its kind behaves."""
        return KINDS[self.kind]

    @property
    def identity(self) -> tuple[str, str, str]:
        """What it is found by, beside its episode."""
        return self.kind, self.channel, self.key


class BulletinChange(Struct, frozen=True, kw_only=True):
    """Open a bulletin, or change the open one: its newest data, and new or changed lines.

    `at` is now (Unix seconds). With `closes` it is closed; one that is not open stays as it is.
    """

    bulletin: Bulletin
    at: float
    lines: tuple[BulletinLine, ...] = ()
    closes: bool = False


class EndedLines(Struct, frozen=True, kw_only=True):
    """The open lines of an incident's episode that end, of bulletins in `channel` only, or of all (None).

    Without an `end` they stay open: only their `data`, and their `state`, become the newest.
    """

    incident: str
    episode: int
    end: LineEnd | None
    at: float
    channel: str | None = None
    state: State | None = None
    data: Mapping[str, JSON] = field(default_factory=dict)


class BulletinState(Struct, frozen=True, kw_only=True):
    """A bulletin as the topic of a card: what the message shows, and which reply of the thread is out of date.

    `lines` are those that the message itself shows. `counts` counts all lines by how they ended (None: open).
    `outdated` are the lines of one reply of the card, of which at least one has changed since the reply was sent.
    A storm card has the worst open lines in `lines`, and more plain values for its template in `summary`.
    """

    bulletin: Bulletin
    lines: tuple[BulletinLine, ...] = ()
    counts: Mapping[LineEnd | None, int] = field(default_factory=dict)
    summary: Mapping[str, JSON] = field(default_factory=dict)
    outdated: tuple[BulletinLine, ...] = ()

    can_be_shown = True

    @property
    def identity(self) -> tuple[str, ...]:
        """What it is, for the key of a message."""
        return self.bulletin.kind, self.bulletin.key

    @property
    def version(self) -> int:
        """It grows with each change of what it says."""
        return self.bulletin.version

    @property
    def state(self) -> State:
        """The worst state of the open incidents that the message shows."""
        return worst_of(State.UNKNOWN, *(line.state for line in self.lines if line.ended is None))

    @property
    def is_open(self) -> bool:
        """Whether it is posted again if somebody deletes it."""
        return self.bulletin.closed_at is None

    @property
    def is_needed(self) -> bool:
        """Whether it names something that no card shows: else it is not posted once it is over."""
        if self.is_open or not self.bulletin.row.in_thread:
            return self.is_open
        return any(number for end, number in self.counts.items() if end is not LineEnd.POSTED)

    @property
    def ended_at(self) -> float | None:
        """When it was closed (Unix seconds)."""
        return self.bulletin.closed_at

    ended = ended_at

    @property
    def in_root(self) -> int:
        """Up to which line the message itself shows them."""
        return 0 if self.bulletin.row.in_thread else self.bulletin.next_seq - 1


def incident_line(
    incident: Incident, episode: int, now: float, *, route: str = "", card: tuple[str, str] | None = None
) -> BulletinLine:
    """The line that names an incident; `route` says whom it concerns, `card` is where its card is (channel, ts)."""
    data = {
        "title": incident.title,
        "url": incident.links.get("landing_page", ""),
        "since": incident.started,
        "owner": incident.assignee.display_name if incident.assignee else "",
        "route": route,
        "card": list(card) if card else None,
    }
    key = f"{incident.id}:{episode}"
    return BulletinLine(key=key, at=now, incident=incident.id, episode=episode, state=incident.state, data=data)


def new_bulletin(  # noqa: PLR0913  each has a name
    kind: BulletinKind,
    channel: str,
    key: str,
    now: float,
    data: Mapping[str, JSON],
    *,
    targets: tuple[str, ...] = (),
    options: Options | None = None,
) -> Bulletin:
    """A bulletin as it is opened now (Unix seconds): it waits for nothing, and its first post pings these targets."""
    return Bulletin(
        kind=kind,
        channel=channel,
        key=key,
        opened_at=now,
        data=data,
        mention=Mention.of({"any": targets} if targets else {}),
        options=replace(options or Options(), wait=0.0),
    )


def held_list(  # noqa: PLR0913  each has a name
    channel: str,
    reason: str,
    until: float | None,
    lines: Iterable[BulletinLine],
    now: float,
    *,
    options: Options | None = None,
) -> BulletinChange:
    """Add lines to the list of what `reason` (one word) holds in a channel, until that moment if it is known.

    The first line opens the list. It pings nobody.
    """
    data: dict[str, JSON] = {"reason": reason, "until": until}
    bulletin = new_bulletin(BulletinKind.HELD, channel, reason, now, data, options=options)
    return BulletinChange(bulletin=bulletin, at=now, lines=tuple(lines))


def held_list_over(channel: str, reason: str, now: float) -> BulletinChange:
    """The reason that held cards in the channel is over: its list is closed, if there is one."""
    bulletin = Bulletin(kind=BulletinKind.HELD, channel=channel, key=reason, opened_at=now, data={"reason": reason})
    return BulletinChange(bulletin=bulletin, at=now, closes=True)


def catch_up_message(  # noqa: PLR0913  each has a name
    channel: str,
    moment: float,
    lines: Iterable[BulletinLine],
    targets: Iterable[str],
    now: float,
    *,
    options: Options | None = None,
) -> BulletinChange | None:
    """List the open incidents whose pings were held until `moment` (Unix seconds); None if there are none.

    Those without an owner come first, then the worst. It pings each target once, but never `here` or `channel`.
    """
    in_order = sorted(lines, key=_urgency)
    if not in_order:
        return None
    kept = in_order[:MOST_IN_ROOT]
    data: dict[str, JSON] = {"moment": moment, "more": len(in_order) - len(kept)}
    pinged = tuple(dict.fromkeys(target for target in targets if target not in _CHANNEL_WIDE))
    bulletin = new_bulletin(BulletinKind.CATCH_UP, channel, f"{moment:.0f}", now, data, targets=pinged, options=options)
    return BulletinChange(bulletin=bulletin, at=now, lines=tuple(kept))


def reminders_message(
    channel: str, lines: Iterable[BulletinLine], targets: Iterable[str], now: float, *, options: Options | None = None
) -> BulletinChange | None:
    """List the incidents of which people are reminded now; None if there are none.

    The worst and oldest come first. It pings each target once, but never `here` or `channel`.
    """
    in_order = sorted(lines, key=_urgency)
    if not in_order:
        return None
    kept = in_order[:MOST_IN_ROOT]
    data: dict[str, JSON] = {"more": len(in_order) - len(kept)}
    pinged = tuple(dict.fromkeys(target for target in targets if target not in _CHANNEL_WIDE))
    key = f"{now:.3f}"
    bulletin = new_bulletin(BulletinKind.REMINDERS, channel, key, now, data, targets=pinged, options=options)
    return BulletinChange(bulletin=bulletin, at=now, lines=tuple(kept))


def _urgency(line: BulletinLine) -> tuple[bool, int, float, str]:
    return bool(line.owner), -line.state.rank, line.data.get("since") or line.at, line.key


def summary_bulletin(channel: str, key: str, data: Mapping[str, JSON], now: float) -> BulletinChange:
    """Show the state of a channel, in a message that pings nobody; `key` names the summary and its slot."""
    bulletin = new_bulletin(BulletinKind.SUMMARY, channel, key, now, data)
    return BulletinChange(bulletin=bulletin, at=now)


def changed(before: Bulletin, change: BulletinChange, known: Mapping[str, BulletinLine], open_lines: int) -> "Changed":
    """What a change makes of an open bulletin, given its lines with these keys.

    `open_lines` is how many lines are open; it matters only where the bulletin ends with its lines.
    """
    version, seq = before.version + 1, before.next_seq
    lines: list[BulletinLine] = []
    for line in {line.key: _with_places(line, known.get(line.key)) for line in change.lines}.values():
        old = known.get(line.key)
        if old is None:
            lines.append(replace(line, seq=seq, changed_in=version))
            seq += 1
        elif old.says != line.says:
            there = replace(line, seq=old.seq, at=old.at, ts=old.ts, shown_in=old.shown_in)
            lines.append(replace(there, changed_in=version))
        open_lines += (line.ended is None) - (old is not None and old.ended is None)
    data = {**before.data, **change.bulletin.data}
    closes = change.closes or (before.row.ends_with_lines and not open_lines)
    closed_at = change.at if closes and before.closed_at is None else before.closed_at
    after = replace(before, data=data, next_seq=seq, closed_at=closed_at)
    if after == before and not lines:
        return Changed(bulletin=before)
    return Changed(bulletin=replace(after, version=version), lines=tuple(lines))


def _with_places(line: BulletinLine, old: BulletinLine | None) -> BulletinLine:
    """The line, with the threads that were found to have it already."""
    if old is None or "posted_in" not in old.data:
        return line
    return replace(line, data={**line.data, "posted_in": old.data["posted_in"]})


class Changed(Struct, frozen=True, kw_only=True):
    """A bulletin after a change, and its lines that are new or have changed."""

    bulletin: Bulletin
    lines: tuple[BulletinLine, ...] = ()
