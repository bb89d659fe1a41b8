"""What templates and channel expressions see of an incident: plain values, by the names that the README lists.

Everything here prints as a reader would want it and compares as the text that it prints: `tags.team == "payments"`
holds although a tag also knows its `label` and its `values`. What is absent is left out, so that it prints nothing.
Names of tags are found in any case, by readable name or by id.

Texts come from anybody. Whatever stands in Unicode's fifteenth plane is taken out of them here, since rendering writes
its own marks with those characters (`relay.rendering.blocks.marks`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Self, overload

from relay.model.incident import Alert, Change, Environment, Incident, Person, Tag

SHOWN_TAGS: Final = 6
"""How many tags a card shows, unless more are named; the rest is counted."""

RUNBOOK_TAGS: Final = ("run-book", "runbook", "runbook_url")
"""Where run-books stand, unless a route says otherwise."""


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


VARIABLE_NAMES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "incident": _names(
            "id title state reported_status severity active flapping counts alerts started changed updated ended "
            "snooze assignee assigner changes"
        ),
        "tags": _names(""),
        "environment": _names("name id"),
        "environments": _names(""),
        "links": _names(""),
        "sender": _names("name email id"),
        "route": _names(""),
        "previous": _names("at link"),
    }
)
"""Every variable, and what each holds; empty where its names are the sender's own, or it is a plain value."""

ALERT_NAMES: Final = _names(
    "id title state reported_status active subject aspect description tags source started changed ended runbook"
)
"""What an alert holds."""

CHANGE_NAMES: Final = _names("id identifier summary status url certainty comment source start end")
"""What a related change holds."""

ENTRY_NAMES: Final = _names(
    "kind at late actor old new text items while_flapping flapping flapped now times lasted worst ended snoozed "
    "joined resolved returned left total more posted_in"
)
"""What an entry holds, of whatever kind; some only those of one kind."""

ITEM_NAMES: Final = CHANGE_NAMES | _names("label old new title state was confirmed")
"""What an item of an entry holds: a tag, an alert or a change."""

LONGEST_TEXT: Final = 20_000
"""Characters of a text that a template sees: more than any message has room for, and nothing that costs time."""

ALERT: Final = "alert"
"""The noun of alerts, where what is missing is counted."""

_TITLE_TAG = "bp_short_description"
"""The tag that makes the title is not shown a second time."""

_MARKS = re.compile("[\U000f0000-\U000ffffd]+")
_FORMATTING = re.compile(r"[*~`\s_]+")


class AnnotatedText(str):
    """A text that knows more than it prints: a tag its label, a person their e-mail."""

    __slots__ = ("__dict__",)

    id: str
    name: str
    label: str
    value: str
    values: list[str]
    email: str

    def __new__(cls, text: str, **known: Any) -> Self:
        """Print and compare as `text`; `known` become attributes."""
        word = super().__new__(cls, text)
        word.__dict__.update(known)
        return word


class Item(dict[str, Any]):
    """One of many that a template lists: where a list is cut, what is missing is counted by `noun` and `state`."""

    def __init__(self, noun: str, values: Mapping[str, Any]) -> None:
        """Hold those of the values that say something."""
        super().__init__({name: value for name, value in values.items() if value is not None and value != ""})
        self.noun = noun


class Tags(Mapping[str, AnnotatedText]):
    """The incident's tags by name. `shown` are those that a card shows, `rest` the others."""

    def __init__(self, tags: Sequence[Tag], show: Sequence[str]) -> None:
        """Take the tags in BigPanda's order; all named by `show` are shown, first and in its order."""
        words = [each for each in map(_tag, tags) if each.strip()]
        self._words = {word.name.casefold(): word for word in reversed(words)}
        self._ids = {word.id.casefold(): word for word in reversed(words)}
        self._order = tuple(dict.fromkeys(word.name.casefold() for word in words))
        wanted = [word for name in show if (word := self._find(name)) is not None]
        others = [word for word in words if word.name.casefold() != _TITLE_TAG]
        listed = list({word.id: word for word in [*wanted, *others]}.values())
        room = max(SHOWN_TAGS, len({word.id for word in wanted}))
        self.shown: list[AnnotatedText] = listed[:room]
        self.rest: list[AnnotatedText] = listed[room:]

    def __getitem__(self, name: str) -> AnnotatedText:
        """The tag of that readable name or id, in any case."""
        if (word := self._find(name)) is None:
            raise KeyError(name)
        return word

    def __iter__(self) -> Iterator[str]:
        """The readable names, in BigPanda's order."""
        return (self._words[name].name for name in self._order)

    def __len__(self) -> int:
        """How many tags have a value."""
        return len(self._order)

    def _find(self, name: Any) -> AnnotatedText | None:
        folded = str(name).casefold()
        return self._words.get(folded, self._ids.get(folded))


class AlertTags(Mapping[str, str]):
    """An alert's tags by name, in any case; several values stand on one line."""

    def __init__(self, alert: Alert) -> None:
        """Read from this alert, when asked."""
        self._alert = alert

    def __getitem__(self, name: str) -> str:
        """The value of the tag of that name."""
        if values := self._alert.values(str(name)):
            return template_text(", ".join(values))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """The names, as the alert spells them."""
        return iter(self._alert.tags)

    def __len__(self) -> int:
        """How many tags it has."""
        return len(self._alert.tags)


class AlertList(Sequence[Item]):
    """Alerts in a row. An incident has up to 300 of them and a card names five, so each is read when asked for."""

    def __init__(self, alerts: Sequence[Alert], read: Callable[[Alert], Item]) -> None:
        """Show these alerts through `read`."""
        self._alerts = alerts
        self._read = read

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "AlertList": ...
    def __getitem__(self, index: int | slice) -> "Item | AlertList":
        """One alert, or some of them in a row."""
        if isinstance(index, slice):
            return AlertList(self._alerts[index], self._read)
        return self._read(self._alerts[index])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._alerts)

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """(noun, state) of each, for counting."""
        return [(ALERT, alert.state.value) for alert in self._alerts]

    @property
    def hosts(self) -> list[str]:
        """The hosts that these alerts name, each once."""
        return list(dict.fromkeys(template_text(host) for alert in self._alerts for host in alert.values("host")))


class Alerts(AlertList):
    """All alerts of an incident. `worst` are the active ones (all, where none is), worst first; `active` only those."""

    def __init__(self, incident: Incident, read: Callable[[Alert], Item]) -> None:
        """Show the alerts of this incident through `read`."""
        super().__init__(incident.alerts, read)
        self._incident = incident

    @property
    def worst(self) -> AlertList:
        """The active alerts (all of them where none is active), worst first."""
        return AlertList(self._incident.worst_alerts, self._read)

    @property
    def active(self) -> AlertList:
        """The alerts that are still on."""
        return AlertList(self._incident.active_alerts, self._read)


def template_variables(
    incident: Incident,
    *,
    route: str = "",
    show_tags: Sequence[str] = (),
    runbook_tags: Sequence[str] = RUNBOOK_TAGS,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that a template of this incident can name, but for the `entry` of a thread.

    `previous` is the card of the episode before: `at` (Unix seconds) and `link` (its address). Times are Unix seconds.
    """
    return {
        "incident": _incident(incident, runbook_tags),
        "tags": Tags(incident.tags, show_tags),
        "environment": _environment(incident.environment),
        "environments": [_environment(each) for each in incident.environments],
        "links": {template_text(name): template_text(url) for name, url in incident.links.items()},
        "sender": _person(incident.sender) or "",
        "route": template_text(route),
        "previous": template_values(previous or {}),
    }


def tag_label(name: str) -> str:
    """A tag's name as a heading: `affected_services` is `Affected services`."""
    words = _FORMATTING.sub(" ", template_text(name)).strip()
    return words[:1].upper() + words[1:]


def template_text(text: str) -> str:
    """The text as templates see it: without marks, and of a length that can be read many times over."""
    clean = without_marks(text)
    over = len(clean) - LONGEST_TEXT
    return clean if over <= 0 else f"{clean[:LONGEST_TEXT]}… ({over:,} characters were left out)"


def without_marks(text: str) -> str:
    """The text without the characters that rendering writes its own marks with."""
    return text if text.isascii() else _MARKS.sub("", text)


def template_values(value: Any) -> Any:
    """`legible`, for whatever JSON can hold."""
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
    """The text with each run of blanks and line breaks as one blank."""
    return " ".join(template_text(text).split())


def _incident(incident: Incident, runbook_tags: Sequence[str]) -> Item:
    snooze = incident.snooze
    alerts = Alerts(incident, _reader(runbook_tags))
    return Item(
        "incident",
        {
            "id": template_text(incident.id),
            "title": on_one_line(incident.title),
            "state": incident.state.value,
            "reported_status": template_text(incident.reported_status),
            "severity": incident.severity.value,
            "active": incident.active,
            "flapping": incident.flapping,
            "counts": incident.counts,
            "alerts": alerts,
            "started": incident.started,
            "changed": incident.changed,
            "updated": incident.updated,
            "ended": incident.ended,
            "snooze": Item("snooze", {"snoozed": True, "until": snooze.wake}) if snooze.snoozed else None,
            "assignee": _person(incident.assignee),
            "assigner": _person(incident.assigner),
            "changes": [_change(change) for change in incident.changes],
        },
    )


def _reader(runbook_tags: Sequence[str]) -> Callable[[Alert], Item]:
    """Read an alert once, however often a template looks at it."""
    seen: dict[str, Item] = {}

    def read(alert: Alert) -> Item:
        item = seen.get(alert.id)
        if item is None:
            item = seen[alert.id] = _alert(alert, runbook_tags)
        return item

    return read


def _alert(alert: Alert, runbook_tags: Sequence[str]) -> Item:
    runbooks = [values[0] for name in runbook_tags if (values := alert.values(name)) and values[0].strip()]
    return Item(
        ALERT,
        {
            "id": template_text(alert.id),
            "title": on_one_line(alert.title),
            "state": alert.state.value,
            "reported_status": template_text(alert.reported_status),
            "active": alert.active,
            "subject": on_one_line(alert.subject),
            "aspect": on_one_line(alert.aspect),
            "description": template_text(alert.description),
            "tags": AlertTags(alert),
            "source": template_text(alert.source),
            "started": alert.started,
            "changed": alert.changed,
            "ended": alert.ended,
            "runbook": template_text(runbooks[0]).strip() if runbooks else None,
        },
    )


def _change(change: Change) -> Item:
    return Item("change", {name: template_values(getattr(change, name)) for name in CHANGE_NAMES})


def _tag(tag: Tag) -> AnnotatedText:
    values = [template_text(value) for value in tag.values]
    value = template_text(tag.value)
    name = template_text(tag.name)
    return AnnotatedText(value, id=template_text(tag.id), name=name, label=tag_label(name), value=value, values=values)


def _person(person: Person | None) -> AnnotatedText | None:
    if person is None:
        return None
    return _word(
        on_one_line(person.display_name), name=on_one_line(person.display_name), email=person.email, id=person.id
    )


def _environment(environment: Environment | None) -> AnnotatedText:
    if environment is None:
        return AnnotatedText("")
    return _word(on_one_line(environment.name or environment.id), name=environment.name, id=environment.id)


def _word(text: str, **known: str) -> AnnotatedText:
    return AnnotatedText(text, **{name: template_text(value) for name, value in known.items() if value})
