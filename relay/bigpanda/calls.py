"""The calls to BigPanda's API that relay makes: one row for each, with its rate limit."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

from relay.ratelimit.budgets import Limit

# https://api-docs.bigpanda.io/rate-limits: 5 a second for each endpoint, 2 a second for those of SCIM. What a second
# refills and the burst make no more than that. No limit is printed for the callback and the activities; relay holds
# them to the same.
_FIVE_A_SECOND = Limit(steady=180, burst=2)
_TWO_A_SECOND = Limit(steady=60, burst=1)
_READS = True


class BigPandaCall(StrEnum):
    """What relay asks of BigPanda. `relay.bigpanda.client` names the page of each.

    `limit` is how often relay may make the call. `is_read`: it changes nothing, so it can be repeated, and its outcome
    is never `TaskAmbiguous`. `names_incident`: its address names an incident, so a 404 is about that incident.
    """

    limit: Limit
    is_read: bool
    names_incident: bool

    def __new__(cls, name: str, limit: Limit, is_read: bool = False, names_incident: bool = True) -> Self:  # noqa: D102, FBT001, FBT002  one row of the table below
        call = str.__new__(cls, name)
        call._value_ = name
        call.limit, call.is_read, call.names_incident = limit, is_read, names_incident
        return call

    CALLBACK = "callback", _FIVE_A_SECOND
    RESOLVE = "resolve", _FIVE_A_SECOND
    COMMENT = "comment", _FIVE_A_SECOND
    ASSIGN = "assign", _FIVE_A_SECOND
    UNASSIGN = "unassign", _FIVE_A_SECOND
    SNOOZE = "snooze", _FIVE_A_SECOND
    END_SNOOZE = "end_snooze", _FIVE_A_SECOND
    INCIDENT = "incident", _FIVE_A_SECOND, _READS
    ACTIVITIES = "activities", _FIVE_A_SECOND, _READS
    TAG_DEFINITIONS = "definitions", _FIVE_A_SECOND, _READS, False
    USERS = "users", _TWO_A_SECOND, _READS, False


RATE_LIMITS: Final[Mapping[str, Limit]] = {call.value: call.limit for call in BigPandaCall}
"""Call -> its rate limit."""
