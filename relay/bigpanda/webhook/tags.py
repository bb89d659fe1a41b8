"""Read tags: a list for incidents (`[{id, value}]`), a list for alerts (`[{name, value}]`), or a map of either.

Values may have any type.
"""

from collections.abc import Iterator
from functools import partial

from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    Reader,
    Spellings,
    is_empty,
    is_number,
    number_text,
    read_key,
    required_id,
    spellings,
    text,
)
from relay.http.lenient_json import to_json
from relay.model.json_types import JSON
from relay.model.outside_text import says_nothing

Tags = list[list[JSON]]
"""[[name, [value, ...]], ...]. A name occurs once; no value is blank."""

_IDS = spellings("id", "tagId", "name", "tagName", "key")
_NAMES = spellings("name", "tagName", "id", "tagId", "key")
_VALUES = spellings("value", "tagValue", "values")
_MAY_BE_UNFILLED = ("", "{", "$", "%")
"""A text that begins otherwise is certainly filled in."""
_PAIR_KEYS = frozenset((*_NAMES, *_VALUES))


def _tags(value: JSON, name_keys: Spellings) -> Tags | Absent:
    """Merge tags with the same name. If no item is usable, the tags are absent."""
    if is_empty(value):
        return []
    usable = False
    merged: dict[str, list[str]] = {}
    for name, values in _pairs(value, name_keys):
        if name is ABSENT or values is ABSENT:
            continue
        usable = True
        if values and (before := merged.setdefault(name, values)) is not values:
            before.extend(values)
    if not usable:
        return ABSENT
    return [[name, values if len(values) == 1 else list(dict.fromkeys(values))] for name, values in merged.items()]


def _pairs(value: JSON, name_keys: Spellings) -> Iterator[tuple[JSON, JSON]]:
    """Yield each item as its name and values: there may be a million, so they are never all in memory.

    A map is read in the order of its names, since a JSON object has no order.
    """
    if isinstance(value, list):
        yield from (_pair(item, name_keys) for item in value if isinstance(item, dict))
    elif isinstance(value, dict):
        keys = value.keys()
        if keys <= _PAIR_KEYS and not keys.isdisjoint(_NAMES) and not keys.isdisjoint(_VALUES):
            yield _pair(value, name_keys)  # one {name, value} without its list, not a map of tags
        else:
            yield from ((required_id(name), _values(value[name])) for name in sorted(value))


def _pair(item: dict[str, JSON], name_keys: Spellings) -> tuple[JSON, JSON]:
    """Return name and values. A share may have ten thousand tags: nearly all are two plain strings, read fast."""
    name, value = item.get(name_keys[0]), item.get(_VALUES[0])
    if isinstance(name, str) and isinstance(value, str):
        stripped_name, stripped_value = name.strip(), value.strip()
        plain = stripped_name[:1] not in _MAY_BE_UNFILLED and stripped_value[:1] not in _MAY_BE_UNFILLED
        if plain and not says_nothing(stripped_value):
            return stripped_name, [stripped_value]
    return read_key(item, name_keys, required_id), read_key(item, _VALUES, _values)


def _values(value: JSON) -> list[str] | Absent:
    """Return the values of one tag as text; empty if it has none."""
    if isinstance(value, list):
        return [word for item in value if isinstance(word := _value(item), str)]
    single = _value(value)
    if single is ABSENT:
        return ABSENT
    return [single] if single else []


def _value(value: JSON) -> str | Absent | None:
    if isinstance(value, str):
        return text(value)
    if is_empty(value):
        return None
    return number_text(value) if is_number(value) else to_json(value).decode()


incident_tags: Reader = partial(_tags, name_keys=_IDS)
"""Read `incidentTags`: an array of {id, value}, or a map of id to value."""

alert_tags: Reader = partial(_tags, name_keys=_NAMES)
"""Read an alert's `tags`: an array of {name, value}, or a map of name to value."""
