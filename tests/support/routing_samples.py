"""Incidents and rulebooks for tests of routing."""

from collections.abc import Mapping, Sequence

from relay.model.incident import Alert, Environment, Incident, Person, Snooze, State, Tag
from relay.routes.parser.parse import parse_rulebook
from relay.routes.rulebook import Rulebook


def alert(
    identity: str = "a1",
    *,
    active: bool = True,
    source: str = "",
    tags: Mapping[str, Sequence[str]] | None = None,
) -> Alert:
    return Alert(
        id=identity,
        state=State.CRITICAL if active else State.RESOLVED,
        active=active,
        source=source,
        tags={name: tuple(values) for name, values in (tags or {}).items()},
    )


def incident(
    state: State = State.CRITICAL,
    *,
    severity: State | None = None,
    tags: Mapping[str, Sequence[str]] | None = None,
    environments: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, Sequence[str]] | None = None,
    alerts: Sequence[Alert] = (),
    flapping: bool = False,
    snoozed: bool = False,
    assigned: bool = False,
) -> Incident:
    return Incident(
        id="i1",
        state=state,
        reported_status=state.value,
        severity=severity or state,
        active=state is not State.RESOLVED,
        flapping=flapping,
        snooze=Snooze(snoozed=snoozed),
        assignee=Person(name="Ann Lee") if assigned else None,
        alerts=tuple(alerts),
        environments=tuple(Environment(name=name, id=identity) for name, identity in environments),
        headers={name: tuple(values) for name, values in (headers or {}).items()},
        tags=tuple(Tag(id=f"itd_{name}_1", name=name, values=tuple(values)) for name, values in (tags or {}).items()),
    )


def rulebook(routes: str, top: str = "") -> Rulebook:
    """Parse a rulebook with these routes, YAML in any indentation."""
    indented = "\n".join(f"  {line}" for line in routes.splitlines())
    return parse_rulebook(f"version: 1\n{top}\nroutes:\n{indented}\n")
