"""Shares of one incident in sequence, as the tests of planning write them down, and what became of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.merge import merge_share
from relay.cards.model import Card, CardState, Entry, IncidentState, Plan
from relay.cards.plan import plan
from relay.model.reading import read_incident
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


def share(at: float = 0, *, received: float | None = None, headers: dict[str, str] | None = None, **told: Any) -> Share:
    """A share whose news is `at` seconds after the start. Names of `incident` fields and of blocks beside it."""
    beside = {name: told.pop(name) for name in ("incidentTags", "links", "metadata", "event_types") if name in told}
    incident = {"id": "i1", "changedOn": START + int(at), **told}
    body = orjson.dumps({"incident": incident, **beside})
    return parse_share(body, headers or {}, START + (at if received is None else received))


@dataclass
class Life:
    """Applies shares one after the other, as intake does, and lets cards be shown, as delivery does."""

    rulebook: Rulebook = field(default_factory=lambda: parse_rulebook(ROUTES))
    same: dict[str, str] = field(default_factory=dict)
    story: IncidentState | None = None
    cards: dict[tuple[str, int], Card] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def take(self, one: Share) -> Plan:
        followed = [card for card in self.cards.values() if card.is_current]
        made = plan(self.rulebook, self.story, followed, one, self.same)
        self.story = made.incident_state
        self.entries += made.entries
        for card in made.cards:
            number = card.id or len(self.cards) + 1
            self.cards[card.channel, card.episode] = replace(card, id=number)
        self.plans.append(made)
        return made

    def show(self, channel: str, episode: int = 1) -> Card:
        """The card's root stands in Slack and shows the record."""
        incident = read_incident(self.story.record)
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

    def told(self, number: int = -1) -> list[tuple[str, Any]]:
        return [(str(entry.kind), entry.data) for entry in self.plans[number].entries]

    @property
    def kinds(self) -> list[str]:
        return [str(entry.kind) for entry in self.plans[-1].entries]


def folded(*shares: Share) -> Any:
    record = None
    for each in shares:
        record = merge_share(record, each)
    return record
