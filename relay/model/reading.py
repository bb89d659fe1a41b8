"""Read a record as the typed `Incident`, which depends on the record and on the labels for tags alone."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from relay.model.incident import CONFIRMED, Alert, Change, Incident, Person, Snooze, State, Tag, parse_state, worst_of
from relay.model.json_types import JSON
from relay.model.record import ALERT_PREFIX, Record, merge_alert, reports_resolved
from relay.model.struct import replace
from relay.model.tag_labels import NO_TAG_LABELS, TagLabels

_recent: deque[tuple[Record, TagLabels, Incident]] = deque(maxlen=8)
_recent_alerts: deque[tuple[JSON, tuple[Alert, ...]]] = deque(maxlen=8)
"""What was read last. One share reads the same record several times, and most shares repeat the alerts of the one
before. Records and block values never change, so identity is enough to recognise them."""


def read_incident(record: Record, tag_labels: TagLabels = NO_TAG_LABELS) -> Incident:
    """The incident that a record stands for, with the labels for its tags and their values."""
    for known, labels, incident in tuple(_recent):
        if known is record and labels is tag_labels:
            return incident
    incident = _read(record, tag_labels)
    _recent.append((record, tag_labels, incident))
    return incident


def read_episode(record: Record, episode: int, tag_labels: TagLabels = NO_TAG_LABELS) -> Incident:
    """The incident as that episode's cards show it: a later episode starts when the incident was reopened."""
    incident = read_incident(record, tag_labels)
    began = dict(record.episodes).get(episode)
    return incident if began is None else replace(incident, started=int(began))


_WRITTEN_TITLE = "bp_short_description"
"""The tag in which people write a title."""


def may_have_written_title(record: Record) -> bool:
    """Whether a tag for a title is there, in the incident or in one of its alerts: cheaper than reading them."""
    tags = [record.value("tags") or ()]
    for name, block in record.blocks.items():
        if name.startswith(ALERT_PREFIX):
            tags.append(block.value["tags"])
    tags += [alert["tags"] for alert in record.value("alerts") or ()]
    return any(tag[0].casefold() == _WRITTEN_TITLE for each in tags for tag in each)


def derive_title(incident: Incident) -> tuple[str, bool]:
    """The title that this snapshot gives, and whether somebody wrote it."""
    if (tag := incident.tag(_WRITTEN_TITLE)) and tag.value:
        return tag.value, True
    primary = incident.primary_alert
    if primary is None:
        return placeholder_title(incident.id), False
    if written := primary.values(_WRITTEN_TITLE):
        return ", ".join(written), True
    return primary.title, False


def placeholder_title(incident: str) -> str:
    """The title of an incident of which only the id is known."""
    return f"Incident {incident}"


def _read(record: Record, tag_labels: TagLabels) -> Incident:
    alerts = _alerts(record)
    block, severity = record.value("state") or {}, record.value("severity")
    state = _state(block, alerts)
    assignment = record.value("assignment") or {}
    changes = (Change(**{**each, "certainty": each["certainty"].upper()}) for each in record.value("changes") or ())
    related = (change for change in changes if change.certainty != "NONE")  # NONE: somebody rejected the relation
    omitted = _omitted(record)
    return Incident(
        id=record.incident,
        state=state,
        reported_status=block.get("status") or "",
        # The worst it ever was. It never falls, though BigPanda may report the severity of what is active now.
        severity=record.worst if severity is None else worst_of(record.worst, parse_state(severity)),
        active=state is not State.RESOLVED,
        flapping=bool(record.value("flapping")),
        snooze=Snooze(**(record.value("snooze") or {})),
        started=record.value("started"),
        changed=record.value("changed"),
        updated=record.value("updated"),
        ended=_ended(record, state),
        alerts=alerts,
        tags=_tags(record.value("tags") or (), tag_labels),
        links=record.value("links") or {},
        changes=tuple(sorted(related, key=lambda change: change.certainty != CONFIRMED)),
        assignee=_person(assignment.get("assignee")),
        assigner=_person(assignment.get("assigner")),
        title=record.title,
        environment=record.environment,
        sender=record.sender,
        note="" if state is not State.RESOLVED else record.note,
        environments=record.environments,
        headers=record.headers,
        omitted_alerts={state: omitted.pop(state) for state in State if state in omitted},
        omitted=omitted,
    )


def _omitted(record: Record) -> dict[str, int]:
    """What relay left out of the record, by what it is; of alerts by their state."""
    counts: Counter[str] = Counter()
    for name, block in record.blocks.items():
        for kind, number in (block.omitted or {}).items():
            counts["alert tags" if kind == "tags" and name != "tags" else _KINDS.get(kind, kind)] += number
    return dict(counts)


_KINDS = {"values": "tag values"}


def _state(block: Mapping[str, JSON], alerts: Sequence[Alert]) -> State:
    """The reported state; where no share reported a status, the worst active alert's."""
    if reports_resolved(block):
        return State.RESOLVED
    if (status := block.get("status")) is not None:
        return parse_state(status)
    return worst_of(*(alert.state for alert in alerts if alert.active), State.UNKNOWN)


def _ended(record: Record, state: State) -> int | None:
    """When it ended: as reported, else when the share that resolved it says that it changed."""
    if state is not State.RESOLVED:
        return None
    if (reported := record.value("ended")) is not None:
        return int(reported)
    return int(record.blocks["state"].as_of) if "state" in record.blocks else None


def _alerts(record: Record) -> tuple[Alert, ...]:
    """The list as last reported, with the updates that came since for single alerts."""
    whole = record.blocks.get("alerts")
    listed = whole.value or () if whole else ()
    updates = [
        block.value
        for name, block in record.blocks.items()
        if name.startswith(ALERT_PREFIX) and (whole is None or block.as_of >= whole.as_of)
    ]
    if not updates:
        return _listed_alerts(listed)
    alerts = {alert["id"]: alert for alert in listed}
    for update in updates:
        alerts[update["id"]] = merge_alert(alerts.get(update["id"], {}), update)
    return tuple(_alert(alert) for alert in alerts.values())


def _listed_alerts(values: Sequence[Mapping[str, JSON]]) -> tuple[Alert, ...]:
    for known, alerts in tuple(_recent_alerts):
        if known is values:
            return alerts
    alerts = tuple(_alert(alert) for alert in {alert["id"]: alert for alert in values}.values())
    _recent_alerts.append((values, alerts))
    return alerts


def _alert(value: Mapping[str, JSON]) -> Alert:
    state = parse_state(value["status"])
    active = value["active"] if value["active"] is not None else state is not State.RESOLVED
    return Alert(
        id=value["id"],
        state=state if active else State.RESOLVED,
        active=active and state is not State.RESOLVED,
        reported_status=value["status"],
        primary=value["primary"],
        secondary=value["secondary"],
        description=value["description"],
        source=value["source"],
        started=value["started"],
        changed=value["changed"],
        ended=value["ended"],
        tags={name: tuple(values) for name, values in value["tags"]},
    )


def _tags(values: Sequence[Sequence[JSON]], tag_labels: TagLabels) -> tuple[Tag, ...]:
    tags = []
    for tag_id, raw in values:
        labels = tag_labels.value_labels(tag_id)
        tags.append(Tag(id=tag_id, name=tag_labels.name(tag_id), values=tuple(labels.get(each, each) for each in raw)))
    return tuple(tags)


def _person(value: Mapping[str, str] | None) -> Person | None:
    return Person(**value) if value else None
