"""Summaries: what a channel shows, which slots are done, and whether the message of a slot was posted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text, bindparam, delete, exists, func, select, update

from relay.cards.bulletins import KINDS, BulletinChange, BulletinKind, LineEnd
from relay.cards.model import Card, CardState, IncidentState
from relay.cards.summaries import (
    LATEST,
    ChannelContent,
    ResolvedIncident,
    SummaryOutcome,
    SummaryProgress,
)
from relay.model.incident import State, worst_of
from relay.model.struct import replace
from relay.store import schema
from relay.store.bulletins import load_bulletin_cards, save_bulletin_changes
from relay.store.channels import CANONICAL_REF, add_channels, canonical_channel, reference
from relay.store.held import UNPLANNED_BEFORE
from relay.store.locks import check_lease, lock_bulletins, share_channel_references
from relay.store.mappers import Row, to_bulletin, to_card, to_incident_state
from relay.store.mutes import mutes_after
from relay.store.types import Lease

_BATCH = 500
_summary, _bulletin, _line = schema.summary, schema.bulletin, schema.bulletin_line
_card, _incident, _letter = schema.card, schema.incident, schema.dead_letter
_LISTS = [kind for kind, row in KINDS.items() if row.in_thread]
"""The kinds of bulletins whose lines stand for cards."""

_ALL = select(_summary).order_by(_summary.c.channel, _summary.c.title)
_OF = (_summary.c.channel == bindparam("ref"), _summary.c.title == bindparam("name"))
_ADVANCE = (
    update(_summary)
    .where(*_OF, _summary.c.decided == bindparam("before"), _summary.c.times == bindparam("same_times"))
    .values(decided=bindparam("after"), outcome=bindparam("result"))
)
_SETTLE = (
    update(_summary)
    .where(*_OF, _summary.c.outcome == SummaryOutcome.BEGUN, _summary.c.decided == bindparam("slot"))
    .values(outcome=bindparam("result"))
)
_POSTED = update(_summary).where(*_OF).values(posted_as_of=bindparam("as_of"))
_OPEN_SUMMARIES = select(_bulletin.c.id).where(
    _bulletin.c.kind == BulletinKind.SUMMARY, _bulletin.c.closed_at.is_(None)
)
_BY_ID = select(_bulletin).where(_bulletin.c.id == bindparam("which"))

_IN_CHANNEL = bindparam("channel", type_=Text) == CANONICAL_REF
_SHOWN = (_card.c.ts.is_not(None), _card.c.state != CardState.SUPERSEDED)
_of_card = _card.join(reference, reference.c.ref == _card.c.channel)
_of_line = _line.join(_bulletin, _bulletin.c.id == _line.c.bulletin).join(
    reference, reference.c.ref == _bulletin.c.channel
)
OPEN_CARDS = (
    select(_card)
    .select_from(_of_card.join(_incident, _incident.c.id == _card.c.incident))
    .where(schema.IS_OPEN_INCIDENT, *_SHOWN, _IN_CHANNEL)
)
OPEN_LINES = (
    select(_line.c.incident)
    .select_from(_of_line.join(_incident, _incident.c.id == _line.c.incident))
    .where(_bulletin.c.kind.in_(_LISTS), schema.IS_OPEN_LINE, schema.IS_OPEN_INCIDENT, _IN_CHANNEL)
    .distinct()
)
_ENDED_SINCE = (schema.IS_ENDED_INCIDENT, _incident.c.ended_at > bindparam("since"))
RESOLVED_CARDS = (
    select(_card)
    .select_from(_of_card.join(_incident, _incident.c.id == _card.c.incident))
    .where(*_ENDED_SINCE, *_SHOWN, _IN_CHANNEL)
)
_RESOLVED_LINES = (
    select(_line.c.incident, _line.c.state)
    .select_from(_of_line.join(_incident, _incident.c.id == _line.c.incident))
    .where(
        _bulletin.c.kind.in_(_LISTS),
        _line.c.ended == LineEnd.RESOLVED,
        _line.c.episode == _incident.c.episode,
        *_ENDED_SINCE,
        _IN_CHANNEL,
    )
)
_LETTERS = (
    select(func.count())
    .select_from(_letter.join(_card, _card.c.id == _letter.c.card).join(reference, reference.c.ref == _card.c.channel))
    .where(_letter.c.closed_at.is_(None), _IN_CHANNEL)
)
_INCIDENTS = select(_incident).where(_incident.c.id.in_(bindparam("ids", expanding=True)))
_IS_UNPLANNED_BEFORE = select(exists(UNPLANNED_BEFORE))


class SettledSummary(NamedTuple):
    """A summary whose message is posted, or comes too late."""

    progress: SummaryProgress
    outcome: SummaryOutcome


class Settled(NamedTuple):
    """The summaries that are settled now, and how many are still on their way."""

    summaries: tuple[SettledSummary, ...]
    on_their_way: int


def summary_progress(connection: Connection) -> tuple[SummaryProgress, ...]:
    """Return how far each summary is."""
    return tuple(map(_to_progress, connection.execute(_ALL).mappings()))


def save_summary_progress(
    connection: Connection, progress: Iterable[SummaryProgress], *, lease: Lease | None = None
) -> None:
    """Make these the summaries that there are, as far as they are.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    connection.execute(delete(_summary))
    if rows := [_row(each) for each in progress]:
        connection.execute(_summary.insert(), rows)


def channel_content(connection: Connection, ref: str, since: float, slot: float, now: float) -> ChannelContent | None:
    """Return what a channel shows now; None while shares that came before the slot are not planned yet."""
    if connection.execute(_IS_UNPLANNED_BEFORE, {"moment": slot}).scalar():
        return None
    query = {"channel": _canonical(connection, ref), "since": since}
    cards = _cards(connection, OPEN_CARDS, query)
    named = {row.incident for row in connection.execute(OPEN_LINES, query)}
    ended = _cards(connection, RESOLVED_CARDS, query)
    ended_lines = {row.incident: State(row.state) for row in connection.execute(_RESOLVED_LINES, query)}
    return ChannelContent(
        open=tuple((state, cards.get(key)) for key, state in _states(connection, {*cards, *named})),
        resolved=tuple(
            _resolved(state, ended.get(key), ended_lines.get(key))
            for key, state in _states(connection, {*ended, *ended_lines})
        ),
        letters=connection.execute(_LETTERS, query).scalar_one(),
        mutes=mutes_after(connection, now),
    )


def decide_slots(
    connection: Connection,
    before: SummaryProgress,
    after: SummaryProgress,
    change: BulletinChange | None,
    *,
    lease: Lease | None = None,
) -> bool:
    """Note that slots are done, and open the message of the newest; return False if somebody has done that before.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    values = {"before": before.decided, "after": after.decided, "result": after.outcome, "same_times": before.times}
    if not connection.execute(_ADVANCE, {**_key(before), **values}).rowcount:
        return False
    if change is not None:
        add_channels(connection, {change.bulletin.channel})
        share_channel_references(connection)
        channel = canonical_channel(connection, change.bulletin.channel).ref
        save_bulletin_changes(connection, [replace(change, bulletin=replace(change.bulletin, channel=channel))])
    return True


def settle_summaries(connection: Connection, now: float, *, lease: Lease | None = None) -> Settled:
    """Close the summaries that are posted, and those that are too late and not on their way to Slack.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    ids = sorted(connection.execute(_OPEN_SUMMARIES).scalars())
    lock_bulletins(connection, ids)
    settled = tuple(filter(None, (_settle(connection, number, now) for number in ids)))
    return Settled(settled, len(ids) - len(settled))


def _settle(connection: Connection, number: int, now: float) -> SettledSummary | None:
    bulletin = to_bulletin(connection.execute(_BY_ID, {"which": number}).mappings().one())
    cards = load_bulletin_cards(connection, number)
    slot = float(bulletin.data.get("moment") or bulletin.opened_at)
    posted = any(card.ts is not None for card in cards)
    under_way = any(card.state in {CardState.POSTING, CardState.IN_DOUBT} for card in cards)
    if not posted and (under_way or now - slot <= LATEST):
        return None
    outcome = SummaryOutcome.POSTED if posted else SummaryOutcome.SKIPPED
    key = {"ref": str(bulletin.data.get("ref", "")), "name": str(bulletin.data.get("title", ""))}
    connection.execute(_SETTLE, {**key, "slot": slot, "result": outcome})
    if posted:
        connection.execute(_POSTED, {**key, "as_of": bulletin.opened_at})
    save_bulletin_changes(connection, [BulletinChange(bulletin=bulletin, at=now, closes=True)])
    progress = SummaryProgress(channel=key["ref"], title=key["name"], times="", decided=slot, outcome=outcome)
    return SettledSummary(progress, outcome)


def _resolved(state: IncidentState, card: Card | None, named: State | None) -> ResolvedIncident:
    reached = card.episode_worst or card.worst if card is not None else None
    return ResolvedIncident(state, worst_of(*(each or State.UNKNOWN for each in (reached, named))), card)


def _canonical(connection: Connection, ref: str) -> str:
    found = connection.execute(select(CANONICAL_REF).where(reference.c.ref == ref)).scalar()
    return str(found or ref)


def _cards(connection: Connection, statement: Any, query: Mapping[str, Any]) -> dict[str, Card]:
    """The card of each incident in the channel; one that points elsewhere does not count."""
    cards = map(to_card, connection.execute(statement, query).mappings())
    return {card.incident: card for card in sorted(cards, key=lambda card: card.id) if not card.is_pointer}


def _states(connection: Connection, ids: Iterable[str]) -> Iterator[tuple[str, IncidentState]]:
    in_order: Sequence[str] = sorted(ids)
    for start in range(0, len(in_order), _BATCH):
        for row in connection.execute(_INCIDENTS, {"ids": in_order[start : start + _BATCH]}).mappings():
            yield row["id"], to_incident_state(row)


def _key(progress: SummaryProgress) -> dict[str, str]:
    return {"ref": progress.channel, "name": progress.title}


def _row(progress: SummaryProgress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in SummaryProgress.__struct_fields__}


def _to_progress(row: Row) -> SummaryProgress:
    values = {name: row[name] for name in SummaryProgress.__struct_fields__}
    return SummaryProgress(**values | {"outcome": row["outcome"] and SummaryOutcome(row["outcome"])})
