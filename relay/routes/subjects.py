"""What a `match` looks at: for each key of it, the values that an incident has there."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from relay.model.incident import Alert, Incident, State
from relay.routes.operators import SubjectValues


class ValueType(Enum):
    """What the values of a subject are, and so what may be asked of them."""

    TEXT = auto()
    STATE = auto()
    NUMBER = auto()
    FLAG = auto()


class IncidentFacts:
    """One incident as routes see it; each thing is read once, however many routes ask for it."""

    __slots__ = ("_seen", "incident", "status")

    def __init__(self, incident: Incident, status: State | None = None) -> None:
        """Take an incident, and what `status` is to be in place of its state."""
        self.incident = incident
        self.status = incident.state if status is None else status
        self._seen: dict[str, SubjectValues] = {}

    def seen(self, subject: "Subject") -> SubjectValues:
        """The values of that subject; none where it is absent."""
        found = self._seen.get(subject.key)
        if found is None:
            found = self._seen[subject.key] = SubjectValues(tuple(subject.read(self)))
        return found

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that count: the active ones, all of them where none is active."""
        return self.incident.active_alerts or self.incident.alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing to look at. `label` names it as the file does; equal keys are the same thing."""

    label: str
    key: str
    kind: ValueType
    read: Callable[[IncidentFacts], Iterable[str]]


def _environment(facts: IncidentFacts) -> Iterable[str]:
    return (part for each in facts.incident.environments for part in (each.name, each.id) if part)


def _source(facts: IncidentFacts) -> Iterable[str]:
    return dict.fromkeys(alert.source for alert in facts.alerts if alert.source)


def _flag(read: Callable[[Incident], bool]) -> Callable[[IncidentFacts], Iterable[str]]:
    return lambda facts: ("true" if read(facts.incident) else "false",)


def _plain(label: str, kind: ValueType, read: Callable[[IncidentFacts], Iterable[str]]) -> Subject:
    return Subject(label=label, key=label, kind=kind, read=read)


PLAIN: Mapping[str, Subject] = {
    subject.label: subject
    for subject in (
        _plain("environment", ValueType.TEXT, _environment),
        _plain("status", ValueType.STATE, lambda facts: (facts.status,)),
        _plain("severity", ValueType.STATE, lambda facts: (facts.incident.severity,)),
        _plain("source", ValueType.TEXT, _source),
        _plain("active", ValueType.FLAG, _flag(lambda incident: incident.active)),
        _plain("flapping", ValueType.FLAG, _flag(lambda incident: incident.flapping)),
        _plain("snoozed", ValueType.FLAG, _flag(lambda incident: incident.snooze.snoozed)),
        _plain("assigned", ValueType.FLAG, _flag(lambda incident: incident.assignee is not None)),
        _plain("alerts", ValueType.NUMBER, lambda facts: (str(len(facts.incident.active_alerts)),)),
    )
}
"""The keys of `match` that are looked at as they are."""


def _tag(name: str) -> Callable[[IncidentFacts], Iterable[str]]:
    def read(facts: IncidentFacts) -> Iterable[str]:
        tag = facts.incident.tag(name)
        return tag.values if tag else ()

    return read


def _alert_tag(name: str) -> Callable[[IncidentFacts], Iterable[str]]:
    return lambda facts: dict.fromkeys(value for alert in facts.alerts for value in alert.values(name))


def _header(name: str) -> Callable[[IncidentFacts], Iterable[str]]:
    folded = name.casefold()

    def read(facts: IncidentFacts) -> Iterable[str]:
        headers = facts.incident.headers.items()
        return (value for header, values in headers if header.casefold() == folded for value in values)

    return read


NAMED: Mapping[str, Callable[[str], Callable[[IncidentFacts], Iterable[str]]]] = {
    "tags": _tag,
    "alert_tags": _alert_tag,
    "header": _header,
}
"""The keys of `match` under which every key is a name."""


def named(place: str, name: str) -> Subject:
    """What is looked at under `tags`, `alert_tags` or `header`; names are the same in any case."""
    return Subject(
        label=f"{place}.{name}", key=f"{place}.{name.casefold()}", kind=ValueType.TEXT, read=NAMED[place](name)
    )
