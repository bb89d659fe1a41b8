"""When an episode was shared, assigned and resolved for the first time, and how long people took: pure.

The moments are stored with the incident, so each counts once: repeats, late shares, restarts and further relays find
it there already. A milestone in the first share of an episode does not count: there is no time to measure.
"""

from collections.abc import Mapping
from enum import StrEnum

from relay.model.incident import Incident, State
from relay.model.struct import Struct, replace


class Milestone(StrEnum):
    """What an episode reaches once."""

    ASSIGNED = "assigned"
    RESOLVED = "resolved"


class Milestones(Struct, frozen=True, kw_only=True):
    """The moments of the newest episode, by BigPanda's clock (Unix seconds); None: not yet."""

    shared_at: float | None = None
    assigned_at: float | None = None
    resolved_at: float | None = None


NO_MILESTONES = Milestones()


def advance(known: Milestones, incident: Incident, as_of: float, *, begins_episode: bool) -> Milestones:
    """The milestones after a share with this time, which left the incident as it is."""
    before = Milestones(shared_at=as_of) if begins_episode or known.shared_at is None else known
    resolved = incident.state is State.RESOLVED
    return replace(
        before,
        assigned_at=as_of if before.assigned_at is None and incident.assignee else before.assigned_at,
        resolved_at=float(incident.ended or as_of) if before.resolved_at is None and resolved else before.resolved_at,
    )


def times_taken(before: Milestones, after: Milestones) -> Mapping[Milestone, float]:
    """What this share reached, and the seconds since the first share of the episode."""
    if after.shared_at is None or before.shared_at != after.shared_at:
        return {}
    reached = {
        Milestone.ASSIGNED: (before.assigned_at, after.assigned_at),
        Milestone.RESOLVED: (before.resolved_at, after.resolved_at),
    }
    return {
        milestone: max(0.0, at - after.shared_at)
        for milestone, (known, at) in reached.items()
        if known is None and at is not None
    }
