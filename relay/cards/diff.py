"""What happened between two states of the record, as entries to be told in threads.

What is said is decided by comparing; the names in `event_types` only speak where nothing else does. An entry's data are
plain values; every template of an entry finds `actor`, `old`, `new`, `text` and `items` in it, and what is listed here:

    status      old, new: states; or text, where it began or ceased to flap (flapping: bool). A change of state that
                happened while it flapped says so (while_flapping)
    resolved    old; lasted: seconds since the newest episode began, worst: state
    reopened    new; ended: Unix seconds, flapped: whether it flapped when it ended
    comment     text, actor
    assignment  old, new: names; actor
    snooze      new: until when (Unix seconds, None where BigPanda does not say), snoozed: bool
    tags        items: [{label, old, new}]
    alerts      joined, resolved, returned, left, total: counts; items: [{title, state, was}]
    changes     items: [{identifier, summary, status, url, certainty, start, end, confirmed}]; confirmed: it was known,
                and somebody says now that it matters
    other       text
"""

from collections.abc import Iterator, Mapping, Sequence

from relay.bigpanda.webhook.share import Share
from relay.cards.merge import comment_time, is_new_comment
from relay.cards.model import Entry, EntryKind
from relay.model.incident import CONFIRMED, JSON, Alert, Change, Incident, Person, Record, State, Tag
from relay.rendering.context import tag_label

TAGS_SETTLE_FOR = 300.0
"""Seconds after the first share in which a new tag only shows on the card: BigPanda's enrichment takes minutes."""

_ITEMS = 20
"""How many alerts an entry names; it counts them all."""

_TOLD_BY_COMPARING = frozenset(
    {"new", "upserted", "removed", "snoozed", "unsnoozed", "commented", "reopen", "reopened", "become-flapping"}
    | {"closed", "resolved"}
)
"""Event names of what the snapshot shows, if it is so."""
_NOTHING = frozenset({"updated", "manual", "default", "ticket-sync"})
"""Event names that say nothing a reader would want (https://docs.bigpanda.io/en/notifications-webhook-v2.html)."""

Happening = tuple[EntryKind, float, Mapping[str, JSON]]


def new_entries(before: Record | None, old: Incident | None, new: Incident, share: Share, next_seq: int) -> list[Entry]:
    """The entries that this share adds, in the order in which they are told: comments last, since they answer the rest.

    `old` is None for an incident's first share: of that only what the card cannot show is told.
    """
    told = list(_compared(old, new, share, before)) if old and before else []
    if old and not told and not is_new_comment(before, share):
        told = list(_unknown_events(share))
    if is_new_comment(before, share):
        told.append((EntryKind.COMMENT, comment_time(share), {"text": share.comment, "actor": _author(share.sender)}))
    return [
        Entry(seq=next_seq + index, key=f"{kind}:{share.hash}:{index}", kind=kind, at=at, data=data)
        for index, (kind, at, data) in enumerate(told)
    ]


def _compared(old: Incident, new: Incident, share: Share, before: Record) -> Iterator[Happening]:
    at = share.as_of
    _, began = before.episodes[-1] if before.episodes else (1, new.started)
    yield from _state(old, new, at, began)
    yield from _assignment(old, new, at)
    yield from _snooze(old, new, at)
    settling = share.received - before.first_received <= TAGS_SETTLE_FOR
    if items := _tags(old.tags, new.tags, settling=settling):
        yield EntryKind.TAGS, at, {"items": items}
    if old.active == new.active and before.value("alerts") is not None and (data := _alerts(old, new)):
        yield EntryKind.ALERTS, at, data
    if items := _changes(old.changes, new.changes):
        yield EntryKind.CHANGES, at, {"items": items}


def _state(old: Incident, new: Incident, at: float, began: float | None) -> Iterator[Happening]:
    states: dict[str, JSON] = {"old": str(old.state), "new": str(new.state)}
    if new.flapping:
        states["while_flapping"] = True
    if new.state is State.RESOLVED and old.active:
        ended = float(new.ended or at)
        lasted = ended - began if began is not None and began <= ended else None
        worst = max(old.severity, new.severity, old.state, key=lambda state: state.rank)
        yield EntryKind.RESOLVED, ended, states | {"lasted": lasted, "worst": str(worst)}
        return
    if old.state is State.RESOLVED and new.active:
        yield EntryKind.REOPENED, at, states | {"ended": old.ended, "flapped": old.flapping}
    elif old.state is not new.state:
        yield EntryKind.STATUS, at, states
    if old.flapping is not new.flapping and new.active:
        text = "began to flap" if new.flapping else "ceased to flap"
        yield EntryKind.STATUS, at, {"text": text, "flapping": new.flapping}


def _assignment(old: Incident, new: Incident, at: float) -> Iterator[Happening]:
    if _who(old.assignee) == _who(new.assignee):
        return
    assigner = new.assigner if new.assigner != new.assignee else None
    yield (
        EntryKind.ASSIGNMENT,
        at,
        {"old": _who(old.assignee), "new": _who(new.assignee), "actor": _who(assigner)},
    )


def _snooze(old: Incident, new: Incident, at: float) -> Iterator[Happening]:
    if old.snooze == new.snooze or (not new.snooze.snoozed and not old.snooze.snoozed):
        return
    if new.snooze.snoozed or new.active:
        yield EntryKind.SNOOZE, at, {"old": old.snooze.wake, "new": new.snooze.wake, "snoozed": new.snooze.snoozed}


def _tags(old: Sequence[Tag], new: Sequence[Tag], *, settling: bool) -> list[dict[str, JSON]]:
    before = {tag.id: tag for tag in old}
    after = {tag.id: tag for tag in new}
    items = []
    for tag in [*after.values(), *(tag for tag in before.values() if tag.id not in after)]:
        was = before[tag.id].value if tag.id in before else ""
        now = after[tag.id].value if tag.id in after else ""
        if was == now or (not was and (settling or tag.name == "bp_short_description")):
            continue
        items.append({"label": tag_label(tag.name), "old": was, "new": now})
    return items


def _alerts(old: Incident, new: Incident) -> dict[str, JSON]:
    before = {alert.id: alert for alert in old.alerts}
    after = {alert.id: alert for alert in new.alerts}
    joined = [alert for alert in after.values() if alert.id not in before and alert.active]
    ended = [alert for alert in after.values() if alert.id in before and before[alert.id].active and not alert.active]
    returned = [
        alert for alert in after.values() if alert.id in before and not before[alert.id].active and alert.active
    ]
    left = [alert for alert in before.values() if alert.id not in after]
    if not (joined or ended or returned or left):
        return {}
    named = [
        *_named(joined, "joined"),
        *_named(returned, "returned"),
        *_named(ended, "resolved"),
        *_named(left, "left"),
    ]
    return {
        "joined": len(joined),
        "resolved": len(ended),
        "returned": len(returned),
        "left": len(left),
        "total": len(new.active_alerts),
        "items": named[:_ITEMS],
    }


def _named(alerts: Sequence[Alert], was: str) -> list[dict[str, JSON]]:
    return [{"title": alert.title, "state": str(alert.state), "was": was} for alert in alerts]


def _changes(old: Sequence[Change], new: Sequence[Change]) -> list[dict[str, JSON]]:
    """What is new, and what was known already and is confirmed now."""
    known = {change.id: change.certainty for change in old}
    return [
        _change(change, confirmed=change.id in known)
        for change in new
        if change.id not in known or (change.certainty == CONFIRMED and known[change.id] != CONFIRMED)
    ]


def _change(change: Change, *, confirmed: bool) -> dict[str, JSON]:
    return {
        "identifier": change.identifier,
        "summary": change.summary,
        "status": change.status,
        "url": change.url,
        "certainty": change.certainty,
        "start": change.start,
        "end": change.end,
        "confirmed": confirmed,
    }


def _unknown_events(share: Share) -> Iterator[Happening]:
    seen: set[str] = set()
    for event in share.events:
        _, _, last = event.name.rpartition("#")
        word = last.strip().casefold()
        if word and word not in _TOLD_BY_COMPARING | _NOTHING | seen:
            seen.add(word)
            yield EntryKind.OTHER, event.at or share.as_of, {"text": _in_words(last)}


def _in_words(name: str) -> str:
    """An event's name as something that happened: `become-stale` is "became stale"."""
    first, *rest = name.strip().replace("-", " ").replace("_", " ").split()
    return " ".join(["became" if first.casefold() == "become" else first, *rest])


def _author(sender: Person | None) -> str:
    """Who commented: the sender of the share, unless that is BigPanda's own AutoShare."""
    return "" if sender is None or is_autoshare(sender) else sender.display_name


def is_autoshare(person: Person) -> bool:
    """Whether BigPanda itself shared, by a rule, and not somebody."""
    return any("autoshare" in text.casefold().replace(" ", "") for text in (person.name, person.email))


def _who(person: Person | None) -> str:
    return person.display_name if person else ""
