"""The nouns: an incident as relay keeps it (`Record`) and as routes and templates read it (`Incident`).

A record is a map of *blocks*. A block is one thing that a share can tell (the state, the tags, the alerts, ...) with
the *news*, the moment of BigPanda's clock up to which it is known. Blocks hold plain JSON values, so that a record can
be written down as it is; `read` turns a record into the typed `Incident`, which is a function of the record and of the
words for tags (`Words`) alone.

Block names and the shape of their values (`None` means: told to be empty):

    state       {"status": str | None, "resolved": bool | None, "active": bool | None}, read together from one share
    severity    str | None, the raw word
    flapping    bool | None
    snooze      {"snoozed": bool, "wake": int | None} | None
    started, changed, updated
                int | None, Unix seconds
    ended       int | None, Unix seconds; None also where a share told that the incident is open
    alerts      [alert, ...], the whole list; `alert:<id>` is one alert told on its own, which updates that alert
    tags        [[id, [value, ...]], ...], in BigPanda's order
    links       {name: url}, `landing_page` among them
    changes     [change, ...]
    assignment  {"assignee": person | None, "assigner": person | None}

    alert       {"id", "status", "active": bool | None, "started", "changed", "ended": int | None, "primary",
    "secondary":
                tag name, "source", "description": str, "tags": [[name, [value, ...]], ...]}
    change      {"id", "identifier", "summary", "status", "url", "certainty", "comment", "source": str,
                "start", "end": int | None}
    person      {"name", "email", "id": str}
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from math import inf
from typing import Any, Final

JSON = Any
"""Whatever JSON can hold: blocks are checked where they are parsed."""
TagValueLabels = Mapping[str, Mapping[str, str]]
"""`tag_values` of routes.yaml: tag (id or readable name, casefolded) -> raw value as text -> word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDefinition:
    """BigPanda's definition of an incident tag: what people call it, and its ranks as people know them.

    `ranks` is raw value as text -> word. https://docs.bigpanda.io/reference/incident-tags-definitions-object
    """

    id: str
    name: str = ""
    ranks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLabels:
    """How tags are called and what their raw values mean: as the operator says, else as BigPanda defines it.

    `definitions` stand under the tag's id, casefolded.
    """

    values: TagValueLabels = field(default_factory=dict)
    definitions: Mapping[str, TagDefinition] = field(default_factory=dict)

    def name(self, tag_id: str) -> str:
        """A tag's name for people."""
        defined = self.definitions.get(tag_id.casefold())
        return defined.name if defined and defined.name else readable_tag_name(tag_id)

    def value_labels(self, tag_id: str) -> Mapping[str, str]:
        """The words for a tag's raw values."""
        own = self.values.get(tag_id.casefold()) or self.values.get(self.name(tag_id).casefold())
        defined = self.definitions.get(tag_id.casefold())
        return own or (defined.ranks if defined else {})


NO_TAG_LABELS = TagLabels()


class State(StrEnum):
    """What relay shows and matches, from the least to the worst (the order of `min` and `max` in `match`)."""

    RESOLVED = "resolved"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 (resolved) to 4 (critical)."""
        return _RANKS[self]


_RANKS = {state: rank for rank, state in enumerate(State)}
_WORDS = {
    "critical": State.CRITICAL,
    "warning": State.WARNING,
    "acknowledged": State.ACKNOWLEDGED,
    "ok": State.RESOLVED,
    "resolved": State.RESOLVED,
    "closed": State.RESOLVED,
}


@lru_cache(maxsize=256)
def parse_state(word: str | None) -> State:
    """The state that BigPanda's status word stands for, in any case; a word nobody knows is `unknown`."""
    return _WORDS.get((word or "").strip().casefold(), State.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody whom BigPanda names; each field may be empty, not all of them."""

    name: str = ""
    email: str = ""
    id: str = ""

    @property
    def display_name(self) -> str:
        """What people call them."""
        return self.name or self.email or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A BigPanda environment; either part may be empty, not both."""

    name: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """Whether the incident sleeps, and until when (Unix seconds), where BigPanda says so."""

    snoozed: bool = False
    wake: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """An incident tag. `name` is the readable name, `values` are people's words where it has any."""

    id: str
    name: str
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        """All values on one line."""
        return ", ".join(self.values)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One correlated alert; times are Unix seconds."""

    id: str
    state: State
    active: bool
    reported_status: str = ""
    primary: str = ""
    secondary: str = ""
    description: str = ""
    source: str = ""
    started: int | None = None
    changed: int | None = None
    ended: int | None = None
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of the tag of that name (any case); empty where there is none."""
        return self._folded.get(name.casefold(), ())

    @cached_property
    def _folded(self) -> dict[str, tuple[str, ...]]:
        return {name.casefold(): values for name, values in self.tags.items()}

    @cached_property
    def subject(self) -> str:
        """The value of the primary property: what is broken (a host, a service)."""
        return self._property(self.primary, ("host", "service", "application", "device"))

    @cached_property
    def aspect(self) -> str:
        """The value of the secondary property: what about it is broken (a check, a sensor)."""
        return self._property(self.secondary, ("check", "sensor"))

    @cached_property
    def title(self) -> str:
        """How BigPanda's console titles it: subject and aspect; else its description, else its id."""
        parts = [part for part in (self.subject, self.aspect) if part]
        return " · ".join(parts) or self.description or self.id

    def _property(self, name: str, precedence: Sequence[str]) -> str:
        """BigPanda falls back to a fixed order of tags where a property is not set (docs: primary_property)."""
        for candidate in (name, *precedence) if name else precedence:
            if values := self.values(candidate):
                return ", ".join(values)
        return ""


CONFIRMED: Final = "MATCH"
"""A change's certainty where somebody confirmed that it is related."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change related to the incident (Root Cause Changes).

    `certainty` is SUSPECT where BigPanda suspects it, MATCH where somebody confirmed that
    (https://docs.bigpanda.io/docs/correlating-changes-with-incidents).
    """

    id: str
    identifier: str = ""
    summary: str = ""
    status: str = ""
    url: str = ""
    certainty: str = ""
    comment: str = ""
    source: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What is known of one part of an incident, and up to when."""

    as_of: float
    value: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingAction:
    """What somebody did through relay, and no share has confirmed yet: `who` is named when one does.

    `kind` is the errand's (`assign`, `comment`, `snooze`, `resolve`, `reply`) and `key` its key; `at` is Unix seconds.
    `person` is BigPanda's id of whom it was assigned to, `until` when a snooze ends, `text` what the person wrote,
    `sent` the hash of the comment as BigPanda was sent it, and `channel` where a thread says it already.
    """

    key: str
    kind: str
    actor: str
    at: float
    assignee_id: str = ""
    until: int | None = None
    text: str = ""
    sent_hash: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What relay knows of an incident; folding shares into it is `planning`'s work.

    `title`, `environment` and `sender` are fixed by the first share that arrives, so that an eye finds the card again;
    `title_late` says that the title may still change once, when `bp_short_description` arrives late. `environments` and
    `headers` add up over all shares, and `worst` is the worst that any of them told, as state or as severity.
    `comments` remembers told comments as (hash of the text, Unix seconds). `integrations` are those that it came
    through, `environment_id` is the newest id of an environment of it, by which BigPanda's API finds it, and `deeds`
    are what waits to be confirmed. `episodes` are the later ones as (number, Unix seconds of the share that began it).
    """

    incident: str
    blocks: Mapping[str, Block] = field(default_factory=dict)
    environments: tuple[Environment, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""
    title_provisional: bool = False
    environment: Environment | None = None
    sender: Person | None = None
    first_received: float = 0.0
    comments: tuple[tuple[str, float], ...] = ()
    worst: State = State.RESOLVED
    integrations: tuple[str, ...] = ()
    environment_id: str = ""
    pending_actions: tuple[PendingAction, ...] = ()
    episodes: tuple[tuple[int, float], ...] = ()

    def value(self, block: str) -> JSON:
        """The value of a block; None where nothing told it, and where it was told to be empty."""
        found = self.blocks.get(block)
        return None if found is None else found.value


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An incident as routes and templates read it. Times are Unix seconds."""

    id: str
    state: State
    reported_status: str
    severity: State
    active: bool
    flapping: bool = False
    snooze: Snooze = Snooze()
    started: int | None = None
    changed: int | None = None
    updated: int | None = None
    ended: int | None = None
    alerts: tuple[Alert, ...] = ()
    tags: tuple[Tag, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    assignee: Person | None = None
    assigner: Person | None = None
    title: str = ""
    environment: Environment | None = None
    sender: Person | None = None
    environments: tuple[Environment, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def active_alerts(self) -> tuple[Alert, ...]:
        """The alerts that are still on."""
        return tuple(alert for alert in self.alerts if alert.active)

    @cached_property
    def worst_alerts(self) -> tuple[Alert, ...]:
        """The active alerts (all of them where none is active), worst first, then oldest first."""
        alerts = self.active_alerts or self.alerts
        return tuple(sorted(alerts, key=_worst_first))

    @property
    def primary_alert(self) -> Alert | None:
        """BigPanda's primary alert: the oldest of the most severe (docs: dynamic-variables)."""
        return self.worst_alerts[0] if self.worst_alerts else None

    @cached_property
    def counts(self) -> str:
        """BigPanda's summary line in relay's words: `3 alerts: 2 critical, 1 resolved`; empty without alerts."""
        total = len(self.alerts)
        if not total:
            return ""
        tally = {state: sum(alert.state is state for alert in self.alerts) for state in reversed(State)}
        told = ", ".join(f"{number} {state}" for state, number in tally.items() if number)
        if total == 1:
            return f"1 alert: {self.alerts[0].state}"
        return f"{total} alerts: {told}"

    def tag(self, key: str) -> Tag | None:
        """The incident tag of that id or readable name, in any case."""
        return self._tags.get(key.casefold())

    @cached_property
    def _tags(self) -> dict[str, Tag]:
        by_name = {tag.name.casefold(): tag for tag in reversed(self.tags)}
        return by_name | {tag.id.casefold(): tag for tag in reversed(self.tags)}


def _worst_first(alert: Alert) -> tuple[int, float, str]:
    """One of which nobody knows when it began is not the oldest."""
    return -alert.state.rank, inf if alert.started is None else alert.started, alert.id


_INTERNAL_ID = re.compile(r"itd_(?P<name>.+?)(?:_\d+)?")


@lru_cache(maxsize=1024)
def readable_tag_name(tag_id: str) -> str:
    """A tag's name for people, where no definition gives it: `itd_priority_1` is `priority`."""
    match = _INTERNAL_ID.fullmatch(tag_id)
    return match["name"] if match else tag_id


_recent: deque[tuple[Record, TagLabels, Incident]] = deque(maxlen=8)
_recent_alerts: deque[tuple[JSON, tuple[Alert, ...]]] = deque(maxlen=8)
"""What was read last. One share asks for the same record several times over, and mostly tells the same alerts as the
one before it; neither a record nor a block's value ever changes, and each is known by being the very same one."""


def read_incident(record: Record, words: TagLabels = NO_TAG_LABELS) -> Incident:
    """The incident that a record stands for, with people's words for its tags and their values."""
    for known, spoken, incident in tuple(_recent):
        if known is record and spoken is words:
            return incident
    incident = _read(record, words)
    _recent.append((record, words, incident))
    return incident


def read_episode(record: Record, episode: int, words: TagLabels = NO_TAG_LABELS) -> Incident:
    """The incident as that episode's cards tell it: a later one started when the incident was reopened."""
    incident = read_incident(record, words)
    began = dict(record.episodes).get(episode)
    return incident if began is None else replace(incident, started=int(began))


def _read(record: Record, words: TagLabels) -> Incident:
    alerts = _alerts(record)
    state = record.value("state") or {}
    status = state.get("status")
    found = _state(state, alerts)
    assignment = record.value("assignment") or {}
    return Incident(
        id=record.incident,
        state=found,
        reported_status=status or "",
        severity=_severity(record),
        active=found is not State.RESOLVED,
        flapping=bool(record.value("flapping")),
        snooze=Snooze(**(record.value("snooze") or {})),
        started=record.value("started"),
        changed=record.value("changed"),
        updated=record.value("updated"),
        ended=_ended(record, found),
        alerts=alerts,
        tags=_read_tags(record.value("tags") or (), words),
        links=record.value("links") or {},
        changes=_read_changes(record.value("changes") or ()),
        assignee=_person(assignment.get("assignee")),
        assigner=_person(assignment.get("assigner")),
        title=record.title,
        environment=record.environment,
        sender=record.sender,
        environments=record.environments,
        headers=record.headers,
    )


def derive_title(incident: Incident) -> tuple[str, bool]:
    """The title that this snapshot gives, and whether it is the one somebody wrote (`bp_short_description`)."""
    if (tag := incident.tag("bp_short_description")) and tag.value:
        return tag.value, True
    primary = incident.primary_alert
    if primary is None:
        return f"Incident {incident.id}", False
    if written := primary.values("bp_short_description"):
        return ", ".join(written), True
    return primary.title, False


def reports_resolved(state: Mapping[str, JSON]) -> bool:
    """Whether a block `state` says in any way that the incident is resolved."""
    if state.get("resolved") is True or state.get("active") is False:
        return True
    status = state.get("status")
    return status is not None and parse_state(status) is State.RESOLVED


def _state(block: Mapping[str, JSON], alerts: Sequence[Alert]) -> State:
    """Where a share told no status at all, the worst active alert speaks."""
    if reports_resolved(block):
        return State.RESOLVED
    if (status := block.get("status")) is not None:
        return parse_state(status)
    active = [alert.state for alert in alerts if alert.active]
    return max(active, key=lambda state: state.rank, default=State.UNKNOWN)


def _severity(record: Record) -> State:
    """The worst it ever was: it does not fall, though BigPanda may tell the severity of what is active now."""
    told = record.value("severity")
    return record.worst if told is None else max(record.worst, parse_state(told), key=lambda state: state.rank)


def _ended(record: Record, state: State) -> int | None:
    """When it ended: as told, else when the share that resolved it says that it changed."""
    if state is not State.RESOLVED:
        return None
    told = record.value("ended")
    if told is not None:
        return int(told)
    return int(record.blocks["state"].as_of) if "state" in record.blocks else None


def _alerts(record: Record) -> tuple[Alert, ...]:
    """The list as told last, with the alerts that were told on their own since."""
    whole = record.blocks.get("alerts")
    listed = whole.value or () if whole else ()
    updates = [
        block.value
        for name, block in record.blocks.items()
        if name.startswith("alert:") and (whole is None or block.as_of >= whole.as_of)
    ]
    if not updates:
        return _listed(listed)
    alerts = {alert["id"]: alert for alert in listed}
    for update in updates:
        alerts[update["id"]] = merge_alert(alerts.get(update["id"], {}), update)
    return tuple(_alert(alert) for alert in alerts.values())


def merge_alert(known: Mapping[str, JSON], told: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """An alert told on its own changes what it tells, and no more: a template may give nothing but its status."""
    silent = {name for name, value in told.items() if value in (None, "", [])}
    if told["status"] or told["active"] is not None:
        silent -= {"status", "active", "ended"}  # read together, as the incident's own state is
    return {**told, **{name: known[name] for name in silent & known.keys()}}


def _listed(told: Sequence[Mapping[str, JSON]]) -> tuple[Alert, ...]:
    for known, alerts in tuple(_recent_alerts):
        if known is told:
            return alerts
    by_id = {alert["id"]: alert for alert in told}
    alerts = tuple(_alert(alert) for alert in by_id.values())
    _recent_alerts.append((told, alerts))
    return alerts


def _alert(told: Mapping[str, JSON]) -> Alert:
    state = parse_state(told["status"])
    active = told["active"] if told["active"] is not None else state is not State.RESOLVED
    return Alert(
        id=told["id"],
        state=state if active else State.RESOLVED,
        active=active and state is not State.RESOLVED,
        reported_status=told["status"],
        primary=told["primary"],
        secondary=told["secondary"],
        description=told["description"],
        source=told["source"],
        started=told["started"],
        changed=told["changed"],
        ended=told["ended"],
        tags={name: tuple(values) for name, values in told["tags"]},
    )


def _read_tags(told: Sequence[Sequence[JSON]], words: TagLabels) -> tuple[Tag, ...]:
    tags = []
    for tag_id, values in told:
        spoken = words.value_labels(tag_id)
        tags.append(Tag(id=tag_id, name=words.name(tag_id), values=tuple(spoken.get(value, value) for value in values)))
    return tuple(tags)


def _read_changes(told: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The related ones, those first that somebody confirmed; what somebody rejected (NONE) is not related."""
    changes = [Change(**{**change, "certainty": change["certainty"].upper()}) for change in told]
    related = (change for change in changes if change.certainty != "NONE")
    return tuple(sorted(related, key=lambda change: change.certainty != CONFIRMED))


def _person(told: Mapping[str, str] | None) -> Person | None:
    return Person(**told) if told else None
