"""The values in BigPanda's read responses: tag definitions, users, comments, who has an incident.

Each function accepts any body, leaves out what has no known shape, and raises nothing. Names and ids are cut to 255
characters, lists to `MAX_ENTRIES`; the client has removed control characters. A list may stand alone, or under
a name (`items` was seen for activities, which are documented as a bare array).
"""

from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import Any

from relay.bigpanda.webhook.values import is_number, number_text, whole_timestamp
from relay.http.json_fields import JsonObject, as_object, object_field, objects, objects_field, text_field
from relay.model.bounds import MAX_ID_LENGTH
from relay.model.incident import Person
from relay.model.json_types import JSON
from relay.model.tag_labels import TagDefinition

MAX_ENTRIES = 5000
"""The most objects of a list that relay reads, and the most levels of a Priority tag."""

_RANK = 1000


def tag_definitions_of(body: JSON) -> tuple[TagDefinition, ...]:
    """Return the incident tags, deactivated ones too, since incidents may still have them.

    https://docs.bigpanda.io/reference/incident-tags-definitions-object. A tag without a name is left out.
    """
    found = ((_text(entry, "id"), _text(entry, "name"), entry) for entry in _entries(body, "items", "data"))
    return tuple(TagDefinition(id=tag, name=name, ranks=_ranks(entry)) for tag, name, entry in found if tag and name)


def users_of(body: JSON) -> tuple[Person, ...]:
    """Return the users who can be assigned: those who are not marked as inactive, which BigPanda calls deleted.

    https://docs.bigpanda.io/reference/retrieve-all-users (SCIM: `userName` is the e-mail address), and as the API
    reference has them, `{"id", "fullName", "email"}` (https://api-docs.bigpanda.io/retrieve-all-users-37904800e0).
    """
    users = (_user(entry) for entry in _entries(body, "Resources", "users", "items", "data"))
    return tuple(user for user in users if user is not None)


def comments_of(body: JSON) -> tuple[str, ...]:
    """Return the comments among an incident's activities, in BigPanda's order: the newest first.

    https://docs.bigpanda.io/reference/activities-object.
    """
    entries = (entry for entry in _entries(body, "items", "data") if entry.get("type") == "incident_commented")
    comments = (object_field(entry, "params").get("comment") for entry in entries)
    return tuple(comment for comment in comments if isinstance(comment, str) and comment)


def assignment_of(body: JSON) -> tuple[Person | None, int | None]:
    """Return who has an incident of the Incidents API, and when the incident last changed (Unix seconds).

    https://docs.bigpanda.io/reference/incident-object; None if nobody has it, or the body does not say when.
    """
    incident = as_object(body)
    assignee, changed = object_field(incident, "assignee"), incident.get("changed_at")
    person = Person(
        name=_text(assignee, "name"),
        email=_text(assignee, "email"),
        id=_text(assignee, "user_id") or _text(assignee, "userId") or _text(assignee, "id"),
    )
    when = whole_timestamp(changed)
    when = when if isinstance(when, int) else None
    return (person, when) if person != Person() else (None, when)


def _ranks(definition: JsonObject) -> dict[str, str]:
    """Return the words of a Priority tag's levels by the value that an incident's tag has instead.

    A level is `{"display_name", "order_id": number, "active"}`, or a bare word; the page says that `order_id` sorts
    them. The one share that BigPanda prints has 1000 for a first priority. So a level is known by its own number. Where
    all numbers are below 1000, it is known by its position too: 1000, 2000, ...
    """
    entries = object_field(definition, "config").get("ordered_list")
    levels = [level for entry in entries[:MAX_ENTRIES] if (level := _level(entry))] if isinstance(entries, list) else []
    if all(number is not None for _, number in levels):
        levels.sort(key=lambda level: level[1] or 0)
    own = {number_text(number): word for word, number in levels if number is not None}
    if any(number is not None and number >= _RANK for _, number in levels):
        return own
    return {str(rank): word for rank, (word, _) in zip(count(_RANK, _RANK), levels, strict=False)} | own


def _level(entry: Any) -> tuple[str, float | None] | None:
    """Return a level's word, and its number where it has one."""
    if isinstance(entry, str):
        return (entry.strip()[:MAX_ID_LENGTH], None) if entry.strip() else None
    if not isinstance(entry, Mapping):
        return None
    word = next(filter(None, (_text(entry, name) for name in ("display_name", "name", "label"))), "")
    numbers = (entry.get(name) for name in ("order_id", "order", "value", "rank"))
    return (word, next(filter(is_number, numbers), None)) if word else None


def _user(entry: JsonObject) -> Person | None:
    user_id = _text(entry, "id") or _text(entry, "_id")
    if entry.get("active") is False or not user_id:
        return None
    name = next(filter(None, (_text(entry, field) for field in ("displayName", "fullName", "name"))), "")
    emails = (_text(email, "value") for email in objects_field(entry, "emails"))
    addresses = (_text(entry, "userName"), _text(entry, "email"), *emails)
    return Person(name=name, email=next((address for address in addresses if "@" in address), ""), id=user_id)


def _entries(body: JSON, *names: str) -> Iterator[JsonObject]:
    """Yield the objects of a list that stands alone, or under the first of these names that holds a list."""
    if isinstance(body, Mapping):
        body = next((body[name] for name in names if isinstance(body.get(name), list)), None)
    return islice(objects(body), MAX_ENTRIES)


def _text(entry: JsonObject, name: str) -> str:
    return text_field(entry, name).strip()[:MAX_ID_LENGTH]
