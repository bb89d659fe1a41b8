"""What the next reply in a card's thread says: which of the waiting entries, how they are merged, and whom it pings.

Nothing here knows Slack. `next_reply` looks at the entries that the card has not told yet and takes as many as make one
reply; calling it again, with what is left, gives the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from relay.cards.model import Card, Due, Entry
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.ratelimit.budgets import Urgency

MAX_LINES = 20
"""A reply has no more lines than this; what does not fit follows in a further one."""

MAX_COMMENT_LINES = 12
"""A comment counts for no more lines than this: the template cuts a longer one and links to the rest."""

MAX_TAG_ITEMS = 8
"""Of merged tag changes the newest so many are named, the older are counted."""

MAX_STATE_CHANGES = 2
"""Of more changes of state in one reply only their number and the last state are told: nobody reads stale steps."""

FLAP_WAIT = 600.0
"""Seconds that changes of state wait for company while an incident flaps."""

REOPEN_PING = 1800.0
"""Seconds within which a second reopening pings nobody, and while an incident flaps is none that is told by itself."""

_OCCASIONS = {EntryKind.RESOLVED: Urgency.RESOLVED, EntryKind.REOPENED: Urgency.REOPENED}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstShown:
    """The worst that a card has shown: `lately`, since its first post or last reopening, and in its whole `episode`.

    A rise is measured by the former; while the incident flaps, by the latter.
    """

    recent: State = State.RESOLVED
    episode: State = State.RESOLVED

    def after(self, entry: Entry) -> "WorstShown":
        """What it is once that entry is told, or passed over."""
        if not _is_state(entry):
            return self
        new = State(entry.data["new"])
        lately = new if entry.kind is EntryKind.REOPENED else _worse(self.recent, new)
        return WorstShown(recent=lately, episode=_worse(self.episode, new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply: the entries it tells (merged, as the templates take them), up to and with `upto_seq`.

    `worst` is what the card has shown after it. `reopened` says that it tells of a reopening by itself, and not as one
    step of many; `reopening`, that it pings for it.
    """

    upto_seq: int
    entries: tuple[Entry, ...]
    targets: tuple[str, ...] = ()
    broadcast: bool = False
    reports_reopening: bool = False
    pings_for_reopening: bool = False
    worst: WorstShown = WorstShown()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An entry as one card sees it."""

    entry: Entry
    worst: WorstShown
    rise: bool = False
    targets: tuple[str, ...] = ()
    visible: bool = True
    broadcast: bool = False


def next_reply(
    card: Card, incident: Incident, entries: Sequence[Entry], now: float, *, whole: bool = False
) -> Reply | None:
    """The reply that tells the first of these entries (`whole`: all of them); None where none of them is to be told."""
    taken: list[_Told] = []
    lines = 0
    for told in _as_seen(card, incident, entries, now):
        shown = [each for each in taken if each.visible]
        alone = told.visible and (told.broadcast or any(each.broadcast for each in shown))
        cost = _lines(told.entry) if told.visible else 0
        if shown and not whole and (alone or lines + cost > MAX_LINES):
            break
        taken.append(told)
        lines += cost
    shown = [each for each in taken if each.visible]
    if not shown:
        return None
    return Reply(
        upto_seq=taken[-1].entry.seq,
        entries=tuple(merge_entries([each.entry for each in shown], room=MAX_LINES - lines)),
        targets=tuple(dict.fromkeys(target for each in shown for target in each.targets)),
        broadcast=any(each.broadcast for each in shown),
        reports_reopening=any(_is_reopening(each.entry) for each in shown),
        pings_for_reopening=any(each.entry.kind is EntryKind.REOPENED and each.targets for each in shown),
        worst=taken[-1].worst,
    )


def reply_due(card: Card, incident: Incident, entries: Sequence[Entry], now: float) -> Due | None:
    """From when, and by when, these untold entries ask for a reply; None where they ask for none."""
    due: Due | None = None
    for told in _as_seen(card, incident, entries, now):
        if told.visible:
            due = _due(told, card, now).sooner(due)
    return due


def _due(told: _Told, card: Card, now: float) -> Due:
    kind = told.entry.kind
    if told.targets or told.rise:
        return Due.on(Urgency.WORSENED, now, urgent=bool(told.targets))
    if kind in {EntryKind.TAGS, EntryKind.ALERTS}:
        return Due.on(Urgency.REPLY, now + card.options.gather)
    if _while_flapping(told.entry):
        return Due.on(Urgency.REPLY, now + FLAP_WAIT)
    return Due.on(_OCCASIONS.get(kind, Urgency.REPLY), now)


def _as_seen(card: Card, incident: Incident, entries: Sequence[Entry], now: float) -> Iterator[_Told]:
    """Each entry with what it means to this card: a rise is a state worse than any the card has shown."""
    worst, reopened = worst_shown(card), card.reopening_reported_at
    for entry in entries:
        on_the_face = entry.seq <= card.root_seq
        rise, quiet = False, False
        if not on_the_face and _is_state(entry):
            new = State(entry.data["new"])
            bar = worst.episode if incident.flapping else worst.recent
            rise = _could_rise(entry, incident) and new.rank > bar.rank
            quiet = _is_quiet(card, new, worst.recent, now)
        worst = worst_shown(card, [entry], worst)
        targets = () if on_the_face else _targets(card, incident, entry, rise=rise, quiet=quiet)
        visible = bool(targets) or _shows(card, entry)
        told = _without_company(entry) if rise or (incident.active and _is_back(entry, reopened)) else entry
        if visible and _is_reopening(told):
            reopened = told.at
        yield _Told(
            entry=told,
            worst=worst,
            rise=rise,
            targets=targets,
            visible=visible,
            broadcast=_broadcasts(card, told, rise=rise),
        )


def _shows(card: Card, entry: Entry) -> bool:
    """Whether the thread tells it: the route wants its kind, and neither the card's face nor somebody has said it."""
    on_the_face = entry.seq <= card.root_seq and entry.kind is not EntryKind.COMMENT
    said_here = card.channel in entry.data.get("posted_in", ())
    return entry.kind.row.thread in card.options.thread and not on_the_face and not said_here


def _without_company(entry: Entry) -> Entry:
    """A rise, and what had ended and is back, is told by itself and at once, flapping or not."""
    return replace(entry, data={name: value for name, value in entry.data.items() if name != "while_flapping"})


def _is_reopening(entry: Entry) -> bool:
    """Whether it tells of a reopening by itself."""
    return entry.kind is EntryKind.REOPENED and not _while_flapping(entry)


def _is_back(entry: Entry, reopened: float | None) -> bool:
    """Whether it reopens what readers have been told is over, and they have not been told of a reopening lately.

    An end is told at once; one while it flaps, when it has waited for company.
    """
    if entry.kind is not EntryKind.REOPENED or (reopened is not None and entry.at - reopened < REOPEN_PING):
        return False
    ended = entry.data.get("ended")
    return not entry.data.get("flapped") or (ended is not None and entry.at - ended >= FLAP_WAIT)


def worst_shown(card: Card, entries: Sequence[Entry] = (), before: WorstShown | None = None) -> WorstShown:
    """What the card has shown once these entries are told, or passed over.

    A step that was over before the first post was never shown: what comes after is measured by the face alone.
    """
    worst = before or WorstShown(recent=card.worst or State.RESOLVED, episode=card.episode_worst or State.RESOLVED)
    for entry in entries:
        worst = worst if entry.seq <= card.root_seq else worst.after(entry)
    return worst


def _worse(one: State, other: State) -> State:
    return max(one, other, key=lambda state: state.rank)


def _could_rise(entry: Entry, incident: Incident) -> bool:
    """A reopening pings by itself; where it may not, since the incident flaps or sleeps, it still may as a rise."""
    reopened = entry.kind is EntryKind.REOPENED and (incident.flapping or incident.snooze.snoozed)
    return entry.kind is EntryKind.STATUS or reopened


def _is_state(entry: Entry) -> bool:
    return entry.kind.row.thread == EntryKind.STATUS and bool(entry.data.get("new"))


def _is_quiet(card: Card, new: State, worst: State, now: float) -> bool:
    """Whether a reopening is the second in half an hour, and no worse than what was told since the first."""
    recent = card.reopening_pinged_at is not None and now - card.reopening_pinged_at < REOPEN_PING
    return recent and new.rank <= worst.rank


def _targets(card: Card, incident: Incident, entry: Entry, *, rise: bool, quiet: bool) -> tuple[str, ...]:
    """Whom the entry pings: a rise that still is one, and a reopening that is news."""
    if rise and incident.state.rank >= State(entry.data["new"]).rank:
        return card.mention.targets(incident.state)
    silent = quiet or incident.flapping or incident.snooze.snoozed or not incident.active
    if entry.kind is not EntryKind.REOPENED or silent:
        return ()
    return card.mention.targets(incident.state, reopened=True)


def _broadcasts(card: Card, entry: Entry, *, rise: bool) -> bool:
    words = {str(entry.kind), entry.kind.row.thread, *(("rise",) if rise else ())}
    return not _while_flapping(entry) and not words.isdisjoint(card.options.broadcast)


def _lines(entry: Entry) -> int:
    """How many lines of a reply an entry takes; tags and alerts take what is left, as a count at the worst."""
    match entry.kind:
        case EntryKind.COMMENT:
            return min(MAX_COMMENT_LINES, 1 + str(entry.data.get("text", "")).count("\n") + 1)
        case EntryKind.CHANGES:
            return min(MAX_LINES, len(entry.data.get("items", ())))
        case EntryKind.STATUS if _is_step(entry):
            return 0
        case _:
            return 1


def merge_entries(entries: Sequence[Entry], *, room: int = MAX_TAG_ITEMS) -> Iterator[Entry]:
    """The entries as they are told together: tags in one, alerts in one, many steps of state in one."""
    by_kind = {kind: [entry for entry in entries if entry.kind is kind] for kind in (EntryKind.TAGS, EntryKind.ALERTS)}
    steps = [entry for entry in entries if _is_step(entry)]
    if len(steps) > MAX_STATE_CHANGES:
        by_kind[EntryKind.STATUS] = steps
    for flapping, run in groupby(entries, key=_while_flapping):
        group = list(run)
        if flapping and len(group) > 1:
            yield _flapped(group)
            continue
        for entry in group:
            same = by_kind.get(entry.kind, [])
            if entry not in same:
                yield entry
            elif entry is same[-1]:
                yield from _together(entry.kind, same, room)


def _while_flapping(entry: Entry) -> bool:
    return entry.kind.row.thread == EntryKind.STATUS and bool(entry.data.get("while_flapping"))


def _is_step(entry: Entry) -> bool:
    """Whether it is a plain change of state, of which many in a row say less than the last."""
    return entry.kind is EntryKind.STATUS and "old" in entry.data and not _while_flapping(entry)


def _flapped(group: Sequence[Entry]) -> Entry:
    return replace(group[-1], kind=EntryKind.STATUS, data=_states_together(group, " while flapping"))


def _together(kind: EntryKind, entries: Sequence[Entry], room: int) -> Iterator[Entry]:
    match kind:
        case EntryKind.TAGS:
            data = _tags_together(entries, room)
        case EntryKind.ALERTS:
            data = _alerts_together(entries)
        case _:
            data = _states_together(entries)
    if data:
        yield replace(entries[-1], data=data)


def _states_together(entries: Sequence[Entry], how: str = "") -> dict[str, JSON]:
    text = f"changed state {len(entries)} times{how}"
    return {"text": text, "now": entries[-1].data.get("new"), "times": len(entries)}


def _tags_together(entries: Sequence[Entry], room: int) -> dict[str, JSON]:
    """From the first old value to the last new one; what ends where it began is not told."""
    changes: dict[str, dict[str, Any]] = {}
    for item in (item for entry in entries for item in entry.data["items"]):
        was = changes.pop(item["label"], item)["old"]
        changes[item["label"]] = {"label": item["label"], "old": was, "new": item["new"]}
    items = [item for item in changes.values() if item["old"] != item["new"]]
    named = max(3, min(MAX_TAG_ITEMS, room + 1))
    return {"items": items[-named:], "more": max(0, len(items) - named)} if items else {}


def _alerts_together(entries: Sequence[Entry]) -> dict[str, JSON]:
    counts: Mapping[str, int] = {
        word: sum(entry.data.get(word, 0) for entry in entries) for word in ("joined", "resolved", "returned", "left")
    }
    items = [item for entry in entries for item in entry.data.get("items", ())]
    return {**counts, "total": entries[-1].data.get("total"), "items": items[:MAX_LINES]}
