"""Dead letters: what could not be shown, why, and what to do; one open letter for each card."""

from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from relay.cards.model import Card, DeadLetter
from relay.store import schema
from relay.store.mappers import card_of
from relay.store.types import OpenDeadLetter

_letter, _card = schema.dead_letter, schema.card
_OPEN = _letter.c.closed_at.is_(None)
_CLOSE = update(_letter).where(_letter.c.card == bindparam("which"), _OPEN).values(closed_at=bindparam("now"))
_CLOSE_OWN = _CLOSE.where(_letter.c.upto_seq.is_(None))
_MORE = (
    update(_letter)
    .where(_letter.c.card == bindparam("which"), _OPEN)
    .values(after_seq=func.coalesce(_letter.c.after_seq, bindparam("after")), upto_seq=bindparam("upto"))
)
_LISTED = (
    select(
        _letter.c.id.label("letter"),
        _letter.c.reason.label("why"),
        *(_letter.c[name] for name in ("remedy", "since", "after_seq", "upto_seq")),
        _card,
    )
    .select_from(_letter.join(_card, _card.c.id == _letter.c.card))
    .where(_OPEN)
    .order_by(_letter.c.since, _letter.c.id)
)


def open_letter(connection: Connection, card: int, letter: DeadLetter) -> None:
    """Open a letter for a card; one that is open already keeps its reason, and is about this reply as well."""
    after, upto = letter.unreported or (None, None)
    has_one = select(_letter.c.id).where(_letter.c.card == card, _OPEN)
    if connection.execute(has_one).first() is None:
        row = {"card": card, "reason": letter.reason, "remedy": letter.remedy, "since": letter.since}
        connection.execute(_letter.insert(), {**row, "after_seq": after, "upto_seq": upto})
    elif letter.unreported:
        connection.execute(_MORE, {"which": card, "after": after, "upto": upto})


def close_letter(connection: Connection, card: int, now: float, *, replies: bool = True) -> None:
    """Close the letter of a card, if it has one (and, unless `replies`, if it is about the card itself)."""
    connection.execute(_CLOSE if replies else _CLOSE_OWN, {"which": card, "now": now})


def listed(connection: Connection) -> tuple[OpenDeadLetter, ...]:
    """Every open letter with its card, the oldest first."""
    return tuple(_line(row) for row in connection.execute(_LISTED).mappings())


def _line(row: Any) -> OpenDeadLetter:
    card: Card = card_of(row)
    return OpenDeadLetter(
        id=row["letter"],
        reason=row["why"],
        remedy=row["remedy"],
        since=row["since"],
        unreported=None if row["upto_seq"] is None else (row["after_seq"], row["upto_seq"]),
        card=card,
    )
