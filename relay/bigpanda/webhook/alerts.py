"""Read alerts: the whole list, or a single alert.

Fields: https://docs.bigpanda.io/reference/alert-object. A webhook with a template has only the primary alert:
https://docs.bigpanda.io/en/notifications-webhook-v2.html.
"""

import hashlib
from collections.abc import Mapping, Sequence

from relay.bigpanda.webhook.lenient_json import to_json
from relay.bigpanda.webhook.tags import alert_tags
from relay.bigpanda.webhook.values import (
    ABSENT,
    MAX_ID_LENGTH,
    Absent,
    JsonObject,
    Reader,
    Spellings,
    boolean,
    is_empty,
    read_items,
    read_key,
    read_key_in,
    required_id,
    spellings,
    text,
    text_or_number,
    whole_timestamp,
)
from relay.model.json_types import JSON

_ALERTS = spellings("alerts")
_PRIMARY_ALERT = spellings("primaryAlert", "alert")

_FIELDS: Mapping[str, tuple[Spellings, Reader, JSON]] = {
    "id": (spellings("id", "alertId"), required_id, None),
    "status": (spellings("status"), text, ""),
    "active": (spellings("active"), boolean, None),
    "started": (spellings("startedOn", "startedAt", "started", "start"), whole_timestamp, None),
    "changed": (spellings("changedOn", "changedAt", "changed"), whole_timestamp, None),
    "ended": (spellings("endedOn", "endedAt", "ended", "end"), whole_timestamp, None),
    "primary": (spellings("primaryProperty", "primary"), text, ""),
    "secondary": (spellings("secondaryProperty", "secondary"), text, ""),
    "source": (spellings("sourceSystem", "source"), text_or_number, ""),
    "description": (spellings("description"), text_or_number, ""),
    "tags": (spellings("tags"), alert_tags, None),
}
"""Field of `relay.model.incident.Alert` -> its keys in a share, how to read it, and its value where it is missing."""
_ALERT_KEYS = frozenset(key for field, (keys, _, _) in _FIELDS.items() if field != "id" for key in keys)
"""An object with none of these keys only refers to an alert (`{"id": ...}`, the API's short form), or is no alert."""


def alert_blocks(sources: Sequence[JsonObject]) -> dict[str, JSON]:
    """Return the block `alerts` for a list, `alert:<id>` for a single alert, or no block."""
    alerts = read_key_in(sources, _ALERTS, _alerts)
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
    found = {field: read_key(value, keys, read, None) for field, (keys, read, _) in _FIELDS.items()}
    alert = {field: _FIELDS[field][2] if part is None else part for field, part in found.items()}
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
