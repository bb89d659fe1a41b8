"""An incident: what BigPanda knows of it, its two forms, in a share and in the API, and how a share is parsed."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from relay.sandbox.bigpanda.users import AUTOSHARE, FakeBigPandaUser

Body = dict[str, Any]

_ALERT_FIELDS: Final = {
    "id": "alert_id",
    "startedOn": "start",
    "changedOn": "changed_at",
    "updatedOn": "updated_at",
    "endedOn": "end",
    "primaryProperty": "primary_property",
    "secondaryProperty": "secondary_property",
    "sourceSystem": "source_system",
}
"""The fields of an alert that have another name in the API (https://docs.bigpanda.io/reference/alert-object-1)."""


@dataclass(slots=True, kw_only=True, eq=False)
class FakeIncident:
    """One incident. `fields` are those of `incident` in a share, `siblings` the other blocks (`links`, ...).

    `tags` are values by tag id, as in a share (a level of a priority is its number). `environments` are ids.
    `activities` and `comments` are in order.
    """

    id: str
    fields: Body
    siblings: Body = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    assignee: FakeBigPandaUser | None = None
    assigner: FakeBigPandaUser | None = None
    was_assigned: bool = False
    comments: list[str] = field(default_factory=list)
    activities: list[Body] = field(default_factory=list)
    shared: bool = False

    @property
    def resolved(self) -> bool:
        """Whether it is resolved."""
        return self.fields.get("resolved") is True or self.fields.get("active") is False

    @property
    def snoozed_until(self) -> int | None:
        """The end of its snooze (Unix seconds), if it is snoozed."""
        snooze = self.fields.get("snooze") or {}
        return snooze.get("wake") if snooze.get("snoozed") else None

    @property
    def alerts(self) -> list[Body]:
        """Its alerts, as in a share."""
        alerts = self.fields.get("alerts")
        return [alert for alert in alerts if isinstance(alert, dict)] if isinstance(alerts, list) else []

    # --- changes ---

    def add_activity(self, kind: str, now: float, by: FakeBigPandaUser, params: Mapping[str, Any]) -> None:
        """Log an activity (https://docs.bigpanda.io/reference/activities-object)."""
        known = {"id": f"{self.id}-{len(self.activities) + 1}", "type": kind, "timestamp": int(now)}
        self.activities.append({**known, "created_by": by.id, "params": dict(params)})

    def assign(self, to: FakeBigPandaUser | None, by: FakeBigPandaUser) -> None:
        """Assign or unassign it."""
        self.assignee, self.assigner, self.was_assigned = to, by, True

    def snooze(self, until: int | None, *, auto_cancel: bool = False) -> None:
        """Snooze it, or end its snooze."""
        self.fields["snooze"] = {"snoozed": until is not None, "wake": until, "autoCancel": auto_cancel}

    def resolve(self, now: float) -> None:
        """End it and all of its alerts."""
        ended = {"status": "Ok", "active": False, "endedOn": int(now)}
        self.fields |= {**ended, "resolved": True}
        for alert in self.alerts:
            if alert.get("active") is not False:
                alert |= {**ended, "changedOn": int(now), "updatedOn": int(now)}

    def touch(self, now: float) -> None:
        """Set the times of the last change."""
        self.fields |= {"changedOn": int(now), "updatedOn": int(now)}

    # --- forms ---

    def as_share(self) -> Body:
        """The value of `incident` in a share (https://docs.bigpanda.io/reference/webhook-incident-object)."""
        return deepcopy(self.fields)

    def as_api_object(self, *, expanded: bool) -> Body:
        """An incident of the Incidents API (https://docs.bigpanda.io/reference/incident-object).

        As seen live: without a snooze, `snooze` holds only its flag; `end` is null while the incident is active.
        """
        fields, snooze = self.fields, self.fields.get("snooze") or {}
        until = {"end_time": snooze.get("wake"), "cancel_on_incident_updates": bool(snooze.get("autoCancel"))}
        people = {"assignee": self.assignee, "assigner": self.assigner} if self.assignee else {}
        folders = {
            "resolved" if self.resolved else "active": True,
            "shared": self.shared,
            "assigned": self.assignee is not None,
            "snoozed": self.snoozed_until is not None,
        }
        alerts = [{_ALERT_FIELDS.get(name, name): value for name, value in alert.items()} for alert in self.alerts]
        return {
            "id": self.id,
            **{name: fields.get(name) for name in ("status", "active", "severity", "flapping")},
            "shared": self.shared,
            "maintenance": None,
            "snooze": {"snoozed": True, **until} if self.snoozed_until else {"snoozed": False},
            "start": fields.get("startedOn"),
            "changed_at": fields.get("changedOn"),
            "updated_at": fields.get("updatedOn"),
            "end": fields.get("endedOn"),
            "alerts": deepcopy(alerts) if expanded else [{"alert_id": alert.get("id")} for alert in self.alerts],
            "environments": list(self.environments),
            "folders": [name for name, contains in folders.items() if contains],
            "incident_tags": [{"tag_id": tag, "tag_value": value} for tag, value in self.tags.items()],
            "correlation_matchers_log": [[]],
            **{role: user.as_api_object() for role, user in people.items() if user},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedShare:
    """One body. `fields` are those of `incident`, `siblings` the other blocks (`links`, ...).

    `people` are assignee and assigner where they are named, `tags` values by tag id, `environment` id and name.
    """

    fields: Body
    siblings: Body
    tags: Body
    people: Mapping[str, FakeBigPandaUser | None]
    environment: tuple[str, str] | None
    event: str | None
    comment: str | None
    sender: FakeBigPandaUser

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "ParsedShare":
        """Parse a body as the documentation prints it."""
        siblings = dict(deepcopy(body))
        fields, metadata = siblings.pop("incident"), siblings.pop("metadata", None) or {}
        tags = {tag["id"]: tag["value"] for tag in siblings.pop("incidentTags", None) or []}
        events = siblings.pop("event_types", None) or []
        environment = metadata.get("environment_id")
        comment = metadata.get("comment")
        text = comment.get("comment") if isinstance(comment, Mapping) else comment
        return cls(
            fields=fields,
            siblings=siblings,
            tags=tags,
            people={role: _user(metadata[role]) for role in ("assignee", "assigner") if role in metadata},
            environment=(environment, metadata.get("environment", environment)) if environment else None,
            event=events[0]["event"] if events else None,
            comment=text if isinstance(text, str) else None,
            sender=_user(metadata.get("sender")) or AUTOSHARE,
        )


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Body:
    """The new and the changed fields; removed ones are left out."""
    return deepcopy({name: value for name, value in after.items() if name not in before or before[name] != value})


def _user(value: Mapping[str, str] | None) -> FakeBigPandaUser | None:
    if not value:
        return None
    name, email = value.get("name", ""), value.get("email", "")
    return FakeBigPandaUser(id=value.get("userId") or email or name, name=name, email=email)
