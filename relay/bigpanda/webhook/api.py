"""Rewrite an incident from the Incidents API as a share's body.

https://docs.bigpanda.io/reference/incident-object, and for its alerts
https://docs.bigpanda.io/reference/alert-object-1.
"""

from relay.bigpanda.webhook.values import JsonObject
from relay.http.lenient_json import to_json
from relay.model.json_types import JSON

_TIMES = {"start": "startedOn", "changed_at": "changedOn", "updated_at": "updatedOn", "end": "endedOn"}
"""The API's name of a field -> the share's; the same in the tables below."""
_INCIDENT = {name: name for name in ("id", "status", "severity", "active", "flapping")} | _TIMES
_SNOOZE = {"snoozed": "snoozed", "end_time": "wake", "cancel_on_incident_updates": "autoCancel"}
_ALERT_IDS = {"id": "id", "alert_id": "id"}
_ALERT = {
    "status": "status",
    "active": "active",
    **_TIMES,
    "primary_property": "primaryProperty",
    "secondary_property": "secondaryProperty",
    "source_system": "sourceSystem",
    "description": "description",
    "tags": "tags",
}
_PERSON = {"name": "name", "email": "email", "user_id": "userId"}


def share_body_from_api(body: JSON, *, comment: str | None = None) -> bytes:
    """Return a webhook body for `parse_share` that says what the API's incident says, and nothing else.

    It has no event, no sender, no links, and no environment that it was shared from. It has alerts only where the
    response has all of them in full (`expand=alerts`): a list with bare ids does not say that there are no others.
    `parse_share` rejects the result where `body` is no incident. `comment` is one that the incident is known to have,
    since the API's incident has none.

    Raises:
        NotJson: the body is too deeply nested to be written.
    """
    api = body if isinstance(body, dict) else {}
    incident = _renamed(api, _INCIDENT)
    if isinstance(snooze := api.get("snooze"), dict):
        incident["snooze"] = _renamed(snooze, _SNOOZE)
    alerts = api.get("alerts")
    if isinstance(alerts, list) and all(isinstance(alert, dict) and _ALERT.keys() & alert for alert in alerts):
        incident["alerts"] = [_renamed(alert, _ALERT_IDS | _ALERT) for alert in alerts]
    share: dict[str, JSON] = {"incident": incident}
    if "incident_tags" in api:
        share["incidentTags"] = api["incident_tags"]
    people = {role: api[role] for role in ("assignee", "assigner") if role in api}
    folders = api.get("folders")
    if "assignee" not in api and isinstance(folders, list) and "assigned" not in folders:
        people["assignee"] = None  # the folders list what an incident is in, so nobody has it
    metadata: dict[str, JSON] = {
        role: _renamed(person, _PERSON) if isinstance(person, dict) else person for role, person in people.items()
    }
    if comment is not None:
        metadata["comment"] = {"comment": comment}
    if metadata:
        share["metadata"] = metadata
    return to_json(share)


def _renamed(source: JsonObject, names: dict[str, str]) -> dict[str, JSON]:
    return {new: source[name] for name, new in names.items() if name in source}
