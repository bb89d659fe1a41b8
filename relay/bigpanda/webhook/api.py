"""What the Incidents API tells of an incident, said as a share says it.

https://docs.bigpanda.io/reference/incident-object and, for its alerts, https://docs.bigpanda.io/reference/alert-object-1.
"""

from collections.abc import Mapping

from relay.bigpanda.webhook.lenient_json import to_json
from relay.model.json_types import JSON

Words = Mapping[str, str]
"""The API's word for a field -> the share's."""

_INCIDENT: Words = {
    "id": "id",
    "status": "status",
    "severity": "severity",
    "active": "active",
    "flapping": "flapping",
    "start": "startedOn",
    "changed_at": "changedOn",
    "updated_at": "updatedOn",
    "end": "endedOn",
}
_SNOOZE: Words = {"snoozed": "snoozed", "end_time": "wake", "cancel_on_incident_updates": "autoCancel"}
_ALERT_IDS: Words = {"id": "id", "alert_id": "id"}
_ALERT: Words = {
    "status": "status",
    "active": "active",
    "start": "startedOn",
    "changed_at": "changedOn",
    "updated_at": "updatedOn",
    "end": "endedOn",
    "primary_property": "primaryProperty",
    "secondary_property": "secondaryProperty",
    "source_system": "sourceSystem",
    "description": "description",
    "tags": "tags",
}
_PERSON: Words = {"name": "name", "email": "email", "user_id": "userId"}
_PEOPLE = ("assignee", "assigner")


def share_body_from_api(body: JSON, *, comment: str | None = None) -> bytes:
    """An incident as the API answers it, as a webhook's body that `parse` reads.

    It tells what the API told and nothing else: no event, no sender, no links, and not from which of its environments
    the incident is shared. Alerts are told only where each of them was (`expand=alerts`): a list that knows some by
    their id alone does not say that there are no others. A body that is no incident is one that `parse` refuses.
    `comment` is one that the incident is known to have, of which the API's incident does not tell.

    Raises:
        NotJson: it is too deeply nested to be written.
    """
    told = body if isinstance(body, dict) else {}
    incident = _said(told, _INCIDENT)
    if isinstance(snooze := told.get("snooze"), dict):
        incident["snooze"] = _said(snooze, _SNOOZE)
    if (alerts := _alerts(told.get("alerts"))) is not None:
        incident["alerts"] = alerts
    share: dict[str, JSON] = {"incident": incident}
    if "incident_tags" in told:
        share["incidentTags"] = told["incident_tags"]
    metadata: dict[str, JSON] = {role: _person(told[role]) for role in _PEOPLE if role in told}
    if comment is not None:
        metadata["comment"] = {"comment": comment}
    if metadata:
        share["metadata"] = metadata
    return to_json(share)


def _alerts(told: JSON) -> list[dict[str, JSON]] | None:
    """All alerts, or None where one of them is a bare id."""
    if not isinstance(told, list) or not all(isinstance(alert, dict) for alert in told):
        return None
    alerts = [(_said(alert, _ALERT_IDS), _said(alert, _ALERT)) for alert in told]
    return [known | said for known, said in alerts] if all(said for _, said in alerts) else None


def _person(told: JSON) -> JSON:
    return _said(told, _PERSON) if isinstance(told, dict) else told


def _said(told: Mapping[str, JSON], words: Words) -> dict[str, JSON]:
    return {word: told[name] for name, word in words.items() if name in told}
