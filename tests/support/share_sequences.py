"""Shares of one incident in sequence, and what relay plans for them."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.merge import merge_share
from relay.cards.model import Card, CardState, Entry, IncidentState, Plan
from relay.cards.plan import plan
from relay.model.reading import read_incident
from relay.model.record import Record
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from relay.routes.rulebook import Rulebook

START = 1_700_000_000
ROUTES = """
version: 1
channels: {noc: C0NOC00001, db: C0DB000001}
fallback: noc
routes:
  - name: databases
    match: {tags: {team: database}}
    post: [db]
  - name: everything
    match: {environment: "*"}
    post: [noc]
"""


def alert(name: str = "db-1", status: str = "critical", **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "status": status,
        "active": status != "ok",
        "startedOn": START,
        "primaryProperty": "host",
        "secondaryProperty": "check",
        "tags": [{"name": "host", "value": name}, {"name": "check", "value": "lag"}],
        **more,
    }


def share(
    at: float = 0, *, received: float | None = None, headers: dict[str, str] | None = None, **fields: Any
) -> Share:
    """A share of the state at `at` seconds after START. `fields` are fields of `incident` and of the body beside it."""
    beside = {name: fields.pop(name) for name in ("incidentTags", "links", "metadata", "event_types") if name in fields}
    incident = {"id": "i1", "changedOn": START + int(at), **fields}
    body = orjson.dumps({"incident": incident, **beside})
    return parse_share(body, headers or {}, START + (at if received is None else received))


@dataclass
class ShareSequence:
    """Applies shares one after the other, as ingest does, and posts cards, as delivery does."""

    rulebook: Rulebook = field(default_factory=lambda: parse_rulebook(ROUTES))
    canonical_refs: dict[str, str] = field(default_factory=dict)
    incident_state: IncidentState | None = None
    cards: dict[tuple[str, int], Card] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def add(self, one: Share) -> Plan:
        """Plan a share and keep what it turns into."""
        current = [card for card in self.cards.values() if card.is_current]
        planned = plan(self.rulebook, self.incident_state, current, one, self.canonical_refs)
        self.incident_state = planned.incident_state
        self.entries += planned.entries
        for card in planned.cards:
            number = card.id or len(self.cards) + 1
            self.cards[card.channel, card.episode] = replace(card, id=number)
        self.plans.append(planned)
        return planned

    def post_card(self, channel: str, episode: int = 1) -> Card:
        """Let the card's root stand in Slack and show the record."""
        assert self.incident_state is not None
        incident = read_incident(self.incident_state.record)
        card = replace(
            self.cards[channel, episode],
            state=CardState.POSTED,
            ts="1.1",
            slack_channel=channel,
            worst=incident.state,
            episode_worst=incident.state,
            shown_ended_at=incident.ended,
            edited_at=None,
            pending_since=None,
            post=None,
            edit=None,
        )
        self.cards[channel, episode] = card
        return card

    def entry_data(self, number: int = -1) -> list[tuple[str, Any]]:
        """The kinds and the data of the entries of one plan."""
        return [(str(entry.kind), entry.data) for entry in self.plans[number].entries]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the newest plan's entries."""
        return [str(entry.kind) for entry in self.plans[-1].entries]


def merge_shares(*shares: Share) -> Record:
    """The record after these shares."""
    record = None
    for each in shares:
        record = merge_share(record, each)
    assert record is not None
    return record
