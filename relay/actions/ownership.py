"""Finds out who has an incident at this moment, so that nobody takes over an incident by mistake.

Only BigPanda's API is current: shares may be old, and many integrations share no assignments. If BigPanda does not
answer in time and the record names an owner, relay asks the person on the basis of the record.
"""

import asyncio
from dataclasses import dataclass

from relay.actions.people import LookupFailed
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import IncidentNotFound, TaskDone, TaskRejected
from relay.bigpanda.responses import assignment_of
from relay.model.incident import Person
from relay.model.record import Record

ASK_WITHIN = 1.0
"""Seconds for BigPanda's answer, where the record will do: Slack opens a modal only within three of the click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who has an incident; `since` is Unix seconds, None if nobody knows.

    `user` is the person's Slack id, where relay knows it already.
    """

    person: Person
    since: int | None = None
    user: str = ""

    @property
    def key(self) -> str:
        """What names this person in a question, and in the answer to it."""
        return self.person.id or self.person.email.casefold() or self.person.name

    def is_named_by(self, key: str) -> bool:
        """Whether a question about this person had that key. The record may know less of a person than BigPanda."""
        return bool(key) and key in {self.person.id, self.person.email.casefold(), self.person.name}


def owner_in(record: Record) -> Owner | None:
    """Return who has the incident as the shares report it."""
    assignee = (record.value("assignment") or {}).get("assignee")
    if not assignee:
        return None
    since = record.assigned_since
    return Owner(person=Person(**assignee), since=None if since is None else int(since))


async def present_owner(
    bigpanda: BigPandaGateway, environment: str, record: Record, *, in_time: bool
) -> Owner | LookupFailed | None:
    """Return who has the incident now.

    With `in_time`, the owner in the record is returned where BigPanda does not answer within `ASK_WITHIN`.
    """
    known = owner_in(record)
    limit = ASK_WITHIN if in_time and known is not None else None
    try:
        async with asyncio.timeout(limit):
            answer = await bigpanda.incident(environment, record.incident)
    except TimeoutError:
        return known
    if isinstance(answer, TaskDone):
        person, changed = assignment_of(answer.body)
        if person is None:
            return None
        is_known = known is not None and known.is_named_by(Owner(person=person).key)
        return Owner(person=person, since=known.since if known and is_known else changed)
    if limit is not None:
        return known
    return LookupFailed(reason=answer.reason, permanent=isinstance(answer, TaskRejected | IncidentNotFound))
