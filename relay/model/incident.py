"""An incident as routes and templates read it. `reading` makes it from the stored record."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache
from math import inf
from typing import Final

from msgspec import field

from relay.model.struct import Struct


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
_STATUSES = {
    "critical": State.CRITICAL,
    "warning": State.WARNING,
    "acknowledged": State.ACKNOWLEDGED,
    "ok": State.RESOLVED,
    "resolved": State.RESOLVED,
    "closed": State.RESOLVED,
}


SEVERITY_WORDS: Final = frozenset({"critical", "warning", "unknown"})
"""The status of an incident that is that of its worst alert."""


@lru_cache(maxsize=256)
def parse_state(status: str | None) -> State:
    """The state that BigPanda's status word stands for, in any case. Any other word is `unknown`."""
    return _STATUSES.get((status or "").strip().casefold(), State.UNKNOWN)


class Person(Struct, frozen=True, kw_only=True):
    """Somebody whom BigPanda names. At least one field is set."""

    name: str = ""
    email: str = ""
    id: str = ""

    @property
    def display_name(self) -> str:
        """What people call them."""
        return self.name or self.email or self.id


class Environment(Struct, frozen=True, kw_only=True):
    """A BigPanda environment. At least one field is set."""

    name: str = ""
    id: str = ""


class Snooze(Struct, frozen=True, kw_only=True):
    """Whether the incident is snoozed, and until when (Unix seconds), where BigPanda says so."""

    snoozed: bool = False
    wake: int | None = None


class Tag(Struct, frozen=True, kw_only=True):
    """An incident tag. `name` is the readable name; `values` are labels where the tag has any, else raw values."""

    id: str
    name: str
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        """All values on one line."""
        return ", ".join(self.values)


class Alert(Struct, frozen=True, kw_only=True, dict=True):
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
        """The values of the tag of that name (any case); empty if the alert has no such tag."""
        return self.tags_by_name.get(name.casefold(), ())

    @cached_property
    def tags_by_name(self) -> dict[str, tuple[str, ...]]:
        """The values of each tag by its casefolded name."""
        return {name.casefold(): values for name, values in self.tags.items()}

    @cached_property
    def subject(self) -> str:
        """The value of the primary property: what is broken (a host, a service)."""
        return self._property(self.primary, ("host", "service", "application", "device"))

    @cached_property
    def aspect(self) -> str:
        """The value of the secondary property: which part of it is broken (a check, a sensor)."""
        return self._property(self.secondary, ("check", "sensor"))

    @cached_property
    def title(self) -> str:
        """The title of BigPanda's console: subject and aspect; else the description, else the id.

        Each of two is cut where both would not fit into a headline, so that neither hides the other.
        """
        if self.subject and self.aspect:
            room = _LONGEST_PAIR - min(len(self.aspect), _SHORT_PART)
            subject = shortened(self.subject, room)
            return f"{subject} · {shortened(self.aspect, _LONGEST_PAIR - len(subject))}"
        return self.subject or self.aspect or self.description or self.id

    def _property(self, name: str, precedence: Sequence[str]) -> str:
        """BigPanda falls back to a fixed order of tags where a property is not set (docs: primary_property)."""
        for candidate in (name, *precedence) if name else precedence:
            if values := self.values(candidate):
                return ", ".join(values)
        return ""


def shortened(text: str, length: int) -> str:
    """The text in at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


_LONGEST_PAIR: Final = 140
"""Characters of a title's two parts together: a headline of Slack has 150."""

_SHORT_PART: Final = 60

CONFIRMED: Final = "MATCH"
"""A change's certainty after somebody confirmed that it is related."""


class Change(Struct, frozen=True, kw_only=True):
    """A change related to the incident (Root Cause Changes).

    `certainty` is SUSPECT where BigPanda suspects it and MATCH after somebody confirmed it
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


class Incident(Struct, frozen=True, kw_only=True, dict=True):
    """An incident as routes and templates read it; times are Unix seconds.

    `note` is what the person wrote who resolved it from Slack.
    `omitted_alerts` counts the alerts that relay leaves out, `omitted` the parts of other kinds (`relay.model.bounds`).
    """

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
    note: str = ""
    environments: tuple[Environment, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    omitted_alerts: Mapping[State, int] = field(default_factory=dict)
    omitted: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def active_alerts(self) -> tuple[Alert, ...]:
        """The alerts that are not resolved."""
        return tuple(alert for alert in self.alerts if alert.active)

    @cached_property
    def worst_alerts(self) -> tuple[Alert, ...]:
        """The active alerts (all of them if none is active), worst first, then oldest first.

        Those that the incident's state does not count come last.
        """
        # One whose start is unknown does not count as the oldest.
        return tuple(
            sorted(
                self.active_alerts or self.alerts,
                key=lambda alert: (
                    self.is_uncounted(alert.state),
                    -alert.state.rank,
                    inf if alert.started is None else alert.started,
                    alert.id,
                ),
            )
        )

    def is_uncounted(self, state: State) -> bool:
        """Whether alerts in that state are worse than BigPanda says that the incident is: probably in maintenance.

        Maintenance is per alert, and the status of an incident ignores such alerts
        (https://docs.bigpanda.io/docs/maintenance-plans-v2). A share does not say which alerts are. Where BigPanda says
        that the incident is acknowledged, or uses a word that relay does not know, its alerts may be worse.
        """
        reported = self.reported_status.strip().casefold()
        is_worst = reported == self.state and reported in SEVERITY_WORDS
        return is_worst and state.rank > max(self.state.rank, State.ACKNOWLEDGED.rank)

    @property
    def primary_alert(self) -> Alert | None:
        """BigPanda's primary alert: the oldest of the most severe (docs: dynamic-variables)."""
        return self.worst_alerts[0] if self.worst_alerts else None

    @cached_property
    def counts(self) -> str:
        """BigPanda's summary line in relay's words: `3 alerts: 2 critical, 1 resolved`; empty without alerts.

        Alerts that the incident's state does not count come last and say why: `1 critical (in maintenance?)`.
        """
        tally = {state: self.omitted_alerts.get(state, 0) for state in reversed(State)}
        for alert in self.alerts:
            tally[alert.state] += 1
        total = sum(tally.values())
        if not total:
            return ""
        if total == 1:
            return f"1 alert: {self._in_words(self.alerts[0].state)}"
        states = sorted((state for state, number in tally.items() if number), key=self.is_uncounted)
        return f"{total} alerts: " + ", ".join(f"{tally[state]} {self._in_words(state)}" for state in states)

    def _in_words(self, state: State) -> str:
        return f"{state} (in maintenance?)" if self.is_uncounted(state) else str(state)

    @property
    def alert_count(self) -> int:
        """How many alerts it has, with those that relay leaves out."""
        return len(self.alerts) + sum(self.omitted_alerts.values())

    @property
    def active_alert_count(self) -> int:
        """How many of them are not resolved."""
        left_out = sum(number for state, number in self.omitted_alerts.items() if state is not State.RESOLVED)
        return len(self.active_alerts) + left_out

    @property
    def is_owned(self) -> bool:
        """Whether somebody has it, so that nobody need be called for it."""
        return self.assignee is not None or self.state is State.ACKNOWLEDGED

    def tag(self, key: str) -> Tag | None:
        """The incident tag of that id or readable name, in any case."""
        return self._tags.get(key.casefold())

    @cached_property
    def _tags(self) -> dict[str, Tag]:
        by_name = {tag.name.casefold(): tag for tag in reversed(self.tags)}
        return by_name | {tag.id.casefold(): tag for tag in reversed(self.tags)}


def worst_of(*states: State) -> State:
    """The worst of these states."""
    return max(states, key=lambda state: state.rank)
