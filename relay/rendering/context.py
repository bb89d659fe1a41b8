"""The variables that templates and channel expressions see: plain values under the names that docs/templates.md lists.

A value prints as a reader expects it, and compares as the text that it prints: `tags.team == "payments"` is true,
although a tag also has a `label` and `values`. An absent value is left out, so that it prints nothing. Tags are found
in any case, by readable name or by id.

Texts come from outside, and are cleaned here once (`relay.model.outside_text`). They then have no character of
Unicode's fifteenth plane, with which rendering writes its own marks (`relay.rendering.blocks.marks`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Self, overload

from relay.model.board_links import incident_path
from relay.model.bounds import LONGEST_TEXT, bound_text
from relay.model.incident import Alert, Environment, Incident, Person, State, Tag
from relay.model.outside_text import clean_text, readable_text
from relay.rendering.headline import headline, lock_screen, signs

SHOWN_TAGS: Final = 6
"""How many tags a card shows; the others are counted."""

RUNBOOK_TAGS: Final = ("run-book", "runbook", "runbook_url")
"""The tags that hold the address of a run-book, unless a route names others."""

_ALERT_NOUN: Final = "alert"
_LONGEST_NAME: Final = 80
"""Characters of a subject that leaves room for a description on a line."""

_TITLE_TAG: Final = "bp_short_description"
"""This tag makes the title, so that it is not shown again as a tag."""

_MARKS: Final = re.compile("[\U000f0000-\U000ffffd]+")
_NEXT_LINE: Final = re.compile(r"(?<=[^\s`.,:;!?|·•…/\\(\[{=\-])[^\S\n]*\n\s*(?=(?P<next>[^\s|•\-+*]))")
"""A line break after the end of a word; not before an item of a list or a row of a table."""

_FORMATTING: Final = re.compile(r"[*~`\s_]+")


TAG_LISTS: Final = frozenset({"shown", "rest"})
"""The lists of `tags`, which no tag hides: a tag of that name is `tags["rest"]`."""


class AnnotatedText(str):
    """A text with attributes: a tag knows its label, a person their e-mail address. It prints and compares as text."""

    __slots__ = ("__dict__",)

    id: str
    name: str
    label: str
    value: str
    values: list[str]
    email: str

    def __new__(cls, text: str, **attributes: Any) -> Self:
        """Make a text with these attributes."""
        annotated = super().__new__(cls, text)
        annotated.__dict__.update(attributes)
        return annotated


class Item(dict[str, Any]):
    """A record, without its empty values. Where a list is cut, its missing items are counted by `noun` and `state`."""

    def __init__(self, noun: str, values: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in values.items() if value is not None and value != ""})
        self.noun = noun


class Tags(Mapping[str, AnnotatedText]):
    """The incident's tags by name, in BigPanda's order. A card shows the tags in `shown`; `rest` has the others.

    `show` names tags that come first, in its own order: these are `named`.
    """

    def __init__(self, tags: Sequence[Tag], show: Sequence[str]) -> None:
        texts = [each for each in map(_tag, tags) if each.strip()]
        self._by_name = {text.name.casefold(): text for text in reversed(texts)}
        self._by_id = {text.id.casefold(): text for text in reversed(texts)}
        self._order = tuple(dict.fromkeys(text.name.casefold() for text in texts))
        named = list({text.id: text for name in show if (text := self._find(name)) is not None}.values())
        others = [text for text in texts if text.name.casefold() != _TITLE_TAG]
        listed = list({text.id: text for text in [*named, *others]}.values())
        self.named: list[AnnotatedText] = named
        self.shown: list[AnnotatedText] = listed[:SHOWN_TAGS]
        self.rest: list[AnnotatedText] = listed[SHOWN_TAGS:]

    def __getitem__(self, name: str) -> AnnotatedText:
        if (text := self._find(name)) is None:
            raise KeyError(name)
        return text

    def __iter__(self) -> Iterator[str]:
        return (self._by_name[name].name for name in self._order)

    def __len__(self) -> int:
        return len(self._order)

    def _find(self, name: Any) -> AnnotatedText | None:
        folded = str(name).casefold()
        return self._by_name.get(folded, self._by_id.get(folded))


class AlertTags(Mapping[str, str]):
    """An alert's tags by name, in any case; several values are joined on one line."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self._texts: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        key = str(name)
        if key not in self._texts:
            if not (values := self._alert.values(key)):
                raise KeyError(name)
            self._texts[key] = template_text(", ".join(values))
        return self._texts[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._alert.tags)

    def __len__(self) -> int:
        return len(self._alert.tags)


class AlertList(Sequence[Item]):
    """A list of alerts. There may be 300 and a card names five, so `read` makes each record on demand.

    `omitted` counts by state the alerts that relay left out; they come after the last one.
    """

    def __init__(
        self, alerts: Sequence[Alert], read: Callable[[Alert], Item], omitted: Mapping[State, int] | None = None
    ) -> None:
        self._alerts = alerts
        self._read = read
        self._omitted = omitted or {}

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "AlertList": ...
    def __getitem__(self, index: int | slice) -> "Item | AlertList":
        if isinstance(index, slice):
            to_the_end = index.stop is None and index.step is None
            return AlertList(self._alerts[index], self._read, self._omitted if to_the_end else None)
        return self._read(self._alerts[index])

    def __len__(self) -> int:
        return len(self._alerts)

    @property
    def total(self) -> int:
        """How many there are, with those that relay left out."""
        return len(self._alerts) + sum(self._omitted.values())

    @property
    def tally(self) -> Counter[tuple[str, str]]:
        """How many there are of each (noun, state), with those that relay left out."""
        tally = Counter((_ALERT_NOUN, alert.state.value) for alert in self._alerts)
        tally.update({(_ALERT_NOUN, state.value): number for state, number in self._omitted.items()})
        return tally

    @property
    def hosts(self) -> list[str]:
        """The hosts of these alerts, each once."""
        return list(dict.fromkeys(template_text(host) for alert in self._alerts for host in alert.values("host")))

    @property
    def all_hosts(self) -> list[str]:
        """The hosts of these alerts; none if relay left alerts out, since nobody knows theirs."""
        return [] if self._omitted else self.hosts


class Alerts(AlertList):
    """All alerts of an incident."""

    def __init__(self, incident: Incident, read: Callable[[Alert], Item]) -> None:
        super().__init__(incident.alerts, read, incident.omitted_alerts)
        self._incident = incident
        self._omitted_active: Mapping[State, int] = {
            state: number for state, number in incident.omitted_alerts.items() if state is not State.RESOLVED
        }

    @property
    def worst(self) -> AlertList:
        """The active alerts (all alerts, if none is active), worst first."""
        omitted = self._omitted_active if self._incident.active_alerts else self._omitted
        return AlertList(self._incident.worst_alerts, self._read, omitted)

    @property
    def active(self) -> AlertList:
        """The active alerts."""
        return AlertList(self._incident.active_alerts, self._read, self._omitted_active)


def template_variables(  # noqa: PLR0913  each has a name
    incident: Incident,
    *,
    muted: bool = False,
    board: str = "",
    route: str = "",
    show_tags: Sequence[str] = (),
    runbook_tags: Sequence[str] = RUNBOOK_TAGS,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return every variable of a template except `entry`.

    `muted` adds a sign to the headline. `board` is the address of the board, if there is one. `previous` is the card of
    the episode before: `at` (Unix seconds) and `link` (its address). Times are Unix seconds.
    """
    alerts = Alerts(incident, _alert_reader(incident, runbook_tags))
    values = {name: read(incident) for name, read in _INCIDENT.items()}
    values |= {
        "signs": signs(incident, muted=muted),
        "headline": headline(values["title"], alerts.active.all_hosts),
        "alerts": alerts,
    }
    page = {"relay": f"{board}{incident_path(incident.id)}"} if board else {}
    variables = {
        "incident": Item("incident", values),
        "tags": Tags(incident.tags, show_tags),
        "environment": _environment(incident.environment),
        "environments": [_environment(each) for each in incident.environments],
        "links": {template_text(name): template_text(url) for name, url in incident.links.items()} | page,
        "sender": _person(incident.sender) or "",
        "route": template_text(route),
        "previous": template_values(previous or {}),
    }
    return {**variables, "lock_screen": lock_screen(variables)}


def tag_label(name: str) -> str:
    """Make a heading of a tag's name: `affected_services` becomes `Affected services`."""
    words = _FORMATTING.sub(" ", template_text(name)).strip()
    return words[:1].upper() + words[1:]


def template_text(text: str) -> str:
    """Return a text from outside as templates see it: clean, in words, and cut if it is very long."""
    return readable_text(clean_text(bound_text(text, LONGEST_TEXT)))


def without_marks(text: str) -> str:
    """Remove the characters that rendering writes its own marks with."""
    return text if text.isascii() else _MARKS.sub("", text)


def template_values(value: Any) -> Any:
    """Apply `template_text` to every text in a JSON value."""
    match value:
        case str():
            return template_text(value)
        case Mapping():
            return {template_values(name): template_values(part) for name, part in value.items()}
        case list() | tuple():
            return [template_values(part) for part in value]
        case _:
            return value


def on_one_line(text: str) -> str:
    """Put the text on one line: a blank for each run of blanks, and a dot between lines that are no running text."""
    return " ".join(_NEXT_LINE.sub(_joint, text.strip()).split()) if "\n" in text else " ".join(text.split())


def _joint(line_break: re.Match[str]) -> str:
    return " " if line_break["next"].islower() else " · "


def _alert_reader(incident: Incident, runbook_tags: Sequence[str]) -> Callable[[Alert], Item]:
    """A function that makes each alert's record once, however often a template uses it."""
    records: dict[str, Item] = {}

    unique, differences = _unique_names(incident.alerts), _differences(incident.alerts)

    def read(alert: Alert) -> Item:
        if alert.id not in records:
            addresses = (value for name in runbook_tags for value in alert.values(name)[:1] if value.strip())
            values = {name: read_value(alert) for name, read_value in _ALERT.items()}
            parts = filter(None, (_name(alert, unique), differences.get(alert.id)))
            values["name"] = on_one_line(template_text(" · ".join(parts)))
            values["runbook"] = template_text(next(addresses, "")).strip()
            values["uncounted"] = incident.is_uncounted(alert.state)
            records[alert.id] = Item(_ALERT_NOUN, values)
        return records[alert.id]

    return read


_LONGEST_DIFFERENCE: Final = 60
_TELLS_NOTHING: Final = re.compile(
    r"(?i)(?:\b|_)(?:id|uuid|guid|key|hash|time|timestamp|date|url|link|description|value)$"
)
"""Names of tags that differ for each alert, and say nothing to a reader."""


def _unique_names(alerts: Sequence[Alert]) -> Collection[tuple[str, str]]:
    """The pairs of subject and description that only one alert has."""
    pairs = Counter((alert.subject.casefold(), alert.description) for alert in alerts)
    return {pair for pair, number in pairs.items() if number == 1}


def _name(alert: Alert, unique: Collection[tuple[str, str]]) -> str:
    """The subject, which a description follows; the whole title if these two do not say what is broken."""
    enough = len(alert.subject) <= _LONGEST_NAME and (alert.subject.casefold(), alert.description) in unique
    return alert.subject if alert.subject and (enough or not alert.description) else alert.title


def _differences(alerts: Sequence[Alert]) -> dict[str, str]:
    """A value that distinguishes alerts with the same title and description, by their ids: a mount point, for example.

    It is the value of the first tag that all of them have, each another value.
    """
    alike: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in alerts:
        alike[alert.title.casefold(), alert.description].append(alert)
    found: dict[str, str] = {}
    for group in alike.values():
        for name in group[0].tags if len(group) > 1 else ():
            values = [", ".join(alert.values(name)) for alert in group]
            if len(set(values)) == len(group) and all(map(_may_name, values)) and not _TELLS_NOTHING.search(name):
                found |= {alert.id: value for alert, value in zip(group, values, strict=True)}
                break
    return found


def _may_name(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_DIFFERENCE and "://" not in value


def _snooze(incident: Incident) -> Item | None:
    return Item("snooze", {"snoozed": True, "until": incident.snooze.wake}) if incident.snooze.snoozed else None


def _tag(tag: Tag) -> AnnotatedText:
    values, name = [template_text(value) for value in tag.values], template_text(tag.name)
    text = values[0] if len(values) == 1 else template_text(tag.value)
    return AnnotatedText(text, id=template_text(tag.id), name=name, label=tag_label(name), value=text, values=values)


def _person(person: Person | None) -> AnnotatedText | None:
    if person is None:
        return None
    name = on_one_line(template_text(person.display_name))
    return _annotated(name, name=name, email=person.email, id=person.id)


def _environment(environment: Environment | None) -> AnnotatedText:
    if environment is None:
        return AnnotatedText("")
    return _annotated(
        on_one_line(template_text(environment.name or environment.id)), name=environment.name, id=environment.id
    )


def _annotated(text: str, **attributes: str) -> AnnotatedText:
    return AnnotatedText(text, **{name: template_text(value) for name, value in attributes.items() if value})


def _plain(*names: str) -> dict[str, Callable[[Any], Any]]:
    def reader(name: str) -> Callable[[Any], Any]:
        return lambda record: template_values(getattr(record, name))

    return {name: reader(name) for name in names}


CHANGE_NAMES: Final = frozenset(
    {"id", "identifier", "summary", "status", "url", "certainty", "comment", "source", "start", "end"}
)
"""The names that a related change has."""

_INCIDENT: Final[Mapping[str, Callable[[Incident], Any]]] = {
    **_plain("id"),
    "title": lambda incident: on_one_line(template_text(incident.title)),
    "signs": signs,
    "state": lambda incident: incident.state.value,
    **_plain("reported_status"),
    "severity": lambda incident: incident.severity.value,
    **_plain("active", "flapping", "counts", "started", "changed", "updated", "ended"),
    "snooze": _snooze,
    "assignee": lambda incident: _person(incident.assignee),
    "assigner": lambda incident: _person(incident.assigner),
    **_plain("note"),
    "changes": lambda incident: [
        Item("change", {name: template_values(getattr(change, name)) for name in CHANGE_NAMES})
        for change in incident.changes
    ],
}
_ALERT: Final[Mapping[str, Callable[[Alert], Any]]] = {
    **_plain("id"),
    "title": lambda alert: on_one_line(template_text(alert.title)),
    "state": lambda alert: alert.state.value,
    **_plain("reported_status", "active"),
    "subject": lambda alert: on_one_line(template_text(alert.subject)),
    "aspect": lambda alert: on_one_line(template_text(alert.aspect)),
    **_plain("description"),
    "tags": AlertTags,
    **_plain("source", "started", "changed", "ended"),
}

VARIABLE_NAMES: Final[Mapping[str, frozenset[str]]] = {
    "incident": frozenset({*_INCIDENT, "headline", "alerts"}),
    "tags": frozenset(),
    "environment": frozenset({"name", "id"}),
    "environments": frozenset(),
    "links": frozenset(),
    "sender": frozenset({"name", "email", "id"}),
    "route": frozenset(),
    "previous": frozenset({"at", "link"}),
    "lock_screen": frozenset(),
}
"""Every variable and the names that it has; empty for a plain value, or if the names come from BigPanda."""

ALERT_NAMES: Final = frozenset({*_ALERT, "name", "runbook", "uncounted"})
"""The names that an alert has."""

ENTRY_NAMES: Final = frozenset(
    "kind at late actor old new text items while_flapping flapping flapped now times lasted worst ended over became "  # noqa: SIM905
    "taken_over snoozed joined resolved returned left total more posted_in number of escalated".split()
)
"""The names that an entry of any kind has; some only in one kind."""

ITEM_NAMES: Final = CHANGE_NAMES | {"label", "old", "new", "title", "state", "was", "confirmed"}
"""The names that an item of an entry has: a tag, an alert or a change."""

BULLETIN_NAMES: Final = frozenset(
    "kind reason why until moment late adopted more opened closed counts lines unowned owned routes "  # noqa: SIM905
    "incidents lasting over within states groups more_groups "
    "title since open resolved left_out letters letters_page".split()
)
"""The names that `bulletin` has; some only in one kind."""

LINE_NAMES: Final = frozenset(
    "title url since owner route card state ended ended_at ping batch open critical "  # noqa: SIM905
    "snoozed snoozed_until muted_until number of".split()
)
"""The names that a line of a bulletin has."""

COUNT_NAMES: Final = frozenset({"all", "open", "resolved", "posted", "unmatched"})
"""The names that `bulletin.counts` has."""
