"""Decide what to do with a card that relay finds in Slack, but not in its database.

A database may be new because the previous one was lost. The metadata of a card say enough to take it over (adopt it):

    the incident is unknown                     adopted as it is: nobody knows more before the next share
    a share came, its card is not posted yet    adopted in its place, and edited
    a share came, and made no card there        adopted and edited: the incident has ended meanwhile, for example
    it was reopened late since the card ended   left alone: the new episode has a card of its own
    another card of the incident is there       left alone

An adopted card pings nobody and reports no earlier events. What changed since its last edit is news, and is reported
like any: relay reads the thread before it posts there (`recovery.skip_reported`).
"""

from dataclasses import dataclass
from enum import StrEnum

from relay.cards.bulletin_cards import bulletin_card, bulletin_edit
from relay.cards.bulletins import KINDS, Bulletin, BulletinKind
from relay.cards.model import Attempt, Card, CardState, Due, Entry, IncidentState, PreviousCard
from relay.cards.recovery import missed_state
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State, parse_state, worst_of
from relay.model.reading import read_incident
from relay.model.record import Block, Record
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency
from relay.routes.options import Options
from relay.slack.message import OVER, Marker


class AdoptionOutcome(StrEnum):
    """What relay did with a card that it found.

    adopted         the next share of its incident edits it
    known           the database has it already
    another_card    another card of the incident is in the channel
    being_posted    a card of the incident is being posted in the channel
    older_episode   a later episode of the incident has its own card
    another_bot     another app posted it, or relay's app before it was installed again: Slack lets nobody edit it
    another_name    a relay with another RELAY_NAME posted it
    """

    ADOPTED = "adopted"
    KNOWN = "known"
    ANOTHER_CARD = "another_card"
    BEING_POSTED = "being_posted"
    OLDER_EPISODE = "older_episode"
    ANOTHER_BOT = "another_bot"
    ANOTHER_NAME = "another_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCard:
    """A card in Slack: its channel's id, its `ts`, and its marker."""

    slack_channel: str
    ts: str
    marker: Marker

    @property
    def bulletin(self) -> BulletinKind | None:
        """The kind of the bulletin that it is; None for the card of an incident."""
        return BulletinKind(self.marker.kind) if self.marker.kind in list(BulletinKind) else None

    @property
    def topic(self) -> tuple[str, str]:
        """What it shows: the same for the cards of one incident, or of bulletins with one key."""
        return self.marker.kind, self.marker.series if self.bulletin else self.marker.incident

    @property
    def episode(self) -> int:
        """The number of its episode."""
        return max(self.marker.episode, 1)

    @property
    def state(self) -> State:
        """The state that it shows."""
        return parse_state(self.marker.state)

    @property
    def worst(self) -> State:
        """The worst that its thread has pinged for, since the first post or the last reopening."""
        return parse_state(self.marker.worst) if self.marker.worst else self.state

    @property
    def ended(self) -> float | None:
        """When its incident had ended, by the card (Unix seconds); None if it shows an open one."""
        return float(self.marker.ended or self.marker.as_of) if self.state is State.RESOLVED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionContext:
    """What the database knows: the incident, its current cards, and those of them in the found card's channel.

    `channel` is the canonical reference. `card` is the card there, with its open attempt and unreported entries.
    """

    channel: str
    incident_state: IncidentState | None = None
    cards: tuple[Card, ...] = ()
    card: Card | None = None
    attempt: Attempt | None = None
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionUpdate:
    """What changes. Where `incident_state` is None, nothing does."""

    outcome: AdoptionOutcome
    incident_state: IncidentState | None = None
    cards: tuple[Card, ...] = ()
    entries: tuple[Entry, ...] = ()


def adopt(context: AdoptionContext, found: FoundCard, options: Options, now: float) -> AdoptionUpdate:
    """Take a card over, or leave it alone. `options` are those of its route in its channel."""
    state, card = context.incident_state, context.card
    if (reason := _reason_to_leave_alone(context, found)) is not None:
        return AdoptionUpdate(outcome=reason)
    known = state or IncidentState(record=Record(incident=found.marker.incident), last_share_at=now)
    after = _with_shown_state(known, found)
    options = card.options if card is not None else options
    if known.was_shared and _reopened_late(after, found, options):
        return _leave_for_new_episode(after, card, found)
    adopted = _adopted(card or _new_card(context, after, found, options), found)
    adopted = replace(adopted, reminder_base=now)  # how often people were reminded is not known
    if not known.was_shared:
        stale_at = now + options.stale_after if found.ended is None else after.stale_at
        superseded = (replace(each, state=CardState.SUPERSEDED) for each in context.cards if _is_older(each, found))
        return AdoptionUpdate(
            outcome=AdoptionOutcome.ADOPTED,
            incident_state=replace(after, stale_at=stale_at),
            cards=(*superseded, adopted),
        )
    missed = _missed(context, after, found, now)
    adopted = replace(adopted, post=Due.on(Urgency.REPLY, now), edit=Due.on(Urgency.STATE_EDIT, now), pending_since=now)
    return AdoptionUpdate(outcome=AdoptionOutcome.ADOPTED, incident_state=after, cards=(adopted,), entries=missed)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinAdoption:
    """What the database knows of a bulletin that was found: the newest with that key, its card and open attempt."""

    channel: str
    bulletin: Bulletin | None = None
    card: Card | None = None
    attempt: Attempt | None = None


def adopt_bulletin(
    known: BulletinAdoption, found: FoundCard, now: float
) -> tuple[AdoptionOutcome, Bulletin | None, Card | None]:
    """Take a bulletin over, or leave it alone: then there is no card. A new one is given without an id.

    Relay does not know the earlier lines in its message and thread. A list continues with new lines; a message that is
    sent once counts as sent.
    """
    kind, card = found.bulletin, known.card
    if kind is None or found.marker.state == OVER:
        return AdoptionOutcome.OLDER_EPISODE, None, None
    if card is not None and card.ts is not None:
        return AdoptionOutcome.ANOTHER_CARD, None, None
    if known.attempt is not None or (card and card.state in {CardState.POSTING, CardState.IN_DOUBT}):
        return AdoptionOutcome.BEING_POSTED, None, None
    bulletin = known.bulletin
    if bulletin is None or card is None:
        at, data = float(found.ts), {"reason": found.marker.series, "adopted": True}
        closed_at = None if KINDS[kind].repeats else now
        bulletin = Bulletin(
            kind=kind,
            channel=known.channel,
            key=found.marker.series,
            episode=found.episode,
            opened_at=at,
            closed_at=closed_at,
            data=data,
        )
        return AdoptionOutcome.ADOPTED, bulletin, _adopted(bulletin_card(bulletin), found)
    adopted = replace(_adopted(card, found), episode=card.episode, pending_since=now)
    due = Due.on(Urgency.REPLY, now) if bulletin.row.in_thread else None
    adopted = replace(adopted, post=due, edit=bulletin_edit(adopted, now))
    return AdoptionOutcome.ADOPTED, replace(bulletin, data={**bulletin.data, "adopted": True}), adopted


def _reason_to_leave_alone(context: AdoptionContext, found: FoundCard) -> AdoptionOutcome | None:
    """Why the card is left alone, whatever the incident is now."""
    state, card = context.incident_state, context.card
    if card is not None and card.ts is not None:
        return AdoptionOutcome.KNOWN if card.ts == found.ts else AdoptionOutcome.ANOTHER_CARD
    if context.attempt is not None or (card and card.state in {CardState.POSTING, CardState.IN_DOUBT}):
        return AdoptionOutcome.BEING_POSTED
    newest = card.episode if card is not None else state.episode if state is not None else 0
    return AdoptionOutcome.OLDER_EPISODE if found.episode < newest else None


def _with_shown_state(state: IncidentState, found: FoundCard) -> IncidentState:
    """The incident with the state that the card shows, unless a newer one is known."""
    record, marker, as_of = state.record, found.marker, float(found.marker.as_of)
    episode = max(state.episode, found.episode)
    block = record.blocks.get("state")
    if block is not None and block.as_of >= as_of:
        return replace(state, episode=episode)
    shown = {
        "state": Block(as_of=as_of, value={"status": str(found.state), "resolved": None, "active": None}),
        "ended": Block(as_of=as_of, value=None if found.ended is None else int(found.ended)),
    }
    record = replace(
        record,
        blocks={**record.blocks, **shown},
        worst=max(record.worst, found.state, key=lambda each: each.rank),
        environment_id=record.environment_id or marker.environment,
    )
    return replace(state, record=record, state=found.state, episode=episode, ended_at=found.ended)


def _reopened_late(state: IncidentState, found: FoundCard, options: Options) -> bool:
    """Whether the incident was reopened later than `reopen_within` after the end that the card shows."""
    block = state.record.blocks.get("state")
    if found.ended is None or block is None or not read_incident(state.record).active:
        return False
    return block.as_of - found.ended > options.reopen_within


def _leave_for_new_episode(state: IncidentState, card: Card | None, found: FoundCard) -> AdoptionUpdate:
    """The card that is found is of the episode before, and stays as it is; the new one links to it."""
    previous = PreviousCard(at=float(found.ts), channel=found.slack_channel, ts=found.ts)
    after = replace(state, episode=max(state.episode, found.episode + 1))
    later = () if card is None else (replace(card, episode=after.episode, previous=previous),)
    return AdoptionUpdate(outcome=AdoptionOutcome.OLDER_EPISODE, incident_state=after, cards=later)


def _is_older(card: Card, found: FoundCard) -> bool:
    return card.is_current and card.episode < found.episode


def _new_card(context: AdoptionContext, state: IncidentState, found: FoundCard, options: Options) -> Card:
    return Card(
        incident=found.marker.incident,
        channel=context.channel,
        episode=found.episode,
        options=options,
        route=found.marker.route,
        first_matched_at=float(found.ts),
        reported_seq=state.next_seq - 1,
    )


def _adopted(card: Card, found: FoundCard) -> Card:
    """The card as it is in Slack. It numbers its replies from the start; the content of its thread is not known yet."""
    return replace(
        card,
        episode=found.episode,
        state=CardState.POSTED,
        reason="",
        ts=found.ts,
        slack_channel=found.slack_channel,
        generation=found.marker.generation + 1,
        shown_hash="",
        shown_ended_at=found.ended,
        worst=found.worst,
        episode_worst=worst_of(found.worst, found.state),
        thread_unread=True,
        pending_since=None,
        tries=0,
        post=None,
        edit=None,
    )


def _missed(context: AdoptionContext, state: IncidentState, found: FoundCard, now: float) -> tuple[Entry, ...]:
    """The shares that came meanwhile report another state than the card shows; no entry says so yet."""
    incident = read_incident(state.record)
    if incident.state is found.state or any(map(_is_state_change, context.entries)):
        return ()
    others = [each.channel for each in context.cards if each.channel != context.channel]
    return (missed_state(state, others, context.channel, found.state, now),)


def _is_state_change(entry: Entry) -> bool:
    return entry.kind.row.thread == EntryKind.STATUS and "new" in entry.data
