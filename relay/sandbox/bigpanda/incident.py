"""An incident: what BigPanda knows of it, and the two shapes in which it tells it, the share's and the API's."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from relay.sandbox.bigpanda.users import FakeBigPandaUser

Body = dict[str, Any]

_ALERT: Final = {
    "id": "alert_id",
    "startedOn": "start",
    "changedOn": "changed_at",
    "updatedOn": "updated_at",
    "endedOn": "end",
    "primaryProperty": "primary_property",
    "secondaryProperty": "secondary_property",
    "sourceSystem": "source_system",
}
"""Where the API has another word for a field of an alert (https://docs.bigpanda.io/reference/alert-object-1)."""


@dataclass(slots=True, kw_only=True, eq=False)
class FakeIncident:
    """One incident. `told` are the fields of `incident` in a share, `beside` the blocks beside it (`links`, ...).

    `tags` are by the tag's id, as a share tells their values (a level of a priority is its number). `environments` are
    ids. `activities` and `comments` are in the order in which they came.
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
        """Whether it is over."""
        return self.fields.get("resolved") is True or self.fields.get("active") is False

    @property
    def snoozed_until(self) -> int | None:
        """When it wakes (Unix seconds), where it sleeps."""
        snooze = self.fields.get("snooze") or {}
        return snooze.get("wake") if snooze.get("snoozed") else None

    @property
    def alerts(self) -> list[Body]:
        """Its alerts, as a share tells them."""
        told = self.fields.get("alerts")
        return [alert for alert in told if isinstance(alert, dict)] if isinstance(told, list) else []

    # --- what happens to it ---

    def add_activity(self, kind: str, now: float, by: FakeBigPandaUser, params: Mapping[str, Any]) -> None:
        """Write down an activity (https://docs.bigpanda.io/reference/activities-object)."""
        number = len(self.activities) + 1
        known = {"id": f"{self.id}-{number}", "type": kind, "timestamp": int(now)}
        self.activities.append({**known, "created_by": by.id, "params": dict(params)})

    def assign(self, to: FakeBigPandaUser | None, by: FakeBigPandaUser) -> None:
        """Make somebody responsible, or nobody."""
        self.assignee, self.assigner, self.was_assigned = to, by, True

    def snooze(self, until: int, *, cancels: bool) -> None:
        """Put it to sleep."""
        self.fields["snooze"] = {"snoozed": True, "wake": until, "autoCancel": cancels}

    def wake(self) -> None:
        """End its sleep."""
        self.fields["snooze"] = {"snoozed": False, "wake": None, "autoCancel": False}

    def resolve(self, now: float) -> None:
        """End it and all of its alerts."""
        over = {"status": "Ok", "active": False, "endedOn": int(now)}
        self.fields |= {**over, "resolved": True}
        for alert in self.alerts:
            if alert.get("active") is not False:
                alert |= {**over, "changedOn": int(now), "updatedOn": int(now)}

    def touch(self, now: float) -> None:
        """Move its clocks."""
        self.fields |= {"changedOn": int(now), "updatedOn": int(now)}

    # --- how it is told ---

    def as_share(self) -> Body:
        """The value of `incident` in a share (https://docs.bigpanda.io/reference/webhook-incident-object)."""
        return deepcopy(self.fields)

    def as_api_object(self, *, expanded: bool) -> Body:
        """An incident of the Incidents API (https://docs.bigpanda.io/reference/incident-object).

        What was seen live: `snooze` holds nothing but its flag when it does not sleep, `end` is null while it is on.
        """
        told, snooze = self.fields, self.fields.get("snooze") or {}
        until = {"end_time": snooze.get("wake"), "cancel_on_incident_updates": bool(snooze.get("autoCancel"))}
        people = {"assignee": self.assignee, "assigner": self.assigner} if self.assignee else {}
        return {
            "id": self.id,
            **{name: told.get(name) for name in ("status", "active", "severity", "flapping")},
            "shared": self.shared,
            "maintenance": None,
            "snooze": {"snoozed": True, **until} if self.snoozed_until else {"snoozed": False},
            "start": told.get("startedOn"),
            "changed_at": told.get("changedOn"),
            "updated_at": told.get("updatedOn"),
            "end": told.get("endedOn"),
            "alerts": [_alert(alert) if expanded else {"alert_id": alert.get("id")} for alert in self.alerts],
            "environments": list(self.environments),
            "folders": self._folders(),
            "incident_tags": [{"tag_id": known, "tag_value": value} for known, value in self.tags.items()],
            "correlation_matchers_log": [[]],
            **{role: user.as_api_object() for role, user in people.items() if user},
        }

    def _folders(self) -> list[str]:
        folders = {
            "resolved" if self.resolved else "active": True,
            "shared": self.shared,
            "assigned": self.assignee is not None,
            "snoozed": self.snoozed_until is not None,
        }
        return [name for name, stands in folders.items() if stands]


def _alert(told: Mapping[str, Any]) -> Body:
    return {_ALERT.get(name, name): deepcopy(value) for name, value in told.items()}
