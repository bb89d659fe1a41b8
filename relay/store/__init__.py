"""Relay's memory, on SQLite or PostgreSQL: what came in, what is known, what is shown, and what is to be done.

store .......... the verbs, each one transaction
accepting        the group commit: shares in, with all that follows from them
picking          the next card that something is due of; searching: how it is found
settling         what came of a call; what a relay that died left open
cases            all that a decision about one card needs, and what it changes
rows             stories, cards and entries as several verbs read and write them
channels         spellings of channels; finding: what was found of them, and two becoming one
leases           who delivers
letters          what could not be shown, and why
dossier          all of one incident, for people
retention        what is old goes
keeping          configurations, faults told of, refused bodies
backup           a copy of the SQLite file, while relay runs; restored: what such a copy says of itself
backlog          how much waits, for Prometheus
health           whether it can be written; doorbell: relays waking one another
codec            rows to nouns and back; nouns: what the store adds to planning's
locks, upsert    what the two databases do differently
database ....... threads, connections, transactions; address, filelock, complaint: where, who, and what went wrong
migration        the tables at start; schema: the tables; migrations: the steps to them
"""

from relay.store.store import Store
from relay.store.types import (
    AcceptedShare,
    Backlog,
    ChannelBacklog,
    IncidentHistory,
    Lease,
    OpenDeadLetter,
    QuarantinedBody,
    RetentionResult,
    SearchTarget,
    ShareBody,
    ShareSummary,
    SlackCall,
    StoredConfiguration,
)

__all__ = [
    "AcceptedShare",
    "Backlog",
    "ChannelBacklog",
    "IncidentHistory",
    "Lease",
    "OpenDeadLetter",
    "QuarantinedBody",
    "RetentionResult",
    "SearchTarget",
    "ShareBody",
    "ShareSummary",
    "SlackCall",
    "Store",
    "StoredConfiguration",
]
