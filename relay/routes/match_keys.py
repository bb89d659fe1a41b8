"""The keys of `match`: one row for each, with the values that it reads from an incident.

To add a key, add a row to `MATCH_KEYS`. The parser follows; docs/how-to-change.md says what to run then.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from relay.model.incident import Alert, Incident, State
from relay.routes.match_budget import MatchBudget, ProcessorTime, untimed
from relay.routes.operators import SubjectValues


class ValueType(Enum):
    """What the values of a key are. It decides which values and operators a match may use."""

    TEXT = auto()
    STATE = auto()
    NUMBER = auto()
    FLAG = auto()


class IncidentFacts:
    """One incident as routes see it. Each subject is read once, however many routes compare it."""

    __slots__ = ("_alert_tags", "_values", "budget", "incident", "status")

    def __init__(
        self, incident: Incident, status: State | None = None, processor_time: ProcessorTime = untimed
    ) -> None:
        """`status` replaces the incident's state for the key `status`; `processor_time` limits the comparisons."""
        self.incident = incident
        self.status = incident.state if status is None else status
        self.budget = MatchBudget(processor_time)
        self._alert_tags: dict[str, dict[str, None]] | None = None
        self._values: dict[str, SubjectValues] = {}

    def values(self, subject: "Subject") -> SubjectValues:
        """The values of a subject; none if it is absent."""
        values = self._values.get(subject.id)
        if values is None:
            values = self._values[subject.id] = SubjectValues(tuple(subject.read(self)), self.budget)
        return values

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The active alerts, or all of them if none is active."""
        return self.incident.active_alerts or self.incident.alerts

    def alert_values(self, name: str) -> Iterable[str]:
        """The distinct values of a tag of alerts; all tags are read once, however many routes name."""
        if self._alert_tags is None:
            self._alert_tags = {}
            for alert in self.alerts:
                for tag, values in alert.tags_by_name.items():
                    self._alert_tags.setdefault(tag, {}).update(dict.fromkeys(values))
        return self._alert_tags.get(name.casefold(), ())


ValueReader = Callable[[IncidentFacts], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one comparison reads: `environment`, or `tags.team`. Subjects with the same `id` have the same values.

    `label` names the subject as the file does.
    """

    label: str
    id: str
    type: ValueType
    read: ValueReader


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchKey:
    """One row of the table of match keys.

    If `named`, the key holds names with their values, such as `tags: {team: database}`. `reader` takes the name (empty
    if not `named`) and makes the reader of the values.
    """

    name: str
    type: ValueType
    named: bool
    reader: Callable[[str], ValueReader]
    description: str

    def subject(self, name: str = "") -> Subject:
        """The subject of this key, or of one name under it; the case of a name makes no difference."""
        label, folded = (f"{self.name}.{each}" if self.named else self.name for each in (name, name.casefold()))
        return Subject(label=label, id=folded, type=self.type, read=self.reader(name))


def _flag(read: Callable[[Incident], bool]) -> ValueReader:
    return lambda facts: ("true" if read(facts.incident) else "false",)


def _tag(name: str) -> ValueReader:
    return lambda facts: tag.values if (tag := facts.incident.tag(name)) else ()


def _header(name: str) -> ValueReader:
    folded = name.casefold()

    def read(facts: IncidentFacts) -> Iterable[str]:
        headers = facts.incident.headers.items()
        return (value for header, values in headers if header.casefold() == folded for value in values)

    return read


def _key(name: str, value_type: ValueType, read: ValueReader, description: str) -> MatchKey:
    return MatchKey(name=name, type=value_type, named=False, reader=lambda _: read, description=description)


def _names(name: str, reader: Callable[[str], ValueReader], description: str) -> MatchKey:
    return MatchKey(name=name, type=ValueType.TEXT, named=True, reader=reader, description=description)


_TEXT, _STATE, _NUMBER, _FLAG = ValueType
MATCH_KEYS: Final[Mapping[str, MatchKey]] = {
    key.name: key
    for key in (
        _key(
            "environment",
            _TEXT,
            lambda facts: (part for each in facts.incident.environments for part in (each.name, each.id) if part),
            "every environment that shared the incident, by name (also a former one) or id",
        ),
        _key(
            "status",
            _STATE,
            lambda facts: (facts.status,),
            "relay's state: `critical`, `warning`, `unknown`, `acknowledged` or `resolved`",
        ),
        _key("severity", _STATE, lambda facts: (facts.incident.severity,), "the worst state so far"),
        _key(
            "source",
            _TEXT,
            lambda facts: dict.fromkeys(alert.source for alert in facts.alerts if alert.source),
            "`sourceSystem` of an alert",
        ),
        _key("active", _FLAG, _flag(lambda incident: incident.active), "whether the incident is open"),
        _key("flapping", _FLAG, _flag(lambda incident: incident.flapping), "whether it is flapping"),
        _key("snoozed", _FLAG, _flag(lambda incident: incident.snooze.snoozed), "whether it is snoozed"),
        _key("assigned", _FLAG, _flag(lambda incident: incident.assignee is not None), "whether it is assigned"),
        _key("alerts", _NUMBER, lambda facts: (str(len(facts.incident.active_alerts)),), "the number of active alerts"),
        _names("tags", _tag, "tags of the incident, by readable name or id"),
        _names(
            "alert_tags",
            lambda name: lambda facts: facts.alert_values(name),
            "tags of alerts; one alert with the value is enough",
        ),
        _names("header", _header, "custom headers of BigPanda's webhook"),
    )
}
