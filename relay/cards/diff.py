"""Decide what happened between two states of a record, as entries for the threads.

The comparison decides. The names in `event_types` count only where nothing else changed. An entry's data are plain
values. Every entry's template has `actor`, `old`, `new`, `text` and `items`, and what its kind adds:

    status      old, new: states; or text, where it started or stopped flapping (flapping: bool). A change of state
                while it flapped says so (while_flapping)
    resolved    old; lasted: seconds since the newest episode began, worst: state
    reopened    new; ended: Unix seconds, flapped: whether it flapped when it ended
    comment     text, actor
    assignment  old, new: names; actor
    snooze      new: until when (Unix seconds, None where BigPanda does not say), snoozed: bool
    tags        items: [{label, old, new}]
    alerts      joined, resolved, returned, left, total: counts; items: [{title, state, was}]
    changes     items: [{identifier, summary, status, url, certainty, start, end, confirmed}]; confirmed: it was known
                and somebody has confirmed it now
    other       text
"""

from collections.abc import Iterator, Mapping, Sequence

from relay.bigpanda.webhook.share import Share
from relay.cards.merge import comment_time, is_new_comment
from relay.cards.model import Entry
from relay.model.entry_kinds import EntryKind
from relay.model.incident import CONFIRMED, Change, Incident, Person, State, Tag, worst_of
from relay.model.json_types import JSON
from relay.model.record import Record
from relay.rendering.context import tag_label

TAGS_SETTLE_FOR = 300.0
"""Seconds after the first share in which a new tag shows on the card only: BigPanda's enrichment takes minutes."""

_MAX_ITEMS = 20
"""How many alerts an entry names; it counts all of them."""

_COMPARED_EVENTS = frozenset(
    {"new", "upserted", "removed", "snoozed", "unsnoozed", "commented", "reopen", "reopened", "become-flapping"}
    | {"closed", "resolved"}
)
"""Event names of what the comparison finds by itself."""
_EMPTY_EVENTS = frozenset({"updated", "manual", "default", "ticket-sync"})
"""Event names that say nothing about the incident (https://docs.bigpanda.io/en/notifications-webhook-v2.html)."""

_Happening = tuple[EntryKind, float, Mapping[str, JSON]]


def new_entries(before: Record | None, old: Incident | None, new: Incident, share: Share, next_seq: int) -> list[Entry]:
    """The entries that this share adds, in their order. A comment is last, since it may answer the others.

    `old` is None for an incident's first share, which adds only what its card cannot show.
    """
    happened = list(_compare(old, new, share, before)) if old and before else []
    is_comment = is_new_comment(before, share)
    if old and not happened and not is_comment:
        happened = list(_other_events(share))
    if is_comment:
        sender = None if share.sender is None or _is_autoshare(share.sender) else share.sender
        happened.append((EntryKind.COMMENT, comment_time(share), {"text": share.comment, "actor": _name(sender)}))
    return [
        Entry(seq=next_seq + index, key=f"{kind}:{share.hash}:{index}", kind=kind, at=at, data=data)
        for index, (kind, at, data) in enumerate(happened)
    ]


def _compare(old: Incident, new: Incident, share: Share, before: Record) -> Iterator[_Happening]:
    at = share.as_of
    _, began = before.episodes[-1] if before.episodes else (1, new.started)
    yield from _state(old, new, at, began)
    assignees = {"old": _name(old.assignee), "new": _name(new.assignee)}
    if assignees["old"] != assignees["new"]:
        assigner = new.assigner if new.assigner != new.assignee else None
        yield EntryKind.ASSIGNMENT, at, {**assignees, "actor": _name(assigner)}
    if old.snooze != new.snooze and (new.snooze.snoozed or (old.snooze.snoozed and new.active)):
        yield EntryKind.SNOOZE, at, {"old": old.snooze.wake, "new": new.snooze.wake, "snoozed": new.snooze.snoozed}
    settling = share.received - before.first_received <= TAGS_SETTLE_FOR
    if items := _tags(old.tags, new.tags, settling=settling):
        yield EntryKind.TAGS, at, {"items": items}
    if old.active == new.active and before.value("alerts") is not None and (data := _alerts(old, new)):
        yield EntryKind.ALERTS, at, data
    if items := _changes(old.changes, new.changes):
        yield EntryKind.CHANGES, at, {"items": items}


def _state(old: Incident, new: Incident, at: float, began: float | None) -> Iterator[_Happening]:
    states: dict[str, JSON] = {"old": str(old.state), "new": str(new.state)}
    if new.flapping:
        states["while_flapping"] = True
    if new.state is State.RESOLVED and old.active:
        ended = float(new.ended or at)
        lasted = ended - began if began is not None and began <= ended else None
        worst = worst_of(old.severity, new.severity, old.state)
        yield EntryKind.RESOLVED, ended, states | {"lasted": lasted, "worst": str(worst)}
        return
    if old.state is State.RESOLVED and new.active:
        yield EntryKind.REOPENED, at, states | {"ended": old.ended, "flapped": old.flapping}
    elif old.state is not new.state:
        yield EntryKind.STATUS, at, states
    if old.flapping is not new.flapping and new.active:
        text = "started flapping" if new.flapping else "stopped flapping"
        yield EntryKind.STATUS, at, {"text": text, "flapping": new.flapping}


def _tags(old: Sequence[Tag], new: Sequence[Tag], *, settling: bool) -> list[dict[str, JSON]]:
    before, after = {tag.id: tag for tag in old}, {tag.id: tag for tag in new}
    items = []
    for tag in (after | {tag_id: tag for tag_id, tag in before.items() if tag_id not in after}).values():
        was = before[tag.id].value if tag.id in before else ""
        now = after[tag.id].value if tag.id in after else ""
        if was == now or (not was and (settling or tag.name == "bp_short_description")):
            continue
        items.append({"label": tag_label(tag.name), "old": was, "new": now})
    return items


def _alerts(old: Incident, new: Incident) -> dict[str, JSON]:
    before = {alert.id: alert for alert in old.alerts}
    after = {alert.id: alert for alert in new.alerts}
    stayed = [(before[name], alert) for name, alert in after.items() if name in before]
    groups = {
        "joined": [alert for name, alert in after.items() if name not in before and alert.active],
        "returned": [alert for was, alert in stayed if alert.active and not was.active],
        "resolved": [alert for was, alert in stayed if was.active and not alert.active],
        "left": [alert for name, alert in before.items() if name not in after],
    }
    if not any(groups.values()):
        return {}
    items = [
        {"title": alert.title, "state": str(alert.state), "was": was}
        for was, alerts in groups.items()
        for alert in alerts
    ]
    counts = {was: len(alerts) for was, alerts in groups.items()}
    return {**counts, "total": len(new.active_alerts), "items": items[:_MAX_ITEMS]}


def _changes(old: Sequence[Change], new: Sequence[Change]) -> list[dict[str, JSON]]:
    """What is new, and what was known already and is confirmed now."""
    known = {change.id: change.certainty for change in old}
    names = ("identifier", "summary", "status", "url", "certainty", "start", "end")
    return [
        {**{name: getattr(change, name) for name in names}, "confirmed": change.id in known}
        for change in new
        if change.id not in known or (change.certainty == CONFIRMED and known[change.id] != CONFIRMED)
    ]


def _other_events(share: Share) -> Iterator[_Happening]:
    """What the events say in words: `become-stale` is "became stale"."""
    known = set(_COMPARED_EVENTS | _EMPTY_EVENTS)
    for event in share.events:
        _, _, name = event.name.rpartition("#")
        words = name.replace("-", " ").replace("_", " ").split()
        if words and (key := name.strip().casefold()) not in known:
            known.add(key)
            first = "became" if words[0].casefold() == "become" else words[0]
            yield EntryKind.OTHER, event.at or share.as_of, {"text": " ".join([first, *words[1:]])}


def _is_autoshare(person: Person) -> bool:
    """Whether BigPanda itself shared, by a rule, and not a person."""
    return any("autoshare" in text.casefold().replace(" ", "") for text in (person.name, person.email))


def _name(person: Person | None) -> str:
    return person.display_name if person else ""
