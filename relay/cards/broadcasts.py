"""Decide when relay edits a broadcast reply because its state is over: "Reopened, resolved again after 12 min".

Such a reply pings people. When its state is over, it must not alarm people who look at the channel later. Relay edits
it once, after the card, as the least urgent of all edits: only while the rate limit allows it. It gives up if that
takes too long or Slack rejects it. Nothing depends on it, so relay reports nothing.

A card keeps its broadcasts until they are edited or given up. An edit that a killed relay left is made again.
"""

from collections.abc import Iterable, Sequence

from relay.cards.model import NO_DEADLINE, Attempt, Broadcast, Card, Due, Entry
from relay.cards.notices import NO_EDITS
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.struct import replace

MAX_BROADCASTS = 10
"""The most replies of a card that wait for their end; of more, the oldest stay as they are."""

RETRY_AFTER = 60.0
"""Seconds after which such an edit is tried again."""

GIVE_UP_AFTER = 3600.0
"""Seconds after the end of its state at which a reply is left as it is."""


def track(card: Card, attempt: Attempt, entries: Sequence[Entry], ts: str) -> Card:
    """The card once Slack has a reply: it tracks a broadcast that pings people until its state is over.

    `entries` are those that the card had not reported before the reply; later ones may have ended its state already.
    """
    calls = [entry for entry in entries if entry.seq <= attempt.upto_seq and _calls_people(entry)]
    if not attempt.data.get("broadcast") or not calls:
        return card
    entry = calls[-1]
    broadcast = Broadcast(ts=ts, kind=entry.kind, at=entry.at, data=entry.data)
    followed = replace(card, broadcasts=(*card.broadcasts, broadcast)[-MAX_BROADCASTS:])
    return mark_over(followed, [each for each in entries if each.seq > attempt.upto_seq])


def mark_over(card: Card, entries: Iterable[Entry]) -> Card:
    """The card, whose broadcasts know which of these entries, in their order, ended their state."""
    if not card.broadcasts:
        return card
    news = list(entries)
    return replace(card, broadcasts=tuple(_marked(each, news) for each in card.broadcasts))


def with_broadcast_edit(card: Card, at: float) -> Card:
    """The card with the edit of a broadcast that is over due at `at`, if there is one and no other edit waits."""
    if card.edit is not None and not card.edit.is_reply_edit:
        return card
    is_due = next_over(card, at) is not None and NO_EDITS not in card.notices
    return replace(card, edit=Due(at=at, deadline=NO_DEADLINE) if is_due else None)


def next_over(card: Card, now: float) -> Broadcast | None:
    """The first broadcast whose state is over, and ended not too long ago."""
    over = (each for each in card.broadcasts if each.over_at is not None and now - each.over_at < GIVE_UP_AFTER)
    return next(over, None)


def without(card: Card, ts: str) -> Card:
    """The card, which no longer tracks that reply."""
    return replace(card, broadcasts=tuple(each for each in card.broadcasts if each.ts != ts))


def _calls_people(entry: Entry) -> bool:
    if entry.kind is not EntryKind.STATUS or "old" not in entry.data:
        return entry.kind is EntryKind.REOPENED
    return State(entry.data["new"]).rank > State(entry.data["old"]).rank


def _marked(broadcast: Broadcast, entries: Iterable[Entry]) -> Broadcast:
    if broadcast.over_at is not None:
        return broadcast
    end = next((entry for entry in entries if _ends(entry, broadcast)), None)
    return broadcast if end is None else replace(broadcast, over_at=end.at, became=State(end.data["new"]))


def _ends(entry: Entry, broadcast: Broadcast) -> bool:
    """A reopening is over when the incident is resolved again, a rise as soon as it is better."""
    if entry.kind is EntryKind.RESOLVED or broadcast.kind is EntryKind.REOPENED:
        return entry.kind is EntryKind.RESOLVED
    if entry.kind is not EntryKind.STATUS or "old" not in entry.data:
        return False
    return State(entry.data["new"]).rank < State(broadcast.data["new"]).rank
