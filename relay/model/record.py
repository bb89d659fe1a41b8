"""The record of an incident as relay stores it: a map of blocks, and what adds up over all shares.

A block is one thing that a share can report (the state, the tags, the alerts, ...). `as_of` is the moment of BigPanda's
clock up to which it is known. Values are plain JSON, so that a record can be stored as it is.

Block names and the shape of their values (`None` means: reported as empty):

    state       {"status": str | None, "resolved": bool | None, "active": bool | None}, all from one share
    severity    str | None, the raw word
    flapping    bool | None
    snooze      {"snoozed": bool, "wake": int | None} | None
    started, changed, updated
                int | None, Unix seconds
    ended       int | None, Unix seconds; None also where a share reported that the incident is open
    alerts      [alert, ...], the whole list; `alert:<id>` is one alert reported on its own, which updates that alert
    tags        [[id, [value, ...]], ...], in BigPanda's order
    links       {name: url}, `landing_page` among them
    changes     [change, ...]
    assignment  {"assignee": person | None, "assigner": person | None}

    alert       {"id", "status", "active": bool | None, "started", "changed", "ended": int | None, "primary",
                "secondary": tag name, "source", "description": str, "tags": [[name, [value, ...]], ...]}
    change      {"id", "identifier", "summary", "status", "url", "certainty", "comment", "source": str,
                "start", "end": int | None}
    person      {"name", "email", "id": str}
"""

from collections.abc import Mapping
from typing import Final

from msgspec import field

from relay.model.bounds import Omitted
from relay.model.incident import Environment, Person, State, parse_state
from relay.model.json_types import JSON
from relay.model.struct import Struct

ALERT_PREFIX = "alert:"
"""Begins the name of a block that holds one alert."""


class Block(Struct, frozen=True, kw_only=True):
    """What is known of one part of an incident, and up to when.

    `omitted` counts what was left out of it (`relay.model.bounds`); None if it is whole.
    """

    as_of: float
    value: JSON
    omitted: Omitted | None = None


ECHO: Final = "echo"
"""The kind of an entry that remains of a resolution reported with its note: the note may still come as a comment."""


class PendingAction(Struct, frozen=True, kw_only=True):
    """What somebody did through relay, until a share has reported all of it. The entry that confirms it names `actor`.

    `kind` and `key` are the task's (`assign`, `comment`, `snooze`, `resolve`, `reply`, ...); `at` is Unix seconds.
    `user` is the person's Slack id.
    `assignee_id` is a BigPanda user id, `replaced_user` the Slack id of the person who loses the incident by it, if
    Slack knows them. `until` is the end of a snooze, `text` what the person wrote. `sent_hash` is the
    hash of the comment as BigPanda got it; `channel` is where a thread shows it already, or where it was pressed.
    """

    key: str
    kind: str
    actor: str
    at: float
    user: str = ""
    assignee_id: str = ""
    replaced_user: str = ""
    until: int | None = None
    text: str = ""
    sent_hash: str = ""
    channel: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether a share has confirmed it, and only its echo is awaited."""
        return self.kind == ECHO


class Record(Struct, frozen=True, kw_only=True):
    """What relay knows of an incident. `cards/merge` merges shares into it.

    The first share sets `title`, `environment` and `sender`, so that people recognise the card later.
    `title_provisional`: a late `bp_short_description` may still replace the title once.
    `environments`, `headers`, `integrations` and `worst` (the worst state or severity) add up over all shares.
    `environment_id` is the newest environment id; BigPanda's API finds the incident by it.
    `comments` holds reported comments as (hash of the text, Unix seconds).
    `note` is what the person wrote who resolved it from Slack; empty while it is open.
    `episodes` holds the episodes after the first as (number, Unix seconds of the share that began it).
    `assigned_since` is when the present assignee got the incident (Unix seconds), None if no share said so.
    `shadows` are the cards that routes in shadow would have made in this episode, as (channel, route).
    """

    incident: str
    blocks: Mapping[str, Block] = field(default_factory=dict)
    environments: tuple[Environment, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""
    title_provisional: bool = False
    environment: Environment | None = None
    sender: Person | None = None
    first_received: float = 0.0
    comments: tuple[tuple[str, float], ...] = ()
    worst: State = State.RESOLVED
    integrations: tuple[str, ...] = ()
    environment_id: str = ""
    pending_actions: tuple[PendingAction, ...] = ()
    note: str = ""
    episodes: tuple[tuple[int, float], ...] = ()
    assigned_since: float | None = None
    shadows: tuple[tuple[str, str], ...] = ()

    def value(self, block: str) -> JSON:
        """The value of a block; None if it was never reported or reported as empty."""
        found = self.blocks.get(block)
        return None if found is None else found.value


def reports_resolved(state: Mapping[str, JSON]) -> bool:
    """Whether a block `state` says in any way that the incident is resolved."""
    if state.get("resolved") is True or state.get("active") is False:
        return True
    status = state.get("status")
    return status is not None and parse_state(status) is State.RESOLVED


def merge_alert(known: Mapping[str, JSON], reported: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Update a known alert with one reported on its own: a template may give nothing but its status."""
    missing = {name for name, value in reported.items() if value in (None, "", [])}
    if reported["status"] or reported["active"] is not None:
        missing -= {"status", "active", "ended"}  # read together, as the incident's own state is
    return {**reported, **{name: known[name] for name in missing & known.keys()}}
