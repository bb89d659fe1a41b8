"""Dead letters: what could not be shown, why, and what to do; a card has at most one open dead letter."""

from sqlalchemy import Connection, bindparam, func, or_, select, update

from relay.cards.model import DeadLetter
from relay.cards.notices import STAND_IN, Notice
from relay.store import schema
from relay.store.execution import execute
from relay.store.mappers import loads, to_card
from relay.store.types import OpenDeadLetter

_letter, _card = schema.dead_letter, schema.card
_OPEN = _letter.c.closed_at.is_(None)
_UPDATE = update(_letter).where(_letter.c.card == bindparam("which"), _OPEN)
_CLOSE = _UPDATE.values(closed_at=bindparam("now"))
_CLOSE_IF_ROOT = _CLOSE.where(_letter.c.upto_seq.is_(None))
_EXTEND = _UPDATE.values(after_seq=func.coalesce(_letter.c.after_seq, bindparam("after")), upto_seq=bindparam("upto"))
_WITH_CARD = _letter.join(_card, _card.c.id == _letter.c.card)
_LIST = (
    select(
        _letter.c.id.label("letter_id"),
        _letter.c.reason.label("letter_reason"),
        *_letter.c["remedy", "since", "after_seq", "upto_seq"],
        func.coalesce(schema.incident.c.ended_at, schema.bulletin.c.closed_at).label("ended_at"),
        _card,
    )
    .select_from(
        _WITH_CARD.outerjoin(schema.incident, schema.incident.c.id == _card.c.incident).outerjoin(
            schema.bulletin, schema.bulletin.c.id == _card.c.bulletin
        )
    )
    .where(_OPEN)
    .order_by(_letter.c.since, _letter.c.id)
)
_TOPIC_OF = (
    select(_card.c.incident, _card.c.bulletin).select_from(_WITH_CARD).where(_letter.c.id == bindparam("which"), _OPEN)
)
_OPEN_OF_TOPIC = (
    select(_letter.c.id, _card.c.notices)
    .select_from(_WITH_CARD)
    .where(or_(_card.c.incident == bindparam("incident"), _card.c.bulletin == bindparam("bulletin")), _OPEN)
)
_DISCARD = update(_letter).values(closed_at=bindparam("now"), discard_reason=bindparam("why"))


def open_dead_letter(connection: Connection, card: int, letter: DeadLetter) -> None:
    """Open a dead letter of a card; one that is open already keeps its reason and covers this reply too."""
    after, upto = letter.unreported or (None, None)
    if connection.execute(select(_letter.c.id).where(_letter.c.card == card, _OPEN)).first() is None:
        row = {"card": card, "reason": letter.reason, "remedy": letter.remedy, "since": letter.since}
        connection.execute(_letter.insert(), {**row, "after_seq": after, "upto_seq": upto})
    elif letter.unreported:
        connection.execute(_EXTEND, {"which": card, "after": after, "upto": upto})


def close_dead_letter(connection: Connection, card: int, now: float, *, replies: bool = True) -> None:
    """Close the dead letter of a card, if it has one; without `replies` only one about the card itself."""
    execute(connection, _CLOSE if replies else _CLOSE_IF_ROOT, {"which": card, "now": now})


def discard_dead_letter(connection: Connection, number: int, reason: str, now: float) -> bool:
    """Close an open dead letter because an operator does not need it; return False if there is no such letter.

    The letters of cards that only stand in for the incident's others are closed with the last of those.
    """
    topic = connection.execute(_TOPIC_OF, {"which": number}).mappings().one_or_none()
    if topic is None:
        return False
    rows = connection.execute(_OPEN_OF_TOPIC, dict(topic)).all()
    others = {row.id: STAND_IN in map(Notice.from_json, loads(row.notices)) for row in rows if row.id != number}
    closed = [number, *(others if all(others.values()) else ())]
    connection.execute(_DISCARD.where(_letter.c.id.in_(closed)), {"now": now, "why": reason})
    return True


def dead_letters(
    connection: Connection, *, number: int | None = None, most: int | None = None
) -> tuple[OpenDeadLetter, ...]:
    """Return the open dead letters, each with its card, the oldest first: that of a number, or at most so many."""
    some = _LIST.limit(most) if number is None else _LIST.where(_letter.c.id == number)
    is_all = number is None and most is None
    rows = execute(connection, _LIST).mappings() if is_all else connection.execute(some).mappings()
    return tuple(
        OpenDeadLetter(
            id=row["letter_id"],
            reason=row["letter_reason"],
            remedy=row["remedy"],
            since=row["since"],
            unreported=None if row["upto_seq"] is None else (row["after_seq"], row["upto_seq"]),
            card=to_card(row),
            ended_at=row["ended_at"],
        )
        for row in rows
    )
