"""Alerts: the whole list, or one alert told on its own.

Fields: https://docs.bigpanda.io/reference/alert-object; a webhook made of a template knows the primary alert only:
https://docs.bigpanda.io/en/notifications-webhook-v2.html.
"""

import hashlib
from collections.abc import Mapping, Sequence

from relay.bigpanda.webhook.tags import alert_tags
from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    compact,
    empty,
    filled,
    flag,
    label,
    moment,
    names,
    told,
    told_in,
    word,
)
from relay.model.json_types import JSON

_ALERTS = names("alerts")
_PRIMARY_ALERT = names("primaryAlert", "alert")

_ID = names("id", "alertId")
_STATUS = names("status")
_ACTIVE = names("active")
_STARTED = names("startedOn", "startedAt", "started", "start")
_CHANGED = names("changedOn", "changedAt", "changed")
_ENDED = names("endedOn", "endedAt", "ended", "end")
_PRIMARY = names("primaryProperty", "primary")
_SECONDARY = names("secondaryProperty", "secondary")
_SOURCE = names("sourceSystem", "source")
_DESCRIPTION = names("description")
_TAGS = names("tags")
_TELLING = frozenset(
    (*_STATUS, *_ACTIVE, *_STARTED, *_CHANGED, *_ENDED, *_PRIMARY, *_SECONDARY, *_SOURCE, *_DESCRIPTION, *_TAGS)
)
"""An object with none of these is a mere reference to an alert (`{"id": ...}`, the API's short form), or no alert."""

_LONGEST_ID = 255


def alert_blocks(places: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The block `alerts` for a list, `alert:<id>` for a single alert, nothing where no alert is told."""
    alerts = told_in(places, _ALERTS, _alerts)
    if isinstance(alerts, list):
        return {"alerts": alerts}
    single = alerts if alerts is not ABSENT else told_in(places, _PRIMARY_ALERT, _alert)
    return {} if single is ABSENT else {f"alert:{single['id']}": single}


def _alerts(value: JSON) -> list[JSON] | dict[str, JSON] | Absent:
    """A list, a map by id, or one alert. Where not one of several items is an alert, the whole says nothing."""
    if empty(value):
        return []
    if isinstance(value, dict) and not _is_map(value):
        return _alert(value)
    found = [alert for item in _items(value) if (alert := _alert(item)) is not ABSENT]
    return found or ABSENT


def _is_map(value: Mapping[str, JSON]) -> bool:
    return _TELLING.isdisjoint(value) and all(isinstance(item, dict) for item in value.values())


def _items(value: JSON) -> list[JSON]:
    """A map's keys are the ids of those alerts that don't give their own, unless they only count (`"0"`, `"1"`)."""
    if not isinstance(value, dict):
        return value if isinstance(value, list) else []
    positions = {str(position) for position in range(len(value))}
    return [item if key in positions else {"alertId": key} | item for key, item in sorted(value.items())]


def _alert(value: JSON) -> dict[str, JSON] | Absent:
    """One alert in the shape of the record; what it does not tell is empty."""
    if not isinstance(value, dict) or _TELLING.isdisjoint(value):
        return ABSENT
    alert = {
        "id": told(value, _ID, filled, None),
        "status": told(value, _STATUS, word, None) or "",
        "active": told(value, _ACTIVE, flag, None),
        "started": told(value, _STARTED, moment, None),
        "changed": told(value, _CHANGED, moment, None),
        "ended": told(value, _ENDED, moment, None),
        "primary": told(value, _PRIMARY, word, None) or "",
        "secondary": told(value, _SECONDARY, word, None) or "",
        "source": told(value, _SOURCE, label, None) or "",
        "description": told(value, _DESCRIPTION, label, None) or "",
        "tags": told(value, _TAGS, alert_tags, ()) or [],
    }
    if not alert["id"] or len(alert["id"]) > _LONGEST_ID:
        alert["id"] = _made_up_id(alert)
    return alert


def _made_up_id(alert: Mapping[str, JSON]) -> str:
    """The same for the same alert in every share: from what is broken where that is known, else from all that is said.

    BigPanda tells alerts apart by source and by the values of the two properties. A description often holds a reading
    (`CPU is 98%`), so it is taken only where nothing else is left.
    """
    tags = dict(alert["tags"])
    properties = [[name, tags.get(name)] for name in (alert["primary"], alert["secondary"]) if name]
    said = properties if alert["primary"] in tags else sorted(tags.items()) or alert["description"] or alert["id"]
    identity = compact([alert["source"], alert["primary"], alert["secondary"], said])
    return hashlib.sha256(identity.encode()).hexdigest()[:24]
