"""Tags: of incidents (`[{id, value}]`), of alerts (`[{name, value}]`), or a map of either; values of any type."""

from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    Names,
    compact,
    empty,
    filled,
    is_number,
    names,
    number,
    told,
    word,
)
from relay.model.json_types import JSON

Tags = list[list[JSON]]
"""[[name, [value, ...]], ...]; a name stands once, no value is blank."""

_IDS = names("id", "tagId", "name", "tagName", "key")
_NAMES = names("name", "tagName", "id", "tagId", "key")
_VALUES = names("value", "tagValue", "values")


def incident_tags(value: JSON) -> Tags | Absent:
    """`incidentTags`: array of {id, value}, or a map of id to value."""
    return _tags(value, _IDS)


def alert_tags(value: JSON) -> Tags | Absent:
    """An alert's `tags`: array of {name, value}, or a map of name to value."""
    return _tags(value, _NAMES)


def _tags(value: JSON, naming: Names) -> Tags | Absent:
    """Unite what is given twice. Where not one of several items can be used, the whole says nothing."""
    if empty(value):
        return []
    usable = False
    united: dict[str, list[str]] = {}
    for name, values in _pairs(value, naming):
        if name is ABSENT or values is ABSENT:
            continue
        usable = True
        if values:
            united.setdefault(name, []).extend(values)
    if not usable:
        return ABSENT
    return [[name, values if len(values) == 1 else list(dict.fromkeys(values))] for name, values in united.items()]


def _pairs(value: JSON, naming: Names) -> list[tuple[JSON, JSON]]:
    """The items, each as name and values. A map is read in the order of its names, since JSON objects have none."""
    if isinstance(value, list):
        return [_pair(item, naming) for item in value if isinstance(item, dict)]
    if not isinstance(value, dict):
        return []
    if _is_pair(value):
        return [_pair(value, naming)]
    return [(filled(name), texts(value[name])) for name in sorted(value)]


def _is_pair(value: dict[str, JSON]) -> bool:
    """Whether it is one {name, value} that lost its list, rather than a map of tags."""
    spellings = frozenset((*_NAMES, *_VALUES))
    return not value.keys().isdisjoint(_NAMES) and not value.keys().isdisjoint(_VALUES) and value.keys() <= spellings


def _pair(item: dict[str, JSON], naming: Names) -> tuple[JSON, JSON]:
    """A share may hold ten thousand tags; nearly all are two plain strings, and read without asking around."""
    name, value = item.get(naming[0]), item.get(_VALUES[0])
    if isinstance(name, str) and isinstance(value, str) and "{{" not in name + value:
        plain, text = name.strip(), value.strip()
        if plain and text:
            return plain, [text]
    return told(item, naming, filled), told(item, _VALUES, texts)


def texts(value: JSON) -> list[str] | Absent:
    """The values of one tag as text; empty where it has none."""
    if isinstance(value, list):
        return [text for item in value if isinstance(text := _text(item), str)]
    text = _text(value)
    if text is ABSENT:
        return ABSENT
    return [text] if text else []


def _text(value: JSON) -> str | Absent | None:
    if isinstance(value, str):
        return word(value)
    if empty(value):
        return None
    return number(value) if is_number(value) else compact(value)
