"""The page `Now`: what is open, the worst first, who has it, where it is shown, and what waits and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite

from relay.cards.holds import UNKNOWN_END, Reason
from relay.cards.model import Card, CardState, ChannelState
from relay.cards.notices import NoticeKind
from relay.model.errors import QueryError
from relay.model.incident import Incident, State
from relay.model.outside_text import clean_text
from relay.model.reading import read_episode
from relay.store.board import WORST_FIRST, OpenFilter, OpenPosition
from relay.store.types import Backlog, ListedIncident
from relay.tools.board.lists import ShownList, read_lists
from relay.tools.board.source import BoardSource
from relay.tools.incidents import channel_references
from relay.tools.message_text import ChannelNames

PAGE_SIZE = 100
"""Incidents on a page."""

MAX_SCANNED = 2_000
"""Incidents that are looked at for one page; where more are left, the page offers to look on."""

PARAMETERS = ("state", "channel", "route", "search", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """One card of an incident in a list: the channel's name, its address in Slack, and what it waits for, if anything.

    `due` is when it is posted, or the first of its held pings may be sent, at the earliest (Unix seconds).
    """

    channel: str
    link: str = ""
    waits: str = ""
    due: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownIncident:
    """One line of the list; times are Unix seconds.

    `snoozed_until` is set where BigPanda says it, `muted_until` where mutes cover all cards.
    """

    id: str
    title: str
    state: State
    owner: str
    started: float
    snoozed: bool
    snoozed_until: float | None
    muted_until: float | None
    environments: tuple[str, ...]
    cards: tuple[ShownCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NowPage:
    """The page. `counts` are all open incidents by state, the worst first; `after` is where the next page begins.

    `storms` are those that last; `mutes` counts the mutes that hold now, `faults` those of the files on disk.
    `rejected` names the channels that take no messages; `slack` is why relay makes no calls (empty: it does).
    """

    query: Mapping[str, str]
    incidents: tuple[ShownIncident, ...]
    counts: Mapping[State, int]
    backlog: Backlog
    after: str = ""
    channels: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    storms: tuple[ShownList, ...] = ()
    mutes: int = 0
    faults: int = 0
    rejected: tuple[str, ...] = ()
    slack: str = ""

    @property
    def active(self) -> tuple[ShownIncident, ...]:
        """Those that nobody has put off."""
        return tuple(each for each in self.incidents if not each.snoozed and each.muted_until is None)

    @property
    def snoozed(self) -> tuple[ShownIncident, ...]:
        """Those that somebody has snoozed."""
        return tuple(each for each in self.incidents if each.snoozed)

    @property
    def muted(self) -> tuple[ShownIncident, ...]:
        """Those that somebody has muted, and nobody snoozed."""
        return tuple(each for each in self.incidents if each.muted_until is not None and not each.snoozed)


async def read_now(source: BoardSource, parameters: Mapping[str, str]) -> NowPage:
    """Read the page for these query parameters.

    Raises:
        QueryError: a parameter has no such value; it says which, and what is expected.
        StoreError: the database failed.
    """
    query = {name: parameters.get(name, "").strip() for name in PARAMETERS}
    for name, text in query.items():
        if clean_text(text) != text:
            raise QueryError(f"{name} is {text!r}; expected text without control characters.")
    rulebook, known, now = source.live().rulebook, await source.store.channels(), source.clock.now()
    names, backlog = await source.names(), await source.store.backlog(now)
    wanted = OpenFilter(
        state=_state(query["state"]),
        channels=channel_references(query["channel"], known, rulebook) if query["channel"] else None,
        route=query["route"],
        words=tuple(query["search"].casefold().split()),
    )
    found = await source.store.open_incidents(wanted, _position(query["after"]), PAGE_SIZE, MAX_SCANNED)
    after = f"{found.after.state}:{found.after.last_share_at!r}:{found.after.incident}" if found.after else ""
    held = backlog.held(slack_paused=source.slack().status != "ok")
    return NowPage(
        query=query,
        incidents=tuple(_shown(each, source, names) for each in found.incidents),
        counts={state: count for state in WORST_FIRST if (count := backlog.open_incidents.get(state, 0))},
        backlog=backlog,
        after=after,
        channels=tuple(sorted({names.get(each.ref, each.ref) for each in known if each.canonical_ref is None})),
        routes=tuple(route.name for route in rulebook.routes.flatten()),
        held={str(reason): cards for reason, cards in held.items() if reason is not Reason.STORM},
        storms=tuple(each for each in await read_lists(source, names) if each.is_storm),
        mutes=sum(mute.start <= now for mute in await source.store.mutes_after(now)),
        faults=len(source.faults()),
        rejected=tuple(
            names.get(each.ref, each.ref)
            for each in known
            if each.canonical_ref is None and each.state is ChannelState.REJECTED
        ),
        slack="" if source.slack().status == "ok" else source.slack().status,
    )


def _state(text: str) -> State | None:
    if not text:
        return None
    if text not in set(State) - {State.RESOLVED}:
        raise QueryError(f"state is {text!r}; expected critical, warning, acknowledged or unknown.")
    return State(text)


def _position(text: str) -> OpenPosition | None:
    if not text:
        return None
    state, _, rest = text.partition(":")
    moment, _, incident = rest.partition(":")
    try:
        at = float(moment)
    except ValueError:
        at = inf
    if state not in set(State) or not isfinite(at) or not incident:
        raise QueryError("after is not the address of a page of this list; open the list again.")
    return OpenPosition(State(state), at, incident)


def _shown(listed: ListedIncident, source: BoardSource, names: ChannelNames) -> ShownIncident:
    incident = read_episode(listed.state.record, listed.state.episode, source.live().rulebook.tag_labels)
    return ShownIncident(
        id=incident.id,
        title=" ".join(incident.title.split()),
        state=incident.state,
        owner=incident.assignee.display_name if incident.assignee else "",
        started=_began(listed, incident),
        snoozed=incident.snooze.snoozed,
        snoozed_until=incident.snooze.wake,
        muted_until=_muted_until(listed.cards, source.clock.now()),
        environments=tuple(each.name or each.id for each in incident.environments),
        cards=tuple(_shown_card(card, source, names) for card in listed.cards),
    )


def _muted_until(cards: Sequence[Card], now: float) -> float | None:
    """When the first of its cards is not muted any more; None if one is not muted."""
    first = min(map(_mute_end, cards), default=0.0)
    return first if first > now else None


def _due(card: Card, now: float) -> float | None:
    """When an unposted card may be posted; None if that is now, or where nobody knows, as in a storm."""
    if card.held is not None:
        until = UNKNOWN_END if card.held.until is None or card.held.reason is Reason.STORM else card.held.until
        return until if until < UNKNOWN_END else None
    return card.post.at if card.post is not None and card.post.at > now else None


def _mute_end(card: Card) -> float:
    """When the mute of a posted or held card is over; 0 for one that is not muted."""
    if card.held is not None and card.held.reason is Reason.MUTE:
        return card.held.until or 0.0
    return max((float(each.at) for each in card.notices if each.kind is NoticeKind.MUTED), default=0.0)


def _began(listed: ListedIncident, incident: Incident) -> float:
    return listed.state.last_share_at if incident.started is None else incident.started


def _shown_card(card: Card, source: BoardSource, names: ChannelNames) -> ShownCard:
    channel = names.get(card.channel, card.channel)
    if card.slack_channel and card.ts:
        held = sorted({each.hold.reason.replace("_", " ") for each in card.held_pings})
        known = card.catch_up_due is not None and card.catch_up_due < UNKNOWN_END
        return ShownCard(
            channel=channel,
            link=source.link(card.slack_channel, card.ts),
            waits=f"pings held: {', '.join(held)}" if held else "",
            due=card.catch_up_due if known else None,
        )
    waits = card.reason or str(card.state)
    due = _due(card, source.clock.now())
    if card.state is CardState.PENDING and not card.reason:
        held_by = card.held.reason if card.held else Reason.WAIT
        waits = Reason.RETRY if card.tries else held_by if card.held or due is not None else "due"
    return ShownCard(channel=channel, waits=waits.replace("_", " "), due=due)
