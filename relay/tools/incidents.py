"""`relay incidents` and `GET /incidents`: the incidents in the database, those with the newest share first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf, isfinite
from typing import Any

from rich.table import Table

from relay.cards.draw import PermalinkBuilder
from relay.cards.model import Card, CardState, Channel
from relay.model.errors import QueryError
from relay.model.incident import Incident
from relay.model.outside_text import clean_text
from relay.model.reading import read_episode
from relay.model.tag_labels import TagLabels
from relay.rendering.wording import duration
from relay.routes.rulebook import Rulebook
from relay.routes.yaml_reader.context import suggestion
from relay.store.incident_list import BATCH_SIZE
from relay.store.store import Store
from relay.store.types import IncidentFilter, ListedIncident, ListPosition
from relay.tools.message_text import ChannelNames, channel_label, slack_names

PAGE_SIZE, MAX_PAGE_SIZE = 100, 500
"""How many incidents a page has, unless the query says otherwise, and at most."""

MAX_SCANNED = 20 * BATCH_SIZE
"""How many incidents are looked at for one page, so that what is rare costs no more than that."""

_OPTIONS = ("open", "channel", "route", "search", "limit", "after")
_YES, _NO = ("1", "true", "yes", ""), ("0", "false", "no")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """What to list: open incidents only, with a card in a channel, of a route, with these words.

    `channel` is an alias, an id, or a name. `search` are words that are all in the id, the title, the owner, the
    environments, the tags or the alerts. `after` is the `next` of the page before.
    """

    open_only: bool = False
    channel: str = ""
    route: str = ""
    search: str = ""
    limit: float = PAGE_SIZE
    after: str = ""

    def __post_init__(self) -> None:
        """Raises QueryError: a text has a character that no database stores."""
        for name in ("channel", "route", "search", "after"):
            if clean_text(text := getattr(self, name)) != text:
                raise QueryError(f"{name} is {text!r}; expected text without control characters.")

    @classmethod
    def from_parameters(cls, parameters: Iterable[tuple[str, str]]) -> "IncidentQuery":
        """Read the parameters of `GET /incidents`. Raises QueryError, with what is expected."""
        given = dict(parameters)
        if unknown := next((name for name in given if name not in _OPTIONS), None):
            raise QueryError(f"Unknown parameter {unknown!r}{suggestion(unknown, _OPTIONS)}.")
        only_open = given.get("open", "no").casefold()
        if only_open not in _YES + _NO:
            raise QueryError(f"open is {only_open!r}; expected true or false.")
        limit = given.get("limit", str(PAGE_SIZE))
        if not (limit.isascii() and limit.isdecimal() and 1 <= float(limit) <= MAX_PAGE_SIZE):
            raise QueryError(f"limit is {limit!r}; expected a number from 1 to {MAX_PAGE_SIZE}.")
        texts = {name: given.get(name, "").strip() for name in ("channel", "route", "search", "after")}
        return cls(open_only=only_open in _YES, limit=int(limit), **texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPage:
    """The incidents of a page, and the channels by reference.

    `after` is where the next page begins; it is empty at the end of the list.
    """

    incidents: tuple[ListedIncident, ...]
    after: str = ""
    names: ChannelNames = field(default_factory=dict)


async def find_incidents(
    store: Store, query: IncidentQuery, rulebook: Rulebook, *, most_scanned: float = MAX_SCANNED
) -> IncidentPage:
    """Find one page of incidents. `rulebook` are the live routes.

    Raises:
        QueryError: the channel or the route is unknown, or `after` is not from a page of this list.
        StoreError: the database failed.
    """
    labels, words = rulebook.tag_labels, tuple(query.search.casefold().split())
    known = await store.channels()
    wanted = IncidentFilter(
        open_only=query.open_only,
        channels=channel_references(query.channel, known, rulebook) if query.channel else None,
        route=query.route,
        words=tuple(word for word in words if not _is_label(word, labels)),  # a label is not in the record
    )
    found: list[ListedIncident] = []
    after, scanned = _position(query.after), 0
    selects = bool(words or query.open_only or query.channel or query.route)
    while True:
        most = BATCH_SIZE if selects else int(min(BATCH_SIZE, query.limit - len(found)))
        batch = await store.incident_batch(wanted, after, most)
        matching = [each for each in batch.incidents if _has_words(each, words, labels)]
        rest = int(min(len(matching), query.limit - len(found)))
        found += matching[:rest]
        after, scanned = batch.after, scanned + most
        if rest < len(matching):  # the page is full, before the end of the batch
            after = ListPosition(found[-1].state.last_share_at, found[-1].state.record.incident)
        if after is None or len(found) >= query.limit or scanned >= most_scanned:
            break
    if query.route and not found and after is None and rulebook.route(query.route) is None:
        routes = [route.name for route in rulebook.routes.flatten()]
        raise QueryError(f"There is no route {query.route!r}{suggestion(query.route, routes)}.")
    text = "" if after is None else f"{after.last_share_at!r}:{after.incident}"
    return IncidentPage(incidents=tuple(found), after=text, names=slack_names(known))


def _position(text: str) -> ListPosition | None:
    if not text:
        return None
    moment, _, incident = text.partition(":")
    try:
        at = float(moment)
    except ValueError:
        at = inf
    if not isfinite(at) or not incident:
        raise QueryError(f"after is {text!r}; expected the `next` of the page before.")
    return ListPosition(at, incident)


def channel_references(text: str, known: Sequence[Channel], rulebook: Rulebook) -> frozenset[str]:
    """Return the references of a channel under which cards may be stored: an alias, an id or a name.

    Raises QueryError: nobody knows the channel.
    """
    alias = rulebook.channels.get(text)
    wanted = alias.ref if alias else text
    found = {each.ref for each in known if each.references & {wanted, f"#{wanted.lower()}", wanted.lower()}}
    if not found and alias is None:
        names = set(rulebook.channels).union(*(each.references for each in known))
        raise QueryError(f"There is no channel {text!r}{suggestion(text, sorted(names))}.")
    canonical = {each.canonical_ref for each in known if each.ref in found and each.canonical_ref}
    return frozenset({wanted, *found, *canonical})


def _is_label(word: str, labels: TagLabels) -> bool:
    texts = (text for words in labels.values.values() for text in words.values())
    defined = (text for each in labels.definitions.values() for text in (each.name, *each.ranks.values()))
    return any(word in text.casefold() for text in (*texts, *defined))


def _has_words(listed: ListedIncident, words: Sequence[str], labels: TagLabels) -> bool:
    if not words:
        return True
    text = "\n".join(_searched(_incident(listed, labels))).casefold()
    return all(word in text for word in words)


def _searched(incident: Incident) -> Iterator[str]:
    yield from (incident.id, incident.title)
    yield from (each for environment in incident.environments for each in (environment.name, environment.id))
    if incident.assignee is not None:
        yield from (incident.assignee.name, incident.assignee.email)
    yield from (text for tag in incident.tags for text in (tag.name, *tag.values))
    for alert in incident.alerts:
        yield from (alert.description, alert.source)
        yield from (value for values in alert.tags.values() for value in values)


def _incident(listed: ListedIncident, labels: TagLabels) -> Incident:
    return read_episode(listed.state.record, listed.state.episode, labels)


# --- as JSON ---


def as_json(page: IncidentPage, link: PermalinkBuilder, labels: TagLabels, now: float) -> dict[str, Any]:
    """Convert to plain JSON: `incidents`, and `next` for the parameter `after` (null at the end of the list)."""
    incidents = [_incident_as_json(each, page, link, labels, now) for each in page.incidents]
    return {"incidents": incidents, "next": page.after or None}


def _incident_as_json(
    listed: ListedIncident, page: IncidentPage, link: PermalinkBuilder, labels: TagLabels, now: float
) -> dict[str, Any]:
    incident, state = _incident(listed, labels), listed.state
    return {
        "incident": incident.id,
        "title": incident.title,
        "state": incident.state,
        "severity": incident.severity,
        "open": state.ended_at is None,
        "started": incident.started,
        "ended": state.ended_at,
        "age": _age(listed, incident, now),
        "last_share": state.last_share_at,
        "episode": state.episode,
        "owner": incident.assignee.display_name if incident.assignee else None,
        "snoozed": incident.snooze.snoozed,
        "snoozed_until": incident.snooze.wake,
        "environments": [each.name or each.id for each in incident.environments],
        "cards": [_card_as_json(card, page, link) for card in listed.cards],
    }


def _card_as_json(card: Card, page: IncidentPage, link: PermalinkBuilder) -> dict[str, Any]:
    in_slack = card.slack_channel and card.ts
    return {
        "id": card.id,
        "channel": card.channel,
        "name": page.names.get(card.channel),
        "route": card.route or None,
        "state": card.state,
        "reason": card.reason or None,
        "link": (link(card.slack_channel or "", card.ts or "") or None) if in_slack else None,
    }


def _age(listed: ListedIncident, incident: Incident, now: float) -> float:
    """For how long it is open, or was open, in seconds."""
    since = listed.state.last_share_at if incident.started is None else incident.started
    return max(0.0, round((listed.state.ended_at or now) - since, 3))


# --- as text ---


def tables(page: IncidentPage, labels: TagLabels, now: float) -> Iterator[Table]:
    """One table of the incidents; none for an empty page."""
    if not page.incidents:
        return
    table = Table("incident", "state", "age", "owner", "title", "cards", box=None)
    for listed in page.incidents:
        incident = _incident(listed, labels)
        cards = ", ".join(map(partial(_card_label, names=page.names), listed.cards)) or "none"
        owner = incident.assignee.display_name if incident.assignee else "nobody"
        state = ", ".join(filter(None, (incident.state, _state_note(listed, incident))))
        age = duration(_age(listed, incident, now))
        table.add_row(incident.id, state, age, owner, " ".join(incident.title.split()), cards)
    yield table


def _state_note(listed: ListedIncident, incident: Incident) -> str:
    """What the state alone does not say. An incident that ended without being resolved is one that BigPanda lost."""
    if listed.state.ended_at is not None and incident.active:
        return "no longer in BigPanda"
    return "snoozed" if incident.snooze.snoozed else ""


def _card_label(card: Card, names: ChannelNames) -> str:
    label = names.get(card.channel) or channel_label(card.channel, names)
    return label if card.state is CardState.POSTED else f"{label} ({card.state.replace('_', ' ')})"
