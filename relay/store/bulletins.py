"""Bulletins: opened, changed, and loaded as the topic of a card.

A transaction that changes a bulletin locks its row, after the incidents (`relay.store.locks` has the order).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, update

from relay.cards.bulletin_cards import after_bulletin_change, bulletin_card
from relay.cards.bulletins import (
    KINDS,
    Bulletin,
    BulletinChange,
    BulletinKind,
    BulletinLine,
    BulletinState,
    Changed,
    EndedLines,
    LineEnd,
    changed,
)
from relay.cards.eligibility import Work
from relay.cards.holds import UNKNOWN_END
from relay.cards.model import Card, CardState, Entry, ShownLines
from relay.model.errors import StoreError
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.store import schema
from relay.store.channels import add_channels
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import lock_bulletins, postgresql
from relay.store.mappers import (
    Row,
    bulletin_line_row,
    bulletin_row,
    dumps,
    loads,
    to_bulletin,
    to_bulletin_line,
    to_card,
)
from relay.store.notify import notify
from relay.store.rows import save_cards
from relay.store.storm_summary import count_pings, summarize_storm
from relay.store.upsert import insert_or_keep

_bulletin, _line, _card = schema.bulletin, schema.bulletin_line, schema.card

USEFUL_LINES = 50
"""The most lines that a decision about one reply looks at; it has twenty."""

_IDENTITY = ("kind", "channel", "key")
_HAS_IDENTITY = tuple(_bulletin.c[name] == bindparam(name) for name in _IDENTITY)
_NEWEST = select(_bulletin).where(*_HAS_IDENTITY).order_by(_bulletin.c.episode.desc()).limit(1).with_for_update()
_NEWEST_ID = select(func.max(_bulletin.c.id)).where(*_HAS_IDENTITY)
_HELD_LISTS = select(_bulletin.c.channel, _bulletin.c.key, _bulletin.c.data).where(
    _bulletin.c.kind == BulletinKind.HELD, _bulletin.c.closed_at.is_(None)
)
_BY_ID = select(_bulletin).where(_bulletin.c.id == bindparam("which")).with_for_update()
_OF_BULLETIN = _line.c.bulletin == bindparam("of")
_WITH_KEYS = select(_line).where(_OF_BULLETIN, _line.c.key.in_(bindparam("keys", expanding=True)))
_COUNT_OPEN = select(func.count()).where(_OF_BULLETIN, _line.c.ended.is_(None))
_COUNTS = select(_line.c.ended, func.count()).where(_OF_BULLETIN).group_by(_line.c.ended)
_ALL = select(_line).where(_OF_BULLETIN).order_by(_line.c.seq)
_AFTER = _ALL.where(_line.c.seq > bindparam("seq"))
_FIRST_OUTDATED = (
    select(_line.c.ts).where(_line.c.card == bindparam("which"), schema.IS_OUTDATED_LINE).order_by(_line.c.ts).limit(1)
)
_IN_REPLY = (
    select(_line).where(_line.c.card == bindparam("which"), _line.c.ts == bindparam("reply")).order_by(_line.c.seq)
)
_OPEN_OF_INCIDENTS = (
    select(_line, _bulletin.c.kind, _bulletin.c.channel)
    .join(_bulletin, _bulletin.c.id == _line.c.bulletin)
    .where(_line.c.incident.in_(bindparam("ids", expanding=True)), schema.IS_OPEN_LINE)
    .order_by(_line.c.bulletin, _line.c.seq)
)
_CARDS = (
    select(_card).where(_card.c.bulletin == bindparam("of"), _card.c.state != CardState.SUPERSEDED).order_by(_card.c.id)
)
_SAVE_POSTED = (
    update(_line)
    .where(_OF_BULLETIN, _line.c.seq > bindparam("after"), _line.c.seq <= bindparam("upto"))
    .values(card=bindparam("which"), ts=bindparam("reply"), shown_in=bindparam("version"))
)
_SAVE_EDITED = (
    update(_line)
    .where(_line.c.card == bindparam("which"), _line.c.ts == bindparam("reply"))
    .values(shown_in=bindparam("version"))
)
_NUMBERED = update(_line).where(_OF_BULLETIN, _line.c.seq == bindparam("number"))
_SAVE_DATA = _NUMBERED.values(data=bindparam("new"))
_CHANGING = ("state", "data", "ended", "ended_at", "changed_in")
_UPDATE_LINE = _NUMBERED.values({name: bindparam(name) for name in _CHANGING})


def save_bulletin_changes(
    connection: Connection, changes: Collection[BulletinChange] = (), ended: Collection[EndedLines] = ()
) -> None:
    """Open and change bulletins, end lines, and make the cards due that show them.

    The incidents of the transaction are locked before.
    """
    _lock(connection, changes, ended)
    for change in changes:
        found = _open(connection, change)
        if found is not None:
            _change(connection, found, change)
    if any(change.bulletin.kind is BulletinKind.STORM for change in changes):
        leave(connection, {Work.HELD})  # a storm is to ping people, and to end
    _end_lines(connection, ended)


def change_lines(connection: Connection, bulletin: int, lines: Collection[BulletinLine], at: float) -> None:
    """Add or change lines of the bulletin with this id, which may be over. The caller holds its lock."""
    found = to_bulletin(connection.execute(_BY_ID, {"which": bulletin}).mappings().one())
    _change(connection, found, BulletinChange(bulletin=found, at=at, lines=tuple(lines)))


def _open_lines(connection: Connection, ended: Collection[EndedLines]) -> Sequence[Row]:
    if not ended:
        return ()
    ids = sorted({each.incident for each in ended})
    return execute(connection, _OPEN_OF_INCIDENTS, {"ids": ids}).mappings()


def _lock(connection: Connection, changes: Collection[BulletinChange], ended: Collection[EndedLines]) -> None:
    """Lock all bulletins that change, in one order; one that is opened now is known to nobody else."""
    if postgresql(connection):
        ids = {row["bulletin"] for row in _open_lines(connection, ended)}
        known = (newest_bulletin_id(connection, each.bulletin) for each in changes)
        lock_bulletins(connection, ids.union(each for each in known if each is not None))


def _end_lines(connection: Connection, ended: Collection[EndedLines]) -> None:
    by_incident = {each.incident: [other for other in ended if other.incident == each.incident] for each in ended}
    for bulletin, group in groupby(_open_lines(connection, ended), key=lambda row: row["bulletin"]):
        rows = list(group)
        ends = [end for row in rows for end in _ends(row, by_incident[row["incident"]])]
        if ends:
            found = to_bulletin(connection.execute(_BY_ID, {"which": bulletin}).mappings().one())
            at = max(end.at for row in rows for end in by_incident[row["incident"]])
            _change(connection, found, BulletinChange(bulletin=found, at=at, lines=tuple(ends)))


def _ends(row: Row, ended: Iterable[EndedLines]) -> Iterator[BulletinLine]:
    line = to_bulletin_line(row)
    for end in ended:
        # A list of what is open does not care whether it has a card, and describes one moment.
        matters = end.end not in {LineEnd.POSTED, None} or KINDS[row["kind"]].in_thread
        if matters and end.episode == line.episode and end.channel in {None, row["channel"]}:
            ended_at = None if end.end is None else end.at
            state = end.state or line.state
            yield replace(line, state=state, ended=end.end, ended_at=ended_at, data={**line.data, **end.data})
            return


def load_bulletin_state(connection: Connection, card: Card) -> BulletinState:
    """Load and lock the bulletin of a card: nobody else changes it until this transaction ends.

    Raises StoreError: there is no such bulletin.
    """
    row = execute(connection, _BY_ID, {"which": card.bulletin}).mapping()
    if row is None:
        raise StoreError(f"There is no bulletin {card.bulletin}: this is not the database from which it was read.")
    bulletin, query = to_bulletin(row), {"of": card.bulletin}
    reply = execute(connection, _FIRST_OUTDATED, {"which": card.id}).scalar()
    counts = {end and LineEnd(end): number for end, number in execute(connection, _COUNTS, query)}
    lines = () if bulletin.row.in_thread else _lines(connection, _ALL, query)
    summary: Mapping[str, JSON] = {}
    if bulletin.kind is BulletinKind.STORM:
        counts[None] = counts.get(None, 0) - count_pings(connection, bulletin.id)
        lines, summary = summarize_storm(connection, bulletin, counts)
    return BulletinState(
        bulletin=bulletin,
        lines=lines,
        summary=summary,
        counts=counts,
        outdated=_lines(connection, _IN_REPLY, {**query, "which": card.id, "reply": reply}) if reply else (),
    )


class HeldList(NamedTuple):
    """An open held list: where it is, what holds its cards, until when (Unix seconds; `UNKNOWN_END`: nobody knows)."""

    channel: str
    reason: str
    until: float


def open_held_lists(connection: Connection) -> list[HeldList]:
    """Load the held lists that are open, of all channels."""
    rows = connection.execute(_HELD_LISTS).all()
    return [HeldList(row.channel, row.key, loads(row.data).get("until") or UNKNOWN_END) for row in rows]


def newest_bulletin_id(connection: Connection, bulletin: Bulletin) -> int | None:
    """Return the id of the newest bulletin with the same kind, channel and key; None if there is none."""
    identity = dict(zip(_IDENTITY, bulletin.identity, strict=True))
    found: int | None = connection.execute(_NEWEST_ID, identity).scalar()
    return found


def find_newest_bulletin(connection: Connection, kind: str, channel: str, key: str) -> Bulletin | None:
    """Find and lock the newest bulletin with that key."""
    row = execute(connection, _NEWEST, {"kind": kind, "channel": channel, "key": key}).mapping()
    return None if row is None else to_bulletin(row)


def save_adopted_bulletin(connection: Connection, bulletin: Bulletin, card: Card) -> None:
    """Save a bulletin that was found in Slack, with its card; one without an id is new."""
    if bulletin.id:
        connection.execute(update(_bulletin).where(_bulletin.c.id == bulletin.id).values(bulletin_row(bulletin)))
    else:
        row = connection.execute(_bulletin.insert().returning(_bulletin.c.id), bulletin_row(bulletin)).one()
        card = replace(card, bulletin=row.id)
    save_cards(connection, [card])


def load_bulletin_cards(connection: Connection, bulletin: int) -> tuple[Card, ...]:
    """Load the current cards of a bulletin: one, and one that stands in for it where its channel rejects it."""
    return tuple(to_card(row) for row in execute(connection, _CARDS, {"of": bulletin}).mappings())


def load_lines_after(
    connection: Connection, bulletin: int, seq: int, most: int | None
) -> tuple[tuple[BulletinLine, ...], bool]:
    """Load the first lines after that number, in order: as many as are useful, or all where `most` is None.

    Return also whether there are more.
    """
    most = most and min(most, USEFUL_LINES)
    statement = _AFTER if most is None else _AFTER.limit(most + 1)
    lines = _lines(connection, statement, {"of": bulletin, "seq": seq})
    return lines[:most], most is not None and len(lines) > most


def save_shown_lines(connection: Connection, card: Card, shown: ShownLines) -> None:
    """Save which lines a reply shows."""
    query = {"which": card.id, "reply": shown.ts, "version": shown.version}
    if shown.upto_seq is None:
        connection.execute(_SAVE_EDITED, query)
    else:
        after = {"of": card.bulletin, "after": shown.after_seq, "upto": shown.upto_seq}
        connection.execute(_SAVE_POSTED, {**query, **after})


def change_line_data(connection: Connection, bulletin: int, lines: Iterable[Entry]) -> None:
    """Save the data of known lines."""
    if rows := [{"of": bulletin, "number": line.seq, "new": dumps(line.data)} for line in lines]:
        connection.execute(_SAVE_DATA, rows)


def _open(connection: Connection, change: BulletinChange) -> Bulletin | None:
    """Find the bulletin that a change concerns, or open it; None if there is nothing to change."""
    wanted = change.bulletin
    newest = find_newest_bulletin(connection, *wanted.identity)
    if newest is not None and newest.closed_at is None:
        return newest
    if newest is not None and not change.closes and _opens_again(newest, change.at):
        return replace(newest, closed_at=None)
    if change.closes or (newest is not None and not wanted.row.repeats):
        return None
    add_channels(connection, {wanted.channel})
    episode = 1 if newest is None else newest.episode + 1
    statement = insert_or_keep(connection, _bulletin, ("kind", "channel", "key", "episode"), returning=("id",))
    opened = replace(wanted, episode=episode)
    row = connection.execute(statement, bulletin_row(opened)).one_or_none()
    if row is None:  # another relay has opened it meanwhile
        return find_newest_bulletin(connection, *wanted.identity)
    opened = replace(opened, id=row.id)
    save_cards(connection, [bulletin_card(opened)])
    return opened


def _opens_again(closed: Bulletin, now: float) -> bool:
    return closed.closed_at is not None and now - closed.closed_at <= closed.row.reopens_within


def _change(connection: Connection, before: Bulletin, change: BulletinChange) -> None:
    keys = [line.key for line in change.lines]
    known = {line.key: line for line in _lines(connection, _WITH_KEYS, {"of": before.id, "keys": keys})}
    is_counted = before.row.ends_with_lines
    open_lines = execute(connection, _COUNT_OPEN, {"of": before.id}).scalar() or 0 if is_counted else 0
    after = changed(before, change, known, open_lines)
    if after.bulletin == before and not after.lines:
        return
    connection.execute(update(_bulletin).where(_bulletin.c.id == before.id).values(bulletin_row(after.bulletin)))
    _save_lines(connection, before, after)
    cards = load_bulletin_cards(connection, before.id)
    save_cards(connection, [after_bulletin_change(card, after, change.at) for card in cards])
    notify(connection, anything=False)  # another relay may deliver


def _save_lines(connection: Connection, before: Bulletin, after: Changed) -> None:
    rows = [bulletin_line_row(before.id, line) for line in after.lines]
    if new := [row for row in rows if row["seq"] >= before.next_seq]:
        connection.execute(_line.insert(), new)
    if known := [row for row in rows if row["seq"] < before.next_seq]:
        named = ({name: row[name] for name in _CHANGING} | {"of": before.id, "number": row["seq"]} for row in known)
        connection.execute(_UPDATE_LINE, list(named))


def _lines(connection: Connection, statement: Any, query: Mapping[str, Any]) -> tuple[BulletinLine, ...]:
    return tuple(to_bulletin_line(row) for row in connection.execute(statement, query).mappings())
