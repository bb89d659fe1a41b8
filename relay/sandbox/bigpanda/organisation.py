"""An organisation of BigPanda in memory: its keys and users, its environments, its tags, its incidents."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError
from relay.sandbox.bigpanda.incident import Body, FakeIncident
from relay.sandbox.bigpanda.share_body import ParsedShare, changed_fields
from relay.sandbox.bigpanda.sharing import ShareEvent, ShareSender
from relay.sandbox.bigpanda.tag_definitions import FakeTagDefinition
from relay.sandbox.bigpanda.users import AUTOSHARE, PERMISSIONS, FakeApiKey, FakeBigPandaUser

COMMENTED: Final = "incident#commented"
PRIORITY_TAG: Final = FakeTagDefinition(
    id="itd_priority_1", name="Priority", type="Priority", values=("P1", "P2", "P3", "P4", "P5")
)
"""The tag that every organisation has."""


class Organisation:
    """Everything that a call can read or change. Times are Unix seconds, as the injected clock tells them.

    `resolve_delay` is how long after its answer a resolution comes about (seconds).
    """

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]], key: str, user: FakeBigPandaUser
    ) -> None:
        """Make an organisation with one key and its user, one environment, and the tag Priority."""
        self.now = clock
        self.sharing = ShareSender(clock, sleep)
        self.resolve_delay = 0.0
        self.key = key
        self.keys: dict[str, FakeApiKey] = {}
        self.users: dict[str, FakeBigPandaUser] = {}
        self.environments: dict[str, str] = {}
        self.definitions: dict[str, FakeTagDefinition] = {PRIORITY_TAG.id: PRIORITY_TAG}
        self.incidents: dict[str, FakeIncident] = {}
        self._heard: dict[str, ParsedShare] = {}
        self.add_user(user)
        self.add_key(key, user=user)
        self.add_environment("55550bc8c481fd1100abc398", "All Incidents")

    # --- what there is ---

    def add_user(self, user: FakeBigPandaUser) -> FakeBigPandaUser:
        """Make a person."""
        self.users[user.id] = user
        return user

    def add_key(self, key: str, *, user: FakeBigPandaUser, permissions: Iterable[str] = PERMISSIONS) -> FakeApiKey:
        """Let another key in, which acts for this user."""
        self.keys[key] = FakeApiKey(user=user, permissions=frozenset(permissions))
        return self.keys[key]

    def revoke(self, key: str | None = None) -> None:
        """Make a key worthless; without a name, the organisation's first."""
        self.keys[key or self.key].revoked = True

    def restore(self, key: str | None = None) -> None:
        """Let a revoked key in again."""
        self.keys[key or self.key].revoked = False

    def add_environment(self, id: str, name: str) -> None:  # noqa: A002  BigPanda's word for it
        """Make an environment; the first is the one of incidents that name none."""
        self.environments[id] = name

    def add_tag_definition(self, definition: FakeTagDefinition) -> FakeTagDefinition:
        """Define an incident tag."""
        self.definitions[definition.id] = definition
        return definition

    def add_incident(self, body: Mapping[str, Any]) -> FakeIncident:
        """Make an incident of a share's body, as BigPanda's webhook would tell it; nothing is shared yet."""
        return self.apply_share(ParsedShare.parse(body))

    def learn_incident(self, body: bytes) -> None:
        """Have the incident of a body that somebody else shared; shapes that BigPanda never has are left alone."""
        with suppress(LookupError, TypeError, ValueError, AttributeError):
            self.add_incident(json.loads(body))

    def apply_share(self, heard: ParsedShare) -> FakeIncident:
        """Let what a body tells be so: an incident that is new, or what it says otherwise than the one before it.

        What calls did to the incident in between stays. An environment that is not there yet is made.
        """
        known = heard.fields["id"]
        if heard.environment is not None:
            self.environments.setdefault(*heard.environment)
        if known not in self.incidents:
            self.incidents[known] = FakeIncident(id=known, fields={}, environments=(next(iter(self.environments)),))
            self.incidents[known].add_activity("incident_created", self.now(), AUTOSHARE, {})
        incident, before = self.incidents[known], self._heard.get(known)
        incident.fields |= changed_fields(before.fields if before else {}, heard.fields)
        incident.siblings |= changed_fields(before.siblings if before else {}, heard.siblings)
        incident.tags |= changed_fields(before.tags if before else {}, heard.tags)
        if heard.environment is not None:
            incident.environments = (heard.environment[0],)
        if heard.people and (before is None or before.people != heard.people):
            incident.assign(heard.people.get("assignee"), heard.people.get("assigner") or AUTOSHARE)
        self._heard[known] = heard
        return incident

    def incident(self, id: str) -> FakeIncident:  # noqa: A002  the same
        """The incident of that id. `KeyError` where there is none."""
        return self.incidents[id]

    def remove_incident(self, id: str) -> None:  # noqa: A002  the same
        """Let an incident be gone, as one is that was merged into another or has grown too old."""
        del self.incidents[id]
        self._heard.pop(id, None)

    # --- what happens ---

    def assign(self, incident: FakeIncident, to: FakeBigPandaUser | None, by: FakeBigPandaUser) -> None:
        """Make somebody responsible, or nobody."""
        incident.assign(to, by)
        if to is None:
            self._happened(incident, "incident#updated", "incident_unassigned", by, {})
        else:
            told = {"assignee": {"id": to.id, "username": to.email}}
            self._happened(incident, "incident#updated", "incident_assigned", by, told)

    def comment(self, incident: FakeIncident, text: str, by: FakeBigPandaUser) -> None:
        """Say something of it."""
        incident.comments.append(text)
        self._happened(incident, COMMENTED, "incident_commented", by, {"comment": text})

    def snooze(
        self, incident: FakeIncident, until: int, by: FakeBigPandaUser, comment: str = "", *, cancels: bool = False
    ) -> None:
        """Put it to sleep; it wakes by itself."""
        incident.snooze(until, cancels=cancels)
        self._happened(incident, "incident#snoozed", "incident_snoozed", by, {"end_time": until, "comment": comment})

        def wake() -> None:
            if self.incidents.get(incident.id) is incident and incident.snoozed_until == until:
                self.wake(incident, AUTOSHARE)

        self.sharing.call_later(until - self.now(), wake)

    def wake(self, incident: FakeIncident, by: FakeBigPandaUser) -> None:
        """End its sleep. No event is documented for it, so it is told as any other change."""
        incident.wake()
        self._happened(incident, "incident#updated", "incident_unsnoozed", by, {})

    def resolve(self, incident: FakeIncident, by: FakeBigPandaUser, comments: str | None = None) -> None:
        """End it and all of its alerts: by a call with comments, or as its alerts end by themselves."""
        incident.resolve(self.now())
        if comments is None:
            self._happened(incident, "incident#closed", "incident_resolved_by_alerts", by, {})
        else:
            self._happened(incident, "incident#closed", "incident_resolved_api", by, {"annotation": comments})

    def tag(self, incident: FakeIncident, definition: FakeTagDefinition, value: Any, by: FakeBigPandaUser) -> None:
        """Set a tag to what an incident holds of it."""
        incident.tags[definition.id] = value
        told = {"tag_id": definition.id, "value": value}
        self._happened(incident, "incident-tag#upserted", "incident_tag_updated", by, told)

    def queue_share(
        self, incident: FakeIncident, event: str, *, sender: FakeBigPandaUser = AUTOSHARE, comment: str | None = None
    ) -> None:
        """Share it as it is now, in a while."""
        news = ShareEvent(event=event, at=self.now(), sender=sender, comment=comment)
        self.sharing.schedule(incident, self.environment_of(incident), news)

    def _happened(
        self, incident: FakeIncident, event: str, activity: str, by: FakeBigPandaUser, params: Mapping[str, Any]
    ) -> None:
        incident.touch(self.now())
        incident.add_activity(activity, self.now(), by, params)
        self.queue_share(incident, event, comment=params["comment"] if event == COMMENTED else None)

    # --- who asks, and for what ---

    def authenticate(self, key: str | None) -> FakeApiKey:
        """What a key may do; raises 401."""
        found = self.keys.get(key or "")
        if found is None or found.revoked:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Authorization Required")
        return found

    def incident_in(self, environment: str, incident: str) -> FakeIncident:
        """An incident of an environment; raises 404."""
        if environment not in self.environments:
            raise ApiError(HTTPStatus.NOT_FOUND, f"Environment {environment} does not exist")
        found = self.incidents.get(incident)
        if found is None or environment not in found.environments:
            raise ApiError(HTTPStatus.NOT_FOUND, f"Incident {incident} does not exist")
        return found

    def environment_of(self, incident: FakeIncident) -> Body:
        """As `metadata` names the environment from which an incident is shared."""
        known = incident.environments[0]
        return {"environment": self.environments[known], "environment_id": known}
