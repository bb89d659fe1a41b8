"""Read what a share says about its incident, block by block, in the shapes of `relay.model.incident`.

A block that is missing or has an unexpected type is left out. A block that is empty in the share is empty.

Fields: https://docs.bigpanda.io/reference/webhook-incident-object, https://docs.bigpanda.io/reference/alert-object, and
in the API's spelling https://docs.bigpanda.io/reference/incident-object. A webhook with a template has only the primary
alert: https://docs.bigpanda.io/en/notifications-webhook-v2.html.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from relay.bigpanda.webhook.tags import alert_tags, incident_tags
from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    Fields,
    JsonObject,
    Reader,
    Spellings,
    boolean,
    is_empty,
    read_items,
    read_key,
    read_key_in,
    required_id,
    snake_case,
    spellings,
    text,
    text_or_lines,
    text_or_number,
    whole_timestamp,
    written,
)
from relay.http.lenient_json import to_json
from relay.model.bounds import MAX_ID_LENGTH
from relay.model.json_types import JSON

_STARTED = spellings("startedOn", "startedAt", "started", "start")
CHANGED = spellings("changedOn", "changedAt", "changed")
UPDATED = spellings("updatedOn", "updatedAt", "updated")
_ENDED = spellings("endedOn", "endedAt", "ended", "end")

_STATE: Fields = {
    "status": (spellings("status"), text),
    "resolved": (spellings("resolved"), boolean),
    "active": (spellings("active"), boolean),
}
_PERSON = {
    "name": spellings("name", "fullName", "displayName", "username", "userName"),
    "email": spellings("email", "emailAddress"),
    "id": spellings("userId", "id"),
}
_WAKE = spellings("wake", "endTime", "wakeTime")
_LANDING_PAGE = "landing_page"
_HREF = spellings("href", "url", "landingPage")
_CHANGE: Fields = {
    "identifier": (spellings("identifier"), text_or_number),
    "summary": (spellings("summary"), text_or_number),
    "status": (spellings("status"), text),
    "url": (spellings("ticketUrl", "url"), text),
    "source": (spellings("sourceSystem", "source"), text_or_number),
}
_RELATION: Fields = {
    "certainty": (spellings("matchCertainty", "certainty"), written),  # NONE is one
    "comment": (spellings("comment"), text_or_number),
}
_CHANGE_ID = spellings("id", "changeId")
_CHANGE_TIMES = {"start": spellings("start", "startedOn"), "end": spellings("end", "endedOn")}
_PRIMARY_ALERT = spellings("primaryAlert", "alert")
_ALERT: Mapping[str, tuple[Spellings, Reader, JSON]] = {
    "id": (spellings("id", "alertId"), required_id, None),
    "status": (spellings("status"), text, ""),
    "active": (spellings("active"), boolean, None),
    "started": (_STARTED, whole_timestamp, None),
    "changed": (CHANGED, whole_timestamp, None),
    "ended": (_ENDED, whole_timestamp, None),
    "primary": (spellings("primaryProperty", "primary"), text, ""),
    "secondary": (spellings("secondaryProperty", "secondary"), text, ""),
    "source": (spellings("sourceSystem", "source"), text_or_number, ""),
    "description": (spellings("description"), text_or_lines, ""),
    "tags": (spellings("tags"), alert_tags, None),
}
"""Field of `relay.model.incident.Alert` -> its keys in a share, how to read it, and its value where it is missing."""
_ALERT_KEYS = frozenset(key for field, (keys, _, _) in _ALERT.items() if field != "id" for key in keys)
"""An object with none of these keys only refers to an alert (`{"id": ...}`, the API's short form), or is no alert."""


def read_blocks(
    incident: JsonObject, incident_or_body: Sequence[JsonObject], anywhere: Sequence[JsonObject]
) -> dict[str, JSON]:
    """Read all blocks of the share.

    `incident` is the object with the id. `incident_or_body` are the objects that may hold its optional blocks,
    `anywhere` are these and the metadata, each in the order to try.
    """
    found = {
        "state": _group(_STATE, (incident,)),
        **{block: read_key(incident, *how) for block, how in _INCIDENT_BLOCKS.items()},
        **{block: read_key_in(incident_or_body, *how) for block, how in _OPTIONAL_BLOCKS.items()},
        "assignment": _group(_ASSIGNMENT, anywhere),
        **_alert_blocks(tuple(reversed(incident_or_body))),
    }
    return {block: value for block, value in found.items() if value is not ABSENT}


def person(value: JSON) -> dict[str, str] | Absent | None:
    """Read a person: {name, email, id}, or a bare name or e-mail address."""
    if isinstance(value, str):
        name = text(value)
        if not isinstance(name, str):
            return name
        return {"name": "", "email": "", "id": ""} | {"email" if "@" in name else "name": name}
    if is_empty(value):
        return None
    if not isinstance(value, dict):
        return ABSENT
    parts = {part: read_key(value, keys, text_or_number) for part, keys in _PERSON.items()}
    if all(part is ABSENT for part in parts.values()):
        return ABSENT
    found = {name: part if isinstance(part, str) else "" for name, part in parts.items()}
    return found if any(found.values()) else None


def _group(fields: Fields, sources: Sequence[JsonObject]) -> dict[str, JSON] | Absent:
    """Read fields that form one block: if one of them is there, the missing ones are empty."""
    found = {field: read_key_in(sources, keys, read) for field, (keys, read) in fields.items()}
    if all(value is ABSENT for value in found.values()):
        return ABSENT
    return {field: None if value is ABSENT else value for field, value in found.items()}


def _snooze(value: JSON) -> dict[str, JSON] | Absent | None:
    """Read {snoozed, wake}, or the bare flag. With a time to wake alone, the incident is snoozed until then."""
    if is_empty(value):
        return None
    if not isinstance(value, dict):
        flag = boolean(value)
        return ABSENT if flag is ABSENT else {"snoozed": bool(flag), "wake": None}
    wake = read_key(value, _WAKE, whole_timestamp)
    snoozed = read_key(value, ("snoozed",), boolean, ABSENT if wake is ABSENT else wake is not None)
    return ABSENT if snoozed is ABSENT else {"snoozed": bool(snoozed), "wake": None if wake is ABSENT else wake}


def _links(value: JSON) -> dict[str, str] | Absent:
    """Read an object of links, a bare link, or a list of either. The first link without a name is the landing page."""
    if is_empty(value):
        return {}
    usable = False
    links: dict[str, str] = {}
    for name, link in _named_links(value):
        usable = usable or link is not ABSENT
        if isinstance(link, str):
            links[name if links.get(name, link) == link else f"{name}_{len(links) + 1}"] = link
    return links if usable else ABSENT


def _named_links(value: JSON) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, list):
        for item in value:
            rel = read_key(item, ("rel",), required_id) if isinstance(item, dict) else ABSENT
            yield from _named_links(item) if rel is ABSENT else [(snake_case(rel), _link(item))]
    elif isinstance(value, dict) and "href" not in value:
        for name in sorted(value):
            yield snake_case(name) or _LANDING_PAGE, _link(value[name])
    else:
        yield _LANDING_PAGE, _link(value)


def _link(value: JSON) -> str | Absent | None:
    href: JSON = read_key(value, _HREF, text) if isinstance(value, dict) else text(value)
    return href if isinstance(href, str) or href is None else ABSENT


def _change(value: JSON) -> dict[str, JSON] | Absent:
    """Read a relation around its change, or the bare change."""
    if not isinstance(value, dict):
        return ABSENT
    change = value["change"] if isinstance(value.get("change"), dict) else value
    found: dict[str, JSON] = {field: read_key(change, *how, None) or "" for field, how in _CHANGE.items()}
    if not any(found.values()):
        return ABSENT
    found |= {field: read_key_in((value, change), *how, None) or "" for field, how in _RELATION.items()}
    found |= {field: read_key(change, keys, whole_timestamp, None) for field, keys in _CHANGE_TIMES.items()}
    change_id = read_key_in((change, value), _CHANGE_ID, required_id, None)
    return found | {"id": change_id or found["identifier"] or to_json([found["source"], found["summary"]]).decode()}


def _alert_blocks(sources: Sequence[JsonObject]) -> dict[str, JSON]:
    """Return the block `alerts` for a list, `alert:<id>` for a single alert, or no block."""
    alerts = read_key_in(sources, ("alerts",), _alerts)
    if isinstance(alerts, list):
        return {"alerts": alerts}
    single = alerts if alerts is not ABSENT else read_key_in(sources, _PRIMARY_ALERT, _alert)
    return {} if single is ABSENT else {f"alert:{single['id']}": single}


def _alerts(value: JSON) -> list[JSON] | dict[str, JSON] | Absent:
    """Read a list, a map by id, or one alert."""
    if is_empty(value):
        return []
    if isinstance(value, dict):
        is_map = _ALERT_KEYS.isdisjoint(value) and all(isinstance(item, dict) for item in value.values())
        if not is_map:
            return _alert(value)
        # The keys are the ids of alerts without one, unless they only count ("0", "1").
        positions = {str(position) for position in range(len(value))}
        value = [item if key in positions else {"alertId": key} | item for key, item in sorted(value.items())]
    return read_items(value, _alert) if isinstance(value, list) else ABSENT


def _alert(value: JSON) -> dict[str, JSON] | Absent:
    """Read one alert in the shape of `relay.model.incident`. A missing field is empty."""
    if not isinstance(value, dict) or _ALERT_KEYS.isdisjoint(value):
        return ABSENT
    found = {field: read_key(value, keys, read, None) for field, (keys, read, _) in _ALERT.items()}
    alert = {field: _ALERT[field][2] if part is None else part for field, part in found.items()}
    alert["tags"] = alert["tags"] or []
    if not alert["id"] or len(alert["id"]) > MAX_ID_LENGTH:
        alert["id"] = _derived_id(alert)
    return alert


def _derived_id(alert: Mapping[str, JSON]) -> str:
    """Derive an id that is the same for the same alert in every share.

    BigPanda tells alerts apart by their source and by the values of the two properties. Where these are missing, all
    tags count. A description often contains a reading (`CPU is 98%`), so it counts only where nothing else is left.
    """
    tags = dict(alert["tags"])
    properties = [[name, tags.get(name)] for name in (alert["primary"], alert["secondary"]) if name]
    rest = properties if alert["primary"] in tags else sorted(tags.items()) or alert["description"] or alert["id"]
    identity = to_json([alert["source"], alert["primary"], alert["secondary"], rest])
    return hashlib.sha256(identity).hexdigest()[:24]


_ASSIGNMENT: Fields = {
    "assignee": (spellings("assignee"), person),
    "assigner": (spellings("assigner"), person),
}
"""In the metadata, as in BigPanda's samples, or in the incident, as in the API."""

_INCIDENT_BLOCKS: Fields = {
    "severity": (spellings("severity"), text),
    "flapping": (spellings("flapping"), boolean),
    "snooze": (spellings("snooze", "snoozed"), _snooze),
    "started": (_STARTED, whole_timestamp),
    "changed": (CHANGED, whole_timestamp),
    "updated": (UPDATED, whole_timestamp),
    "ended": (_ENDED, whole_timestamp),
}
"""In the incident itself."""

_OPTIONAL_BLOCKS: Fields = {
    "tags": (spellings("incidentTags"), incident_tags),
    "links": (spellings("links", "link"), _links),
    "changes": (spellings("relatedChanges"), lambda value: read_items(value, _change)),
}
"""Beside the incident, as in BigPanda's tables, or inside it, as in its samples."""
