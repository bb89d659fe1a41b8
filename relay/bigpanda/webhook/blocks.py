"""What a share tells of its incident, block by block, in the shapes of `relay.model.incident`.

A block that is absent or ill-typed is left out; one that is told to be empty is there, and empty. Fields:
https://docs.bigpanda.io/reference/webhook-incident-object, and in the API's spelling
https://docs.bigpanda.io/reference/incident-object.
"""

from collections.abc import Iterator, Mapping, Sequence

from relay.bigpanda.webhook.alerts import alert_blocks
from relay.bigpanda.webhook.tags import incident_tags
from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    Names,
    Reader,
    compact,
    empty,
    filled,
    flag,
    identifier,
    label,
    moment,
    names,
    snake,
    told,
    told_in,
    word,
)
from relay.model.json_types import JSON

Place = Mapping[str, JSON]

CHANGED = names("changedOn", "changedAt", "changed")
UPDATED = names("updatedOn", "updatedAt", "updated")

_STATE: Mapping[str, tuple[Names, Reader]] = {
    "status": (names("status"), word),
    "resolved": (names("resolved"), flag),
    "active": (names("active"), flag),
}
_PERSON = {
    "name": names("name", "fullName", "displayName", "username", "userName"),
    "email": names("email", "emailAddress"),
    "id": names("userId", "id"),
}
_SNOOZED = names("snoozed")
_WAKE = names("wake", "endTime", "wakeTime")
_LANDING_PAGE = "landing_page"
_HREF = names("href", "url", "landingPage")
_REL = names("rel")
_CHANGE: Mapping[str, tuple[Names, Reader]] = {
    "identifier": (names("identifier"), label),
    "summary": (names("summary"), label),
    "status": (names("status"), word),
    "url": (names("ticketUrl", "url"), word),
    "source": (names("sourceSystem", "source"), label),
}
_RELATION: Mapping[str, tuple[Names, Reader]] = {
    "certainty": (names("matchCertainty", "certainty"), word),
    "comment": (names("comment"), label),
}
_CHANGE_ID = names("id", "changeId")
_CHANGE_TIMES = {"start": names("start", "startedOn"), "end": names("end", "endedOn")}


def read_blocks(incident: Place, beside: Sequence[Place], around: Sequence[Place]) -> dict[str, JSON]:
    """Every block that is told.

    `incident` is the object that holds the id; `beside`, the objects that may hold its optional blocks; `around`, those
    and the metadata. Each in the order in which they are asked.
    """
    blocks: dict[str, JSON] = {}
    if (state := _group(_STATE, (incident,))) is not ABSENT:
        blocks["state"] = state
    for block, spellings, read in _FIELDS:
        if (value := told(incident, spellings, read)) is not ABSENT:
            blocks[block] = value
    for block, spellings, read in _BLOCKS:
        if (value := told_in(beside, spellings, read)) is not ABSENT:
            blocks[block] = value
    if (assignment := _group(_ASSIGNMENT, around)) is not ABSENT:
        blocks["assignment"] = assignment
    return blocks | alert_blocks(tuple(reversed(beside)))


def person(value: JSON) -> dict[str, str] | Absent | None:
    """Somebody: {name, email, id}, or a bare name or e-mail address."""
    if isinstance(value, str):
        name = word(value)
        if not isinstance(name, str):
            return name
        return {"name": "", "email": "", "id": ""} | {"email" if "@" in name else "name": name}
    if empty(value):
        return None
    if not isinstance(value, dict):
        return ABSENT
    parts = {part: told(value, spellings, identifier) for part, spellings in _PERSON.items()}
    if all(part is ABSENT for part in parts.values()):
        return ABSENT
    found = {name: part if isinstance(part, str) else "" for name, part in parts.items()}
    return found if any(found.values()) else None


def _group(fields: Mapping[str, tuple[Names, Reader]], places: Sequence[Place]) -> dict[str, JSON] | Absent:
    """Fields that make one block together: where one of them is told, the others say nothing."""
    found = {field: told_in(places, spellings, read) for field, (spellings, read) in fields.items()}
    if all(value is ABSENT for value in found.values()):
        return ABSENT
    return {field: None if value is ABSENT else value for field, value in found.items()}


def _snooze(value: JSON) -> dict[str, JSON] | Absent | None:
    """{snoozed, wake}, or the bare flag. Where only a time to wake is told, it sleeps until then."""
    if empty(value):
        return None
    if not isinstance(value, dict):
        asleep = flag(value)
        return ABSENT if asleep is ABSENT else {"snoozed": bool(asleep), "wake": None}
    wake = told(value, _WAKE, moment)
    snoozed = told(value, _SNOOZED, flag, ABSENT if wake is ABSENT else wake is not None)
    return ABSENT if snoozed is ABSENT else {"snoozed": bool(snoozed), "wake": None if wake is ABSENT else wake}


def _links(value: JSON) -> dict[str, str] | Absent:
    """An object of links, a bare one, or a list of either; the first that has no name is the landing page."""
    if empty(value):
        return {}
    usable = False
    found: dict[str, str] = {}
    for name, link in _each_link(value):
        usable = usable or link is not ABSENT
        if isinstance(link, str):
            found[name if found.get(name, link) == link else f"{name}_{len(found) + 1}"] = link
    return found if usable else ABSENT


def _each_link(value: JSON) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, list):
        for item in value:
            rel = told(item, _REL, filled) if isinstance(item, dict) else ABSENT
            yield from _each_link(item) if rel is ABSENT else [(snake(rel), _link(item))]
    elif isinstance(value, dict) and "href" not in value:
        for name in sorted(value):
            yield snake(name) or _LANDING_PAGE, _link(value[name])
    else:
        yield _LANDING_PAGE, _link(value)


def _link(value: JSON) -> str | Absent | None:
    href: JSON = told(value, _HREF, word) if isinstance(value, dict) else word(value)
    return href if isinstance(href, str) or href is None else ABSENT


def _changes(value: JSON) -> list[JSON] | Absent:
    """Related changes; where not one of several items is a change, the whole says nothing."""
    if empty(value):
        return []
    items = value if isinstance(value, list) else [value]
    return [change for item in items if (change := _change(item)) is not ABSENT] or ABSENT


def _change(value: JSON) -> dict[str, JSON] | Absent:
    """A relation around its change, or the bare change."""
    if not isinstance(value, dict):
        return ABSENT
    change = value["change"] if isinstance(value.get("change"), dict) else value
    found: dict[str, JSON] = {field: told(change, *how, None) or "" for field, how in _CHANGE.items()}
    if not any(found.values()):
        return ABSENT
    found |= {field: told_in((value, change), *how, None) or "" for field, how in _RELATION.items()}
    found |= {field: told(change, spellings, moment, None) for field, spellings in _CHANGE_TIMES.items()}
    known_by = told_in((change, value), _CHANGE_ID, filled, None)
    return found | {"id": known_by or found["identifier"] or compact([found["source"], found["summary"]])}


_ASSIGNMENT: Mapping[str, tuple[Names, Reader]] = {
    "assignee": (names("assignee"), person),
    "assigner": (names("assigner"), person),
}
"""In the metadata, as the samples have it, or where the API has it: in the incident."""

_FIELDS: Sequence[tuple[str, Names, Reader]] = (
    ("severity", names("severity"), word),
    ("flapping", names("flapping"), flag),
    ("snooze", names("snooze", "snoozed"), _snooze),
    ("started", names("startedOn", "startedAt", "started", "start"), moment),
    ("changed", CHANGED, moment),
    ("updated", UPDATED, moment),
    ("ended", names("endedOn", "endedAt", "ended", "end"), moment),
)
"""Of the incident itself."""

_BLOCKS: Sequence[tuple[str, Names, Reader]] = (
    ("tags", names("incidentTags"), incident_tags),
    ("links", names("links", "link"), _links),
    ("changes", names("relatedChanges"), _changes),
)
"""Beside the incident or inside it: BigPanda's tables say the one, its samples the other."""
