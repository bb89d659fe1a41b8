"""Decide what the next reply in a card's thread reports: which entries, how they are merged, and whom it pings.

`next_reply` looks at the entries that the card has not reported and takes as many as make one reply. Called again with
the rest, it gives the next.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any

from relay.cards.attention import NO_SURROUNDINGS, REOPEN_PING, Attention, Surroundings, attend
from relay.cards.bulletins import BulletinLine, BulletinState
from relay.cards.holds import HeldPing, HeldPings, Hold, Ping, Reason, merge_held
from relay.cards.model import Card, CardContext, Due, Entry
from relay.cards.reminders import is_unattended
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State, worst_of
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency

MAX_LINES = 20
"""The most lines of a reply. What does not fit follows in a further one."""

MAX_COMMENT_LINES = 12
"""The most lines that a comment counts for: the template cuts a longer one and links to the rest."""

MAX_TAG_ITEMS = 8
"""The most merged tag changes that are named. The newest are; the older are counted."""

MAX_STATE_CHANGES = 2
"""Of more state changes in one reply, only their number and the last state are reported."""

FLAP_WAIT = 600.0
"""Seconds that state changes wait to be batched while an incident flaps."""

LINES_WAIT = 10.0
"""Seconds that a line of a bulletin waits for others, unless there are enough for a whole reply."""

_URGENCIES = {EntryKind.RESOLVED: Urgency.RESOLVED, EntryKind.REOPENED: Urgency.REOPENED}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstShown:
    """The worst that a card has shown: `recent`, since its first post or last reopening, and in its whole `episode`.

    A rise is a state worse than `recent`; while the incident flaps, worse than `episode`.
    """

    recent: State = State.RESOLVED
    episode: State = State.RESOLVED

    def after(self, entry: Entry) -> "WorstShown":
        """What it is once that entry is reported or passed over."""
        if not _is_state_change(entry):
            return self
        new = State(entry.data["new"])
        recent = new if entry.kind is EntryKind.REOPENED else worst_of(self.recent, new)
        return WorstShown(recent=recent, episode=worst_of(self.episode, new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply: its entries (merged, as the templates take them), up to and with `upto_seq`.

    `targets` are pinged; `held` are the pings that something holds. `worst` is what the card has shown after it.
    `reports_reopening`: it reports a reopening by itself, not as one of many state changes. `pings_for_reopening`: it
    also pings for it. `pings_for`: the kinds of the entries that ping.
    """

    upto_seq: int
    entries: tuple[Entry, ...]
    targets: tuple[str, ...] = ()
    broadcast: bool = False
    reports_reopening: bool = False
    pings_for_reopening: bool = False
    pings_for: tuple[EntryKind, ...] = ()
    held: HeldPings = ()
    worst: WorstShown = WorstShown()


@dataclass(frozen=True, slots=True)
class _CardEntry:
    """What an entry means to one card: `calls` somebody, of whom `targets` are pinged now, and `held` are not."""

    entry: Entry
    worst: WorstShown
    rise: bool
    calls: bool
    targets: tuple[str, ...]
    held: tuple[HeldPing, ...]
    visible: bool
    broadcast: bool

    @property
    def alone(self) -> bool:
        """Whether it has a reply of its own."""
        return self.broadcast or self.entry.kind.row.alone


def next_reply(  # noqa: PLR0913  all that it depends on
    card: Card,
    incident: Incident,
    entries: Sequence[Entry],
    now: float,
    *,
    whole: bool = False,
    surroundings: Surroundings = NO_SURROUNDINGS,
) -> Reply | None:
    """The reply that reports the first of these entries (`whole`: all); None if none is to be reported."""
    shown: list[_CardEntry] = []
    passed: list[_CardEntry] = []
    last: _CardEntry | None = None
    lines, broadcast, stands_alone = 0, False, False
    for each in _card_entries(card, incident, entries, now, surroundings):
        alone = each.visible and (each.alone or stands_alone)
        cost = _count_lines(each.entry) if each.visible else 0
        if shown and not whole and (alone or lines + cost > MAX_LINES):
            break
        last = each
        passed.append(each)
        if each.visible:
            shown.append(each)
            broadcast, stands_alone = broadcast or each.broadcast, stands_alone or each.alone
        lines += cost
    if last is None or not shown:
        return None
    return Reply(
        upto_seq=last.entry.seq,
        entries=tuple(merge_entries([each.entry for each in shown], room=MAX_LINES - lines)),
        targets=tuple(dict.fromkeys(target for each in shown for target in each.targets)),
        broadcast=broadcast,
        reports_reopening=any(_is_own_reopening(each.entry) for each in shown),
        pings_for_reopening=any(each.entry.kind is EntryKind.REOPENED and each.targets for each in shown),
        pings_for=tuple(dict.fromkeys(each.entry.kind for each in shown if each.targets)),
        held=_held(passed),
        worst=last.worst,
    )


def next_reply_of(
    context: CardContext,
    entries: Sequence[Entry],
    now: float,
    *,
    whole: bool = False,
    surroundings: Surroundings = NO_SURROUNDINGS,
) -> Reply | None:
    """The reply that reports the first of these entries of the topic (`whole`: all); None if there is none."""
    if not isinstance(context.topic, BulletinState):
        return next_reply(context.card, context.incident, entries, now, whole=whole, surroundings=surroundings)
    lines = _unposted_lines(context.card, entries)
    shown = lines if whole else _first_lines(lines)
    if not shown:
        return None
    targets = tuple(target for line in shown for target in line.targets)
    return Reply(upto_seq=shown[-1].seq, entries=tuple(shown), targets=targets, broadcast=bool(targets))


def _unposted_lines(card: Card, entries: Sequence[Entry]) -> list[BulletinLine]:
    """The lines that the thread does not show. What stands alone is not repeated in the thread of a new root."""
    lines = [entry for entry in entries if isinstance(entry, BulletinLine)]
    return [line for line in lines if not _is_posted(card, line) and not (line.stands_alone and line.ts)]


def _first_lines(lines: Sequence[BulletinLine]) -> Sequence[BulletinLine]:
    """Those of the next reply: some stand alone."""
    if lines and lines[0].stands_alone:
        return lines[:1]
    return list(takewhile(lambda line: not line.stands_alone, lines[:MAX_LINES]))


def held_by(context: CardContext, entries: Sequence[Entry], now: float, surroundings: Surroundings) -> HeldPings:
    """The pings for these entries that something holds."""
    if isinstance(context.topic, BulletinState):
        return ()
    return held_for(context.card, context.incident, entries, now, surroundings)


def held_for(
    card: Card, incident: Incident, entries: Sequence[Entry], now: float, surroundings: Surroundings
) -> HeldPings:
    """The pings for these entries of an incident that something holds."""
    return _held(_card_entries(card, incident, entries, now, surroundings))


def due_of(context: CardContext, card: Card, entries: Sequence[Entry], now: float) -> Due | None:
    """From when, and by when, these entries of the card's topic need a reply; None if they need none."""
    if not isinstance(context.topic, BulletinState):
        return reply_due(card, context.incident, entries, now)
    if not context.topic.bulletin.row.in_thread:
        return None
    lines = _unposted_lines(card, entries)
    if not lines:
        return None
    if any(line.is_ping for line in lines):
        return Due.on(Urgency.WORSENED, now, urgent=True)
    if any(line.is_batch for line in lines):
        return Due.on(Urgency.REPLY, now)
    return Due.on(Urgency.REPLY, now if len(lines) >= MAX_LINES else max(now, lines[0].at + LINES_WAIT))


def reply_due(card: Card, incident: Incident, entries: Sequence[Entry], now: float) -> Due | None:
    """From when, and by when, these entries need a reply; None if they need none."""
    due: Due | None = None
    for each in _card_entries(card, incident, entries, now):
        if each.visible:
            due = _due(each, card, now).sooner(due)
    return due


def next_due(context: CardContext, card: Card, now: float) -> Due | None:
    """When the thread of `card` needs its next reply; None if it needs none. `context` is that of its incident.

    Where not all entries are known, a reply is due: it reports or passes over those that are.
    """
    rest = [entry for entry in context.entries if entry.seq > card.reported_seq]
    due = due_of(context, card, rest, now)
    return Due.on(Urgency.REPLY, now) if due is None and context.more_entries else due


def worst_shown(card: Card, entries: Sequence[Entry] = (), before: WorstShown | None = None) -> WorstShown:
    """What the card has shown once these entries are reported or passed over.

    A state change that was over before the first post was never shown: only what the root shows counts. One that the
    thread of a restored card had reported already is in the card's worst, or was before a reopening.
    """
    worst = before or WorstShown(recent=card.worst or State.RESOLVED, episode=card.episode_worst or State.RESOLVED)
    for entry in entries:
        worst = worst if entry.seq <= card.root_seq or _is_posted(card, entry) else worst.after(entry)
    return worst


def merge_entries(entries: Sequence[Entry], *, room: int = MAX_TAG_ITEMS) -> Iterator[Entry]:
    """The entries as one reply reports them: tags in one, alerts in one, many state changes in one."""
    merged = {kind: [each for each in entries if each.kind is kind] for kind in (EntryKind.TAGS, EntryKind.ALERTS)}
    changes = [entry for entry in entries if _is_plain_change(entry)]
    if len(changes) > MAX_STATE_CHANGES:
        merged[EntryKind.STATUS] = changes
    seqs = {kind: {entry.seq for entry in same} for kind, same in merged.items()}
    for flapping, run in groupby(entries, key=_while_flapping):
        group = list(run)
        if flapping and len(group) > 1:
            yield replace(group[-1], kind=EntryKind.STATUS, data=_merge_states(group, " while flapping"))
            continue
        for entry in group:
            if entry.seq not in seqs.get(entry.kind, ()):
                yield entry
            elif entry is (same := merged[entry.kind])[-1] and (data := _merge(same, room)):
                yield replace(entry, data=data)


def _held(entries: Iterable[_CardEntry]) -> HeldPings:
    """The held pings of these entries, without those of targets whom one of them pings."""
    every = list(entries)
    pinged = {target for each in every for target in each.targets}
    return merge_held((), (held for each in every for held in each.held if held.target not in pinged))


def _card_entries(
    card: Card,
    incident: Incident,
    entries: Sequence[Entry],
    now: float,
    surroundings: Surroundings = NO_SURROUNDINGS,
) -> Iterator[_CardEntry]:
    """What each entry means to the card.

    Which entries are reported, and when, does not depend on the surroundings: a change that would ping is reported even
    while its pings are held.

    A reopening pings by itself unless something holds that. If only the incident itself does (it flaps or is snoozed),
    the reopening still may ping as a rise.
    """
    worst, reopening_reported_at = worst_shown(card), card.reopening_reported_at
    by_itself = attend(card, incident, NO_SURROUNDINGS, now)
    attention = attend(card, incident, surroundings, now)
    for entry in entries:
        on_root = entry.seq <= card.root_seq
        rise, worsens = False, False
        if not on_root and _is_state_change(entry):
            rank, bar = State(entry.data["new"]).rank, worst.episode if incident.flapping else worst.recent
            worsens = rank > worst.recent.rank
            held = by_itself.ping(Ping.REOPENED, worsens=worsens)
            rise = rank > bar.rank and (entry.kind is EntryKind.STATUS or _may_rise(entry, held))
        worst = worst_shown(card, [entry], worst)
        is_there = _is_posted(card, entry)
        news = None if on_root or is_there else _called(card, incident, entry, rise=rise)
        calls = news is not None and bool(by_itself.split(*news, worsens=worsens)[0])
        targets, held_pings = attention.split(*news, worsens=worsens) if news else ((), ())
        wanted = entry.kind.row.thread in card.options.thread and not is_there
        visible = calls or (wanted and (entry.kind is EntryKind.COMMENT or not on_root))
        if entry.kind is EntryKind.REMINDER:
            visible = _reminds(card, incident, entry) and not is_there and not _is_held(attention, targets, held_pings)
        if rise or (incident.active and _is_back(entry, reopening_reported_at)):
            # It is reported by itself and at once, flapping or not.
            data = {name: value for name, value in entry.data.items() if name != "while_flapping"}
            reported = replace(entry, data=data)
        else:
            reported = entry
        if visible and _is_own_reopening(reported):
            reopening_reported_at = entry.at
        names = {str(entry.kind), entry.kind.row.thread, *(("rise",) if rise else ())}
        broadcast = not _while_flapping(reported) and not names.isdisjoint(card.options.broadcast)
        broadcast = broadcast or (entry.kind is EntryKind.REMINDER and bool(entry.data.get("last")))
        yield _CardEntry(
            reported,
            worst,
            rise=rise,
            calls=calls,
            targets=targets,
            held=held_pings,
            visible=visible,
            broadcast=broadcast,
        )


def _is_posted(card: Card, entry: Entry) -> bool:
    """Whether the thread shows the entry, though this card has not reported it."""
    return card.channel in entry.data.get("posted_in", ())


def _due(each: _CardEntry, card: Card, now: float) -> Due:
    kind = each.entry.kind
    if each.calls or each.rise:
        return Due.on(Urgency.WORSENED, now, urgent=each.calls)
    if kind.row.batched:
        return Due.on(Urgency.REPLY, now + card.options.gather)
    if _while_flapping(each.entry):
        return Due.on(Urgency.REPLY, now + FLAP_WAIT)
    return Due.on(_URGENCIES.get(kind, Urgency.REPLY), now)


def _is_own_reopening(entry: Entry) -> bool:
    """Whether it reports a reopening by itself."""
    return entry.kind is EntryKind.REOPENED and not _while_flapping(entry)


def _is_back(entry: Entry, reopening_reported_at: float | None) -> bool:
    """Whether it reopens what the thread reported as over, and the thread has reported no reopening lately.

    An end is reported at once; one while the incident flaps, after it has waited to be batched.
    """
    if entry.kind is not EntryKind.REOPENED:
        return False
    if reopening_reported_at is not None and entry.at - reopening_reported_at < REOPEN_PING:
        return False
    ended = entry.data.get("ended")
    return not entry.data.get("flapped") or (ended is not None and entry.at - ended >= FLAP_WAIT)


def _is_state_change(entry: Entry) -> bool:
    return entry.kind.row.thread == EntryKind.STATUS and bool(entry.data.get("new"))


def _may_rise(entry: Entry, held: Hold | None) -> bool:
    """Whether a reopening that may not ping as such may ping as a rise."""
    return entry.kind is EntryKind.REOPENED and held is not None and held.reason in {Reason.FLAPPING, Reason.SNOOZED}


def _called(card: Card, incident: Incident, entry: Entry, *, rise: bool) -> tuple[Ping, tuple[str, ...]] | None:
    """Whom the entry calls: for a rise that still is one, for a reopening, or the person who lost the incident."""
    if entry.kind is EntryKind.ASSIGNMENT:
        replaced = str(entry.data.get("ping", ""))
        return (Ping.REPLACED, (replaced,)) if replaced and entry.data.get("ping_in") == card.channel else None
    if entry.kind is EntryKind.REMINDER:
        return (Ping.REMINDER, reminder_targets(card, incident, entry)) if _reminds(card, incident, entry) else None
    if rise and incident.state.rank >= State(entry.data["new"]).rank:
        return Ping.RISE, card.mention.targets(incident.state)
    if entry.kind is EntryKind.REOPENED and incident.active:
        return Ping.REOPENED, card.mention.targets(incident.state, occasion=Ping.REOPENED.occasion)
    return None


def reminder_targets(card: Card, incident: Incident, entry: Entry | None = None) -> tuple[str, ...]:
    """Whom a reminder pings: those whom it names, or else those of the mention."""
    named = tuple(entry.data.get("targets", ())) if entry else ()
    return named or card.mention.targets(incident.state, occasion=Ping.REMINDER.occasion)


def _reminds(card: Card, incident: Incident, entry: Entry) -> bool:
    """Whether the entry is a reminder of this card, and still nobody has the incident."""
    is_own = entry.data.get("channel") == card.channel
    return is_own and is_unattended(card, incident, least=State(entry.data.get("least", State.UNKNOWN)))


def _is_held(attention: Attention, targets: Sequence[str], held: Sequence[HeldPing]) -> bool:
    """Whether a reminder is held: all its pings are, or what holds them holds one that pings nobody."""
    return not targets and (bool(held) or attention.ping(Ping.REMINDER) is not None)


def _count_lines(entry: Entry) -> int:
    """How many lines of a reply an entry takes. Tags and alerts take what is left, if need be as a count."""
    match entry.kind:
        case EntryKind.COMMENT:
            return min(MAX_COMMENT_LINES, 1 + str(entry.data.get("text", "")).count("\n") + 1)
        case EntryKind.CHANGES:
            return min(MAX_LINES, len(entry.data.get("items", ())))
        case EntryKind.STATUS if _is_plain_change(entry):
            return 0
        case _:
            return 1


def _while_flapping(entry: Entry) -> bool:
    return entry.kind.row.thread == EntryKind.STATUS and bool(entry.data.get("while_flapping"))


def _is_plain_change(entry: Entry) -> bool:
    """Whether it is a plain change of state, of which many in a row say less than the last."""
    return entry.kind is EntryKind.STATUS and "old" in entry.data and not _while_flapping(entry)


def _merge_states(entries: Sequence[Entry], how: str = "") -> dict[str, JSON]:
    text = f"changed state {len(entries)} times{how}"
    return {"text": text, "now": entries[-1].data.get("new"), "times": len(entries)}


def _merge(entries: Sequence[Entry], room: int) -> dict[str, JSON]:
    """The data of one entry for many of one kind; empty if nothing is left to report."""
    match entries[0].kind:
        case EntryKind.TAGS:
            return _merge_tags(entries, room)
        case EntryKind.ALERTS:
            counted = ("joined", "resolved", "returned", "left")
            counts = {name: sum(entry.data.get(name, 0) for entry in entries) for name in counted}
            items = [item for entry in entries for item in entry.data.get("items", ())]
            return {**counts, "total": entries[-1].data.get("total"), "items": items[:MAX_LINES]}
        case _:
            return _merge_states(entries)


def _merge_tags(entries: Sequence[Entry], room: int) -> dict[str, JSON]:
    """From the first old value to the last new one. A tag that has its first value again is not reported."""
    changes: dict[str, dict[str, Any]] = {}
    for item in (item for entry in entries for item in entry.data["items"]):
        was = changes.pop(item["label"], item)["old"]
        changes[item["label"]] = {"label": item["label"], "old": was, "new": item["new"]}
    items = [item for item in changes.values() if item["old"] != item["new"]]
    named = max(3, min(MAX_TAG_ITEMS, room + 1))
    more = max(0, len(items) - named) + sum(entry.data.get("more", 0) for entry in entries)
    return {"items": items[-named:], "more": more} if items or more else {}
