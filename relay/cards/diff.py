"""Decide what happened between two states of a record, as entries for the threads.

The comparison decides. The names in `event_types` count only where nothing else changed. An entry's data are plain
values. Every entry's template has `actor`, `old`, `new`, `text` and `items`, and what its kind adds:

    status      old, new: states; or text, where it started or stopped flapping (flapping: bool). A change of state
                while it flapped says so (while_flapping)
    resolved    old; lasted: seconds since the newest episode began, worst: state
    reopened    new; ended: Unix seconds, flapped: whether it flapped when it ended
    comment     text, actor
    assignment  old, new: names; actor; taken_over: whether the new one took it from the old one. Through relay also
                ping: the Slack id of the old one, if Slack knows them; ping_in: the channel in which they are pinged
    snooze      new: until when (Unix seconds, None where BigPanda does not say), snoozed: bool
    tags        items: [{label, old, new}]; more: how many others
    alerts      joined, resolved, returned, left, total: counts; items: [{title, state, was}]
    changes     items: [{identifier, summary, status, url, certainty, start, end, confirmed}]; confirmed: it was known
                and somebody has confirmed it now; more: how many others
    other       text
"""

from collections.abc import Iterator, Mapping, Sequence

from relay.bigpanda.webhook.share import Share
from relay.cards.merge import comment_time, is_new_comment
from relay.cards.model import Entry
from relay.model.bounds import LONGEST_NAMED, MAX_NAMED, bound_text, bound_texts
from relay.model.entry_kinds import EntryKind
from relay.model.incident import CONFIRMED, Incident, Person, State, worst_of
from relay.model.json_types import JSON
from relay.model.record import Record
from relay.rendering.context import tag_label

TAGS_SETTLE_FOR = 300.0
"""Seconds after the first share in which a new tag shows on the card only: BigPanda's enrichment takes minutes."""

_COMPARED_EVENTS = frozenset(
    {"new", "upserted", "removed", "snoozed", "unsnoozed", "commented", "reopen", "reopened", "become-flapping"}
    | {"closed", "resolved"}
)
"""Event names of what the comparison finds by itself."""
_EMPTY_EVENTS = frozenset({"updated", "manual", "default", "ticket-sync"})
"""Event names that say nothing about the incident (https://docs.bigpanda.io/en/notifications-webhook-v2.html)."""

_Happening = tuple[EntryKind, float, Mapping[str, JSON]]


def new_entries(  # noqa: PLR0913  all that the comparison needs
    before: Record | None, old: Incident | None, new: Incident, share: Share, next_seq: int, *, was_shared: bool = True
) -> list[Entry]:
    """The entries that this share adds, in their order. A comment is last, since it may answer the others.

    `old` is None for an incident's first share, which adds only what its card cannot show. An incident that relay knows
    by a card that it found in Slack (not `was_shared`) can only have changed its state.
    """
    happened: list[_Happening] = []
    if old and before:
        happened = list(_compare(old, new, share, before) if was_shared else _state(old, new, share.as_of, None))
    is_comment = is_new_comment(before, share)
    if old and was_shared and not happened and not is_comment:
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
        by_themselves = new.assigner == new.assignee
        taken_over = by_themselves and all(assignees.values())
        actor = "" if by_themselves else _name(new.assigner)
        yield EntryKind.ASSIGNMENT, at, {**assignees, "actor": actor, "taken_over": taken_over}
    if old.snooze != new.snooze and (new.snooze.snoozed or (old.snooze.snoozed and new.active)):
        yield EntryKind.SNOOZE, at, {"old": old.snooze.wake, "new": new.snooze.wake, "snoozed": new.snooze.snoozed}
    settling = share.received - before.first_received <= TAGS_SETTLE_FOR
    if items := _tags(old, new, settling=settling):
        yield EntryKind.TAGS, at, _named(items)
    if old.active == new.active and before.value("alerts") is not None and (data := _alerts(old, new)):
        yield EntryKind.ALERTS, at, data
    if items := _changes(old, new):
        yield EntryKind.CHANGES, at, _named(items)


def _named(items: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The first items, within bounds, and the number of the others."""
    more = {"more": len(items) - MAX_NAMED} if len(items) > MAX_NAMED else {}
    return {"items": [_shortened(item) for item in items[:MAX_NAMED]], **more}


def _shortened(item: Mapping[str, JSON]) -> dict[str, JSON]:
    """The item with short texts; an address stays whole, because a part of it is useless."""
    return bound_texts(item, LONGEST_NAMED) | ({"url": item["url"]} if "url" in item else {})


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


def _tags(old: Incident, new: Incident, *, settling: bool) -> list[dict[str, JSON]]:
    """What changed. A tag that is missing where relay left tags out may be one of these."""
    before, after = {tag.id: tag for tag in old.tags}, {tag.id: tag for tag in new.tags}
    items = []
    for tag in (after | {tag_id: tag for tag_id, tag in before.items() if tag_id not in after}).values():
        was = before[tag.id].value if tag.id in before else ""
        now = after[tag.id].value if tag.id in after else ""
        if (tag.id not in before and "tags" in old.omitted) or (tag.id not in after and "tags" in new.omitted):
            continue
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
    counts = {was: len(alerts) for was, alerts in groups.items()}
    if old.omitted_alerts or new.omitted_alerts:
        # Which alerts were left out is not known. Their number still says how many came or went in all.
        growth = new.alert_count - old.alert_count
        groups |= {"joined": [], "left": []}
        counts |= {"joined": max(0, growth), "left": max(0, -growth)}
    if not any(counts.values()):
        return {}
    items = [
        {"title": bound_text(alert.title, LONGEST_NAMED), "state": str(alert.state), "was": was}
        for was, alerts in groups.items()
        for alert in alerts
    ]
    return {**counts, "total": new.active_alert_count, "items": items[:MAX_NAMED]}


def _changes(old: Incident, new: Incident) -> list[dict[str, JSON]]:
    """The new changes, and the known ones that are confirmed now."""
    known = {change.id: change.certainty for change in old.changes}
    names = ("identifier", "summary", "status", "url", "certainty", "start", "end")
    return [
        {**{name: getattr(change, name) for name in names}, "confirmed": change.id in known}
        for change in new.changes
        if (change.id not in known and "changes" not in old.omitted)
        or (change.certainty == CONFIRMED and known.get(change.id, CONFIRMED) != CONFIRMED)
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
    if left_out := share.omitted.get("events"):
        yield EntryKind.OTHER, share.as_of, {"text": f"{left_out['events']:,} more events"}


def _is_autoshare(person: Person) -> bool:
    """Whether BigPanda itself shared, by a rule, and not a person."""
    return any("autoshare" in text.casefold().replace(" ", "") for text in (person.name, person.email))


def _name(person: Person | None) -> str:
    return person.display_name if person else ""
