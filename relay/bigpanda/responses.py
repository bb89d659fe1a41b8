"""What BigPanda's reads tell, as values: tag definitions, people, comments.

Each function takes any body and leaves out what is not of a shape that BigPanda documents or was seen to answer; none
raises. Lists may stand alone, or under a name (`items` was seen for activities, which are documented as a bare array).
"""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from relay.model.incident import Person
from relay.model.json_types import JSON
from relay.model.tag_labels import TagDefinition

_RANK = 1000


def tag_definitions_of(body: JSON) -> tuple[TagDefinition, ...]:
    """The incident tags, deactivated ones too, since incidents may still bear them.

    https://docs.bigpanda.io/reference/incident-tags-definitions-object. A tag without a name is left out: its id says
    as much.
    """
    found = ((_text(told, "id"), _text(told, "name"), told) for told in _objects(body, "items", "data"))
    return tuple(
        TagDefinition(id=known, name=name, ranks=_ranks(told)) for known, name, told in found if known and name
    )


def users_of(body: JSON) -> tuple[Person, ...]:
    """The people who can be assigned: those who are not marked as inactive, which BigPanda calls deleted.

    https://docs.bigpanda.io/reference/retrieve-all-users (SCIM: `userName` is the e-mail address), and as the API
    reference has them, `{"id", "fullName", "email"}` (https://api-docs.bigpanda.io/retrieve-all-users-37904800e0).
    """
    people = (_person(told) for told in _objects(body, "Resources", "users", "items", "data"))
    return tuple(person for person in people if person is not None)


def comments_of(body: JSON) -> tuple[str, ...]:
    """The comments among an incident's activities, the newest first, as they come.

    https://docs.bigpanda.io/reference/activities-object.
    """
    found = _objects(body, "items", "data")
    said = (_object(told, "params").get("comment") for told in found if told.get("type") == "incident_commented")
    return tuple(text for text in said if isinstance(text, str) and text)


def _ranks(told: Mapping[str, Any]) -> dict[str, str]:
    """The words of a Priority tag's levels, by what an incident's tag holds in their stead.

    A level is `{"display_name", "order_id": number, "active"}`, or a bare word; the page says that `order_id` sorts
    them. The one share that BigPanda prints tells 1000 of a first priority. So a level goes by its own number, and
    where the numbers are all smaller than that, by its place too: a thousand, two thousand, ...
    """
    listed = _object(told, "config").get("ordered_list")
    levels = [level for item in listed if (level := _level(item))] if isinstance(listed, list) else []
    if all(number is not None for _, number in levels):
        levels.sort(key=lambda level: level[1] or 0)
    own = {_written(number): word for word, number in levels if number is not None}
    if any(number is not None and number >= _RANK for _, number in levels):
        return own
    return {str(place): word for place, (word, _) in zip(count(_RANK, _RANK), levels, strict=False)} | own


def _level(item: Any) -> tuple[str, float | None] | None:
    """A level's word, and its number where it has one."""
    if isinstance(item, str):
        return (item.strip(), None) if item.strip() else None
    if not isinstance(item, Mapping):
        return None
    word = next(filter(None, (_text(item, name) for name in ("display_name", "name", "label"))), "")
    numbers = (_number(item.get(name)) for name in ("order_id", "order", "value", "rank"))
    return (word, next((number for number in numbers if number is not None), None)) if word else None


def _person(told: Mapping[str, Any]) -> Person | None:
    if told.get("active") is False or not (known := _text(told, "id") or _text(told, "_id")):
        return None
    name = next(filter(None, (_text(told, each) for each in ("displayName", "fullName", "name"))), "")
    email = next((text for text in _addresses(told) if "@" in text), "")
    return Person(name=name, email=email, id=known)


def _addresses(told: Mapping[str, Any]) -> Iterator[str]:
    yield _text(told, "userName")
    yield _text(told, "email")
    for each in _objects(told, "emails"):
        yield _text(each, "value")


def _objects(body: JSON, *names: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list that stands alone or under the first of these names that holds one."""
    several = body
    if isinstance(body, Mapping):
        several = next((body[name] for name in names if isinstance(body.get(name), list)), None)
    return (each for each in several if isinstance(each, Mapping)) if isinstance(several, list) else iter(())


def _object(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value.strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _written(number: float) -> str:
    """As shares tell it once they are read: 1000.0 is 1000."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)
