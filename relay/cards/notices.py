"""What relay itself notes on a card, and the cards that stand in for others.

pointer           the fallback's card, shrunk, since the incident is followed elsewhere
from|REF|NAME|WHY the fallback's card in place of one in a channel that takes nothing
thread|REF|NAME|WHY the fallback's card for what the thread of one there could not tell
unnamed|WORDS     the fallback's card in place of one whose channel cannot be named, and why
repeat            it may be a second one: it was posted again where relay could not look for the first
anew              it was posted anew, since the one before was deleted or could not be edited
thread_only       it may not be edited any more; its thread tells what changes
stand_in          the fallback made it, only for as long as those are not shown for which it stands in
quiet             it pings nobody when it is posted: a redrive or a renewal is no news
stale|AT          nothing was heard of the incident since then (Unix seconds), and nobody can be asked
gone|AT           BigPanda knew the incident no more at that moment
"""

from collections.abc import Sequence
from dataclasses import replace

from relay.cards.model import Card, CardState, Due
from relay.ratelimit.budgets import Urgency

POINTER = "pointer"
FROM = "from"
THREAD = "thread"
UNNAMED = "unnamed"
REPEAT = "repeat"
ANEW = "anew"
THREAD_ONLY = "thread_only"
QUIET = "quiet"
STAND_IN = "stand_in"
STALE = "stale"
GONE = "gone"


def noted(card: Card, *notices: str) -> tuple[str, ...]:
    """The card's notices with these."""
    return tuple(dict.fromkeys((*card.notices, *notices)))


def unnoted(card: Card, *notices: str) -> tuple[str, ...]:
    """The card's notices without these."""
    return tuple(notice for notice in card.notices if notice not in notices)


def without(card: Card, *words: str) -> tuple[str, ...]:
    """The card's notices without those that begin with these words, whatever else they say."""
    return tuple(notice for notice in card.notices if notice.partition("|")[0] not in words)


def dated(word: str, at: float) -> str:
    """A notice with the moment of which it speaks."""
    return f"{word}|{int(at)}"


def is_over(card: Card) -> bool:
    """Whether BigPanda knows its incident no more."""
    return any(notice.startswith(f"{GONE}|") for notice in card.notices)


def in_place_of(ref: str, name: str, why: str, what: str = FROM) -> str:
    """The notice of a card that stands in for one (or for its THREAD) in the channel `ref`, called `name` by people."""
    return "|".join((what, ref, name or ref, why))


def stands_for(card: Card, *whats: str) -> tuple[str, ...]:
    """The channels for whose cards (FROM) and threads (THREAD) this one stands in."""
    parts = (notice.split("|", 2) for notice in card.notices)
    return tuple(part[1] for part in parts if part[0] in (whats or (FROM, THREAD)))


def stands_in(card: Card, refused: Card, *whats: str) -> bool:
    """Whether this is the fallback's card in place of that one."""
    return refused.channel in stands_for(card, *whats)


def make_way(cards: Sequence[Card], shown: Card, now: float, *whats: str) -> list[Card]:
    """The cards that change as `shown` is there (FROM) or its thread goes on (THREAD): who stood in does so no more.

    The fallback's card for want of a route, and one that was made to stand in, become pointers, or are never posted.
    """
    others = [card for card in cards if card.id != shown.id and not card.is_pointer]
    standing = [card for card in others if card.state in {CardState.POSTED, CardState.PENDING}]
    changed = [_made_way(card, shown, now, whats) for card in standing]
    return [card for card in changed if card is not None]


def _made_way(card: Card, shown: Card, now: float, whats: Sequence[str]) -> Card | None:
    unrouted = shown.route and not card.route and STAND_IN not in card.notices
    if not (unrouted or stands_in(card, shown, *whats)):
        return None
    over = tuple(f"{what}|{shown.channel}|" for what in whats)
    card = replace(card, notices=tuple(notice for notice in card.notices if not notice.startswith(over)))
    if not unrouted and (STAND_IN not in card.notices or stands_for(card)):
        return replace(card, edit=Due.on(Urgency.EDIT, now)) if card.state is CardState.POSTED else card
    if card.ts is None:
        return replace(card, state=CardState.CANCELLED, post=None, edit=None)
    return replace(card, notices=noted(card, POINTER), post=None, edit=Due.on(Urgency.EDIT, now))
