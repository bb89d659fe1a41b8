"""An organisation of BigPanda in memory: its keys and users, its environments, its tags, its incidents."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError, not_found
from relay.sandbox.bigpanda.incident import Body, FakeIncident, ParsedShare, changed_fields
from relay.sandbox.bigpanda.sharing import ShareSender, ShareTrigger
from relay.sandbox.bigpanda.tag_definitions import FakeTagDefinition
from relay.sandbox.bigpanda.users import AUTOSHARE, PERMISSIONS, FakeApiKey, FakeBigPandaUser

COMMENTED: Final = "incident#commented"
PRIORITY_TAG: Final = FakeTagDefinition(
    id="itd_priority_1", name="Priority", type="Priority", values=("P1", "P2", "P3", "P4", "P5")
)
"""The tag that every organisation has."""


class Organisation(ShareSender):
    """Everything that a call can read or change; what changes is shared.

    `resolve_delay` is how long after its answer a resolution takes effect (seconds).
    """

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]], key: str, user: FakeBigPandaUser
    ) -> None:
        """Make an organisation with one key and its user, one environment, and the tag Priority."""
        super().__init__(clock, sleep)
        self.resolve_delay = 0.0
        self.key = key
        self.keys: dict[str, FakeApiKey] = {}
        self.users: dict[str, FakeBigPandaUser] = {}
        self.environments: dict[str, str] = {}
        self.definitions: dict[str, FakeTagDefinition] = {PRIORITY_TAG.id: PRIORITY_TAG}
        self.incidents: dict[str, FakeIncident] = {}
        self._last_shares: dict[str, ParsedShare] = {}
        self.add_user(user)
        self.add_key(key, user=user)
        self.add_environment("55550bc8c481fd1100abc398", "All Incidents")

    # --- what there is ---

    def add_user(self, user: FakeBigPandaUser) -> FakeBigPandaUser:
        """Add a person."""
        self.users[user.id] = user
        return user

    def add_key(self, key: str, *, user: FakeBigPandaUser, permissions: Iterable[str] = PERMISSIONS) -> FakeApiKey:
        """Add a key that acts for this user."""
        self.keys[key] = FakeApiKey(user=user, permissions=frozenset(permissions))
        return self.keys[key]

    def revoke(self, key: str | None = None) -> None:
        """Revoke a key; by default the organisation's first."""
        self.keys[key or self.key].revoked = True

    def restore(self, key: str | None = None) -> None:
        """Make a revoked key valid again."""
        self.keys[key or self.key].revoked = False

    def add_environment(self, id: str, name: str) -> None:  # noqa: A002  BigPanda's word for it
        """Add an environment; incidents that name none are in the first."""
        self.environments[id] = name

    def add_tag_definition(self, definition: FakeTagDefinition) -> FakeTagDefinition:
        """Define an incident tag."""
        self.definitions[definition.id] = definition
        return definition

    def add_incident(self, body: Mapping[str, Any]) -> FakeIncident:
        """Make an incident from the body of a share; nothing is shared yet."""
        return self.apply_share(ParsedShare.parse(body))

    def learn_incident(self, body: bytes) -> None:
        """Make the incident of a body that somebody else shared; bodies that BigPanda would never send are ignored."""
        with suppress(LookupError, TypeError, ValueError, AttributeError):
            self.add_incident(json.loads(body))

    def apply_share(self, share: ParsedShare) -> FakeIncident:
        """Make what a share says true: a new incident, or what differs from the share before.

        Changes that calls made in between stay. An unknown environment is added.
        """
        id = share.fields["id"]  # noqa: A001  the same
        if share.environment is not None:
            self.environments.setdefault(*share.environment)
        if id not in self.incidents:
            self.incidents[id] = FakeIncident(id=id, fields={}, environments=(next(iter(self.environments)),))
            self.incidents[id].add_activity("incident_created", self.now(), AUTOSHARE, {})
        incident, before = self.incidents[id], self._last_shares.get(id)
        incident.fields |= changed_fields(before.fields if before else {}, share.fields)
        incident.siblings |= changed_fields(before.siblings if before else {}, share.siblings)
        incident.tags |= changed_fields(before.tags if before else {}, share.tags)
        if share.environment is not None:
            incident.environments = (share.environment[0],)
        if share.people and (before is None or before.people != share.people):
            incident.assign(share.people.get("assignee"), share.people.get("assigner") or AUTOSHARE)
        self._last_shares[id] = share
        return incident

    def incident(self, id: str) -> FakeIncident:  # noqa: A002  the same
        """The incident with that id. `KeyError` where there is none."""
        return self.incidents[id]

    def remove_incident(self, id: str) -> None:  # noqa: A002  the same
        """Remove an incident, as if it was merged into another or expired."""
        del self.incidents[id]
        self._last_shares.pop(id, None)

    # --- changes, each shared ---

    def assign(self, incident: FakeIncident, to: FakeBigPandaUser | None, by: FakeBigPandaUser) -> None:
        """Assign it, or with None unassign it."""
        incident.assign(to, by)
        params = {"assignee": {"id": to.id, "username": to.email}} if to else {}
        activity = "incident_assigned" if to else "incident_unassigned"
        self._changed(incident, "incident#updated", activity, by, params)

    def comment(self, incident: FakeIncident, text: str, by: FakeBigPandaUser) -> None:
        """Add a comment."""
        incident.comments.append(text)
        self._changed(incident, COMMENTED, "incident_commented", by, {"comment": text})

    def snooze(
        self, incident: FakeIncident, until: int, by: FakeBigPandaUser, comment: str = "", *, auto_cancel: bool = False
    ) -> None:
        """Snooze it; the snooze ends by itself."""
        incident.snooze(until, auto_cancel=auto_cancel)
        self._changed(incident, "incident#snoozed", "incident_snoozed", by, {"end_time": until, "comment": comment})

        def end() -> None:
            if self.incidents.get(incident.id) is incident and incident.snoozed_until == until:
                self.unsnooze(incident, AUTOSHARE)

        self.call_later(until - self.now(), end)

    def unsnooze(self, incident: FakeIncident, by: FakeBigPandaUser) -> None:
        """End its snooze. No event is documented for it, so it is shared as any other change."""
        incident.snooze(None)
        self._changed(incident, "incident#updated", "incident_unsnoozed", by, {})

    def resolve(self, incident: FakeIncident, by: FakeBigPandaUser, comments: str | None = None) -> None:
        """Resolve it and all of its alerts: by a call with comments, or because its alerts ended."""
        incident.resolve(self.now())
        activity = "incident_resolved_by_alerts" if comments is None else "incident_resolved_api"
        params = {} if comments is None else {"annotation": comments}
        self._changed(incident, "incident#closed", activity, by, params)

    def queue_share(
        self, incident: FakeIncident, event: str, *, sender: FakeBigPandaUser = AUTOSHARE, comment: str | None = None
    ) -> None:
        """Share it as it is now, after the delay."""
        environment = incident.environments[0]
        metadata = {"environment": self.environments[environment], "environment_id": environment}
        trigger = ShareTrigger(event=event, at=self.now(), sender=sender, comment=comment)
        self.schedule(incident, metadata, trigger)

    def _changed(self, incident: FakeIncident, event: str, activity: str, by: FakeBigPandaUser, params: Body) -> None:
        incident.touch(self.now())
        incident.add_activity(activity, self.now(), by, params)
        self.queue_share(incident, event, comment=params["comment"] if event == COMMENTED else None)

    # --- look-ups of calls ---

    def authenticate(self, key: str | None) -> FakeApiKey:
        """What a key may do; raises 401."""
        found = self.keys.get(key or "")
        if found is None or found.revoked:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Authorization Required")
        return found

    def incident_in(self, environment: str, incident: str) -> FakeIncident:
        """An incident of an environment; raises 404."""
        if environment not in self.environments:
            raise not_found(f"Environment {environment}")
        found = self.incidents.get(incident)
        if found is None or environment not in found.environments:
            raise not_found(f"Incident {incident}")
        return found
