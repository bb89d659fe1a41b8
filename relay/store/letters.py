"""Dead letters: what could not be shown, why, and what to do; one open letter for each card."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from relay.planning.model import Card, Letter
from relay.store import schema
from relay.store.codec import card_of
from relay.store.nouns import LetterLine

_letter, _card = schema.letter, schema.card
_OPEN = _letter.c.closed_at.is_(None)
_CLOSE = update(_letter).where(_letter.c.card == bindparam("which"), _OPEN).values(closed_at=bindparam("now"))
_LISTED = (
    select(_letter.c.id.label("letter"), _letter.c.reason.label("why"), _letter.c.remedy, _letter.c.since, _card)
    .select_from(_letter.join(_card, _card.c.id == _letter.c.card))
    .where(_OPEN)
    .order_by(_letter.c.since, _letter.c.id)
)


def open_letter(connection: Connection, card: int, letter: Letter) -> None:
    """Open a letter for a card; one that is open already keeps the reason that it was opened for."""
    has_one = select(_letter.c.id).where(_letter.c.card == card, _OPEN)
    if connection.execute(has_one).first() is None:
        row = {"card": card, "reason": letter.reason, "remedy": letter.remedy, "since": letter.since}
        connection.execute(_letter.insert(), row)


def close_letter(connection: Connection, card: int, now: float) -> None:
    """Close the letter of a card, if it has one."""
    connection.execute(_CLOSE, {"which": card, "now": now})


def listed(connection: Connection) -> tuple[LetterLine, ...]:
    """Every open letter with its card, the oldest first."""
    return tuple(_line(row) for row in connection.execute(_LISTED).mappings())


def _line(row: Any) -> LetterLine:
    card: Card = card_of(row)
    return LetterLine(id=row["letter"], reason=row["why"], remedy=row["remedy"], since=row["since"], card=card)
