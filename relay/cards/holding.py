"""Decide which held posts and pings a card keeps, and what a catch-up sends when nothing holds them any more.

A held ping never counts as sent. It stays with the card until one of these happens:

    a message of the card pings the same target       it is over
    nothing holds it any more                         one catch-up of the channel names the incident and pings
    the incident has ended by then                    it is over
    somebody has the incident by then                 the catch-up names it and pings nobody

If a first post is held in a list, its pings are held too. The catch-up at the end of the hold pings for all cards at
once, and the cards follow without pings.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from relay.cards.attention import REASONS, Attention, Surroundings, attend
from relay.cards.bulletins import (
    CATCH_UP_LATE_AFTER,
    Bulletin,
    BulletinChange,
    BulletinLine,
    catch_up_message,
    held_list,
    incident_line,
)
from relay.cards.holds import HeldPing, HeldPings, Hold, Ping, Reason, catch_up_due, merge_held, since_before
from relay.cards.model import Card, CardState, Due, IncidentState, replace_changed
from relay.cards.mutes import Mute, covering
from relay.cards.notices import NO_EDITS, NO_PING, Notice, NoticeKind, remove_notices
from relay.cards.reminders import after_ping
from relay.cards.storms import StormPing, StormPings
from relay.model.incident import Incident, State
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency, earliest_edit

LOOK_AGAIN_AFTER = 3600.0
"""Seconds after which a card is looked at again, if nobody knows when what holds it ends."""

UNPOSTED = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT)
"""The states of a card that is to be posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpLine:
    """An incident that a catch-up names, with its card: `targets` are those whom it concerns and whom this pings."""

    card: Card
    incident: Incident
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """The catch-up of a channel.

    `cards` are those that change, also the `failed` ones, which are looked at again later. `lines` name what is still
    open; with none there is no message. Its pings were held until `moment` (Unix seconds), for the reasons `holds`.
    """

    channel: str
    moment: float
    cards: tuple[Card, ...] = ()
    failed: tuple[Card, ...] = ()
    lines: tuple[CatchUpLine, ...] = ()
    holds: tuple[Hold, ...] = ()
    late: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Whom it pings, each once."""
        return tuple(dict.fromkeys(target for line in self.lines for target in line.targets))


def with_held_pings(card: Card, held: Iterable[HeldPing]) -> Card:
    """The card with exactly these held pings. If they were to be looked at sooner, they still are."""
    pings = tuple(held)
    moments = [moment for moment in (catch_up_due(pings), card.catch_up_due) if moment is not None]
    due = min(moments) if any(not each.caught_up for each in pings) else None
    return replace_changed(card, held_pings=pings, catch_up_due=due)


def without_holds(card: Card) -> Card:
    """The card without anything held: it is not posted any more, or not followed."""
    return replace_changed(card, held=None, held_pings=(), catch_up_due=None)


def hold_first_post(card: Card, incident: Incident, attention: Attention, hold: Hold) -> Card:
    """The card waits for the end of the hold, and with it whom it would ping. Worse incidents come first then.

    A storm pings by itself whom nothing else holds.
    """
    now = attention.question.at
    until = now + LOOK_AGAIN_AFTER if hold.until is None or REASONS[hold.reason].paced else hold.until
    wanted = dict.fromkeys((*card.mention.targets(incident.state), *(each.target for each in card.held_pings)))
    caught_up = tuple(each for each in card.held_pings if each.caught_up)
    _, held = attention.split(Ping.FIRST_POST, wanted)
    due = Due.root(incident.state, until)
    worst_first = replace(due, deadline=due.deadline + State.CRITICAL.rank - incident.state.rank)
    kept = merge_held(caught_up, since_before(held, card.held_pings))
    waiting = replace(card, held_pings=kept, catch_up_due=catch_up_due(kept))
    return replace(waiting, held=hold, pending_since=until, post=worst_first)


def name_in_held_list(card: Card, incident: Incident, now: float) -> tuple[BulletinChange, ...]:
    """The line that names the incident of a held card in the held list of its channel; none for any other card.

    What a storm holds is named by the storm card.
    """
    if card.held is None or card.held.reason is Reason.STORM or card.state is not CardState.PENDING:
        return ()
    if not (incident.active and card.matched):
        return ()
    line = incident_line(incident, card.episode, now, route=card.route)
    return (held_list(card.channel, card.held.reason, card.held.until, [line], now, options=card.options),)


def first_pings(card: Card, incident: Incident, attention: Attention) -> tuple[tuple[str, ...], HeldPings]:
    """Whom the card pings when it is posted now, and which pings are still held then.

    A card that was held in a list until now leaves its pings to the catch-up. One that is let through before, since it
    got worse, pings itself.
    """
    due = card.catch_up_due
    released = card.held is not None and due is not None and due <= attention.question.at
    if not incident.active or released or NO_PING in card.notices:
        kept = card.held_pings
    else:
        kept = tuple(each for each in card.held_pings if each.caught_up or each.ping is not Ping.FIRST_POST)
    if not incident.active:
        return (), kept
    waited = (each.target for each in card.held_pings) if card.held is not None else ()
    left = {each.target for each in kept if each.ping is Ping.FIRST_POST} | set(_pinged_by_storm(card, attention))
    wanted = dict.fromkeys((*card.mention.targets(incident.state), *waited))
    free, held = attention.posting.split(Ping.FIRST_POST, [target for target in wanted if target not in left])
    return free, merge_held(kept, since_before(held, card.held_pings))


def _pinged_by_storm(card: Card, attention: Attention) -> Iterable[str]:
    """Whom the storm that held the card has pinged for it."""
    storm, incident = attention.question.surroundings.storm, attention.question.incident
    if storm is None or card.held is None or card.held.reason is not Reason.STORM:
        return ()
    ping = StormPing.of(incident.state, storm.group, attention.question.at)
    pings = StormPings.of(storm.named_in)
    return [target for target in pings.sent if pings.is_covered(target, ping)]


def refresh_held(card: Card, incident: Incident, surroundings: Surroundings, now: float) -> Card:
    """The card with what holds its pings now. What nothing holds any more is due now, or has been since it ended."""
    if not card.held_pings:
        return card
    attention = attend(card, incident, surroundings, now)
    held = tuple(each if each.caught_up else _refreshed(each, attention) for each in card.held_pings)
    return replace_changed(card, held_pings=held, catch_up_due=catch_up_due(held))


def _refreshed(held: HeldPing, attention: Attention) -> HeldPing:
    hold, now = attention.still_holds(held), attention.question.at
    if hold is None:
        until = now if held.hold.until is None else min(now, held.hold.until)
        hold = Hold(reason=held.hold.reason, until=until)
    return replace(held, hold=hold)


def with_mute(card: Card, incident: Incident, mutes: Iterable[Mute], now: float) -> Card:
    """The card, which says whether its incident is muted now, by whom, until when and why."""
    mute = covering(mutes, incident, card.route, now) if incident.active else None
    rest = remove_notices(card.notices, NoticeKind.MUTED)
    if mute is not None:
        said = Notice(kind=NoticeKind.MUTED, name=mute.author, reason=mute.reason, at=int(mute.end))
        if said in card.notices:
            return card
        rest = (*rest, said)
    return replace_changed(card, notices=rest)


def say_muted(card: Card, incident: Incident, mutes: Iterable[Mute], now: float) -> Card:
    """The card where a mute has begun, changed or ended: if it is posted, it is edited."""
    said = with_mute(card, incident, mutes, now)
    if said is card or card.state is not CardState.POSTED or card.is_pointer or NO_EDITS in card.notices:
        return said
    due = Due.on(Urgency.EDIT, earliest_edit(Urgency.EDIT, now, card.edited_at)).sooner(card.edit)
    return replace(said, edit=due, pending_since=now if card.pending_since is None else card.pending_since)


def may_be_caught_up(card: Card) -> bool:
    """Whether a catch-up may name it now: it is posted, or was held in a list, and does not ping by itself.

    Any other card pings when it is posted. Where a reply is about to ping, that comes first, and may be all.
    """
    if card.state is CardState.POSTED:
        return card.post is None or not card.post.urgent
    return card.state in UNPOSTED and card.held is not None


def catch_up(
    channel: str, cards: Sequence[tuple[Card, IncidentState]], surroundings: Surroundings, now: float
) -> CatchUp:
    """Make up for the pings of these cards of a channel that nothing holds any more; the others wait on."""
    looked_at, failed = [], []
    for card, state in cards:
        try:
            looked_at.append(_look_at(card, read_incident(state.record), surroundings, now))
        except Exception:  # noqa: BLE001  one card must not prevent the catch-up of the others
            failed.append(replace(card, catch_up_due=now + LOOK_AGAIN_AFTER))
    moments = [max(each.hold.until or now for each in look.free) for look in looked_at if look.free]
    named = [look for look in looked_at if look.line is not None]
    changed = [look.after for look in looked_at if look.after != look.before]
    moment = max(moments, default=now)
    return CatchUp(
        channel=channel,
        moment=moment,
        cards=(*changed, *failed),
        failed=tuple(failed),
        lines=tuple(look.line for look in named if look.line),
        holds=tuple(dict.fromkeys(each.hold for look in named for each in look.free)),
        late=now - moment > CATCH_UP_LATE_AFTER,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A card before and after it was looked at, which of its pings were free, and how it is named."""

    before: Card
    after: Card
    free: tuple[HeldPing, ...]
    line: CatchUpLine | None


def _look_at(card: Card, incident: Incident, surroundings: Surroundings, now: float) -> _Look:
    fresh = refresh_held(card, incident, surroundings, now)
    free = tuple(each for each in fresh.held_pings if not each.caught_up and _is_over(each, now))
    line = _line(fresh, incident, free) if free else None
    pinged = line is not None and bool(line.targets)
    after = _caught_up(fresh, incident, free, now, pinged=pinged) if free else fresh
    return _Look(before=card, after=after, free=free, line=line)


def _is_over(held: HeldPing, now: float) -> bool:
    return held.hold.until is not None and held.hold.until <= now


def _line(card: Card, incident: Incident, free: Sequence[HeldPing]) -> CatchUpLine | None:
    """How a catch-up names the incident; None if it need not."""
    if not incident.active or card.is_pointer:
        return None
    owned, would_ping = incident.is_owned, {*card.mention.targets(incident.state)}
    would_ping.update(card.mention.targets(incident.state, occasion=Ping.REOPENED.occasion))
    listed = [
        each
        for each in free
        if not REASONS[each.hold.reason].only_if_it_pings or (not owned and each.target in would_ping)
    ]
    if not listed:
        return None
    targets = () if owned else tuple(each.target for each in listed)
    return CatchUpLine(card=card, incident=incident, targets=targets)


def _caught_up(card: Card, incident: Incident, free: Sequence[HeldPing], now: float, *, pinged: bool) -> Card:
    """The card after a catch-up for these pings. One that is not posted yet must not ping for them again."""
    if card.state is not CardState.POSTED:
        caught_up = tuple(replace(each, caught_up=True) if each in free else each for each in card.held_pings)
        return replace(card, held_pings=caught_up, catch_up_due=catch_up_due(caught_up))
    reopened = pinged and any(each.ping is Ping.REOPENED for each in free)
    rest = tuple(each for each in card.held_pings if each not in free)
    if pinged:
        card = after_ping(card, incident, now)
    return replace(
        card,
        held_pings=rest,
        catch_up_due=catch_up_due(rest),
        reopening_pinged_at=now if reopened else card.reopening_pinged_at,
        edit=Due.on(Urgency.EDIT, now).sooner(card.edit),
    )


def catch_up_bulletin(made: CatchUp, now: float, is_known: Callable[[Bulletin], bool]) -> BulletinChange | None:
    """The message of a catch-up; None if nothing is left to say.

    Where the clock was set back, there may have been one for the same moment already: this is another.
    """
    lines = [_message_line(line, now) for line in made.lines]
    if not lines:
        return None
    moment, options = made.moment, made.lines[0].card.options
    while True:
        change = catch_up_message(made.channel, moment, lines, made.targets, now, options=options)
        if change is None or not is_known(change.bulletin):
            return change
        moment += 1


def _message_line(line: CatchUpLine, now: float) -> BulletinLine:
    """The incident with a link to its card, if that is posted."""
    card = line.card
    where = (card.slack_channel, card.ts) if card.slack_channel and card.ts else None
    return incident_line(line.incident, card.episode, now, route=card.route, card=where)
