"""Decide which cards an incident has after a share, and when each of them is posted or edited."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from relay.cards.attention import Surroundings, attend
from relay.cards.broadcasts import mark_over
from relay.cards.holding import hold_first_post, refresh_held, with_held_pings, with_mute, without_holds
from relay.cards.holds import Hold, Reason, merge_held
from relay.cards.model import Card, CardState, Due, Entry, PreviousCard, replace_changed
from relay.cards.mutes import Mute
from relay.cards.notices import (
    NO_EDITS,
    NO_PING,
    STAND_IN,
    Notice,
    NoticeKind,
    Notices,
    add_notices,
    is_escalated,
    remove_notices,
)
from relay.cards.reminders import follow
from relay.cards.replies import held_for, reply_due, worst_shown
from relay.cards.staleness import clear_staleness
from relay.cards.stand_ins import stands_for
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State
from relay.model.struct import Struct, replace
from relay.ratelimit.budgets import Urgency, earliest_edit
from relay.routes.evaluate import Posting, RoutingDecision
from relay.routes.mention import NO_MENTION
from relay.routes.options import Options
from relay.routes.rulebook import Fallback, Rulebook

_SETTLED = frozenset({CardState.POSTED, CardState.REJECTED, CardState.CANCELLED})
"""States in which a late reopening supersedes a card. In any other it is still to be posted, and shows the newest."""


class ShareContext(Struct, frozen=True, kw_only=True, dict=True):
    """All that the decision about cards needs: the incident before and after the share, and what the routes say.

    `as_of` and `now` are Unix seconds, by BigPanda's and by relay's clock. `canonical_refs` maps the other references
    of a channel to the one that is used. `shadows` are the cards that would be there already if their routes had not
    been in shadow, as (channel, route). `over` are the cards of the episode before, if the share begins a new one.
    `mutes` are those that are not over.
    """

    rulebook: Rulebook
    old: Incident | None
    new: Incident
    decision: RoutingDecision
    canonical_refs: Mapping[str, str]
    entries: Sequence[Entry]
    next_seq: int
    episode: int
    as_of: float
    now: float
    record_changed: bool
    shadows: Collection[tuple[str, str]] = ()
    over: Sequence[Card] = ()
    mutes: tuple[Mute, ...] = ()

    @property
    def surroundings(self) -> Surroundings:
        """What decides when relay posts and pings, apart from a card and its incident."""
        return Surroundings(rulebook=self.rulebook, mutes=self.mutes, canonical_refs=self.canonical_refs)

    def canonical(self, ref: str) -> str:
        """The one reference of a channel that has several."""
        return self.canonical_refs.get(ref, ref)

    @property
    def reopened(self) -> bool:
        """Whether this share reopened the incident."""
        return self.old is not None and self.old.state is State.RESOLVED and self.new.active

    @cached_property
    def in_shadow(self) -> tuple[tuple[str, str], ...]:
        """The cards that routes in shadow would have now, as (channel, route)."""
        postings = self.decision.shadow
        return tuple((self.canonical(posting.ref), route) for posting in postings for route in posting.routes)

    def puts_in_shadow(self, card: Card) -> bool:
        """Whether the route of a card in this channel is in shadow now."""
        return (card.channel, card.route) in self.in_shadow

    def is_late(self, channel: str, posting: Posting) -> bool:
        """Whether a card would have been there before, had the routes that make it not been in shadow."""
        return all((channel, route) in self.shadows for route in posting.routes) and bool(posting.routes)

    @property
    def fallback_channel(self) -> str | None:
        """The canonical reference of the fallback's channel."""
        fallback = self.rulebook.fallback
        return None if fallback is None else self.canonical(fallback.ref)

    def fallback_of(self, card: Card) -> Fallback | None:
        """The fallback, if the card is in its channel: the file may name another one since."""
        return self.rulebook.fallback if card.channel == self.fallback_channel else None


def desired_cards(share: ShareContext, cards: Sequence[Card]) -> tuple[list[Card], int]:
    """The cards that are new or changed, and the number of the newest episode."""
    over = [card for card in cards if _begins_new_episode(share, card)]
    current = [card for card in cards if card not in over]
    if over:
        share = replace(share, over=over, episode=share.episode + 1, shadows=())
    postings, present = _postings_by_channel(share), {card.channel for card in current}
    routed = any(card.route and _is_present(card) for card in current)
    followed = [_govern(share, card, postings, routed=routed) for card in current]
    new = [
        _new_card(share, channel, posting)
        for channel, posting in postings.items()
        if channel not in present and _may_begin(share, posting.options)
    ]
    if not new and not share.decision.matched and not any(_is_present(card) for card in followed):
        followed, new = _fall_back(share, followed)
    if any(card.route for card in new) or any(card.route and _is_present(card) for card in followed):
        # A fallback's card that is not posted yet is not needed once a route has a card.
        followed = [
            card
            if card.route or card.state is not CardState.PENDING or STAND_IN in card.notices
            else replace(without_holds(card), state=CardState.CANCELLED, post=None, edit=None)
            for card in followed
        ]
    followed = [_late_if_revived(share, card, postings.get(card.channel)) for card in followed]
    followed = [with_mute(card, share.new, share.mutes, share.now) for card in followed]
    pairs = zip(followed, current, strict=True)
    followed = [follow(card, before, share.old, share.new, share.now) for card, before in pairs]
    after = [_schedule(share, clear_staleness(card), before) for card, before in zip(followed, current, strict=True)]
    changed = [card for card, before in zip(after, current, strict=True) if card is not before and card != before]
    new = [with_mute(card, share.new, share.mutes, share.now) for card in new]
    ended = {"state": CardState.SUPERSEDED, "post": None, "edit": None, "reminder_due": None}
    superseded = [replace(without_holds(card), **ended) for card in over]
    return [*superseded, *changed, *new], share.episode


def _postings_by_channel(share: ShareContext) -> dict[str, Posting]:
    """What the routes post, by channel. The fallback gets what names no channel for this incident."""
    postings: dict[str, Posting] = {}
    fallback = share.rulebook.fallback
    rerouted = [
        Posting(
            route=each.route, ref=fallback.ref, options=each.options, mention=fallback.mention, routes=(each.route,)
        )
        for each in share.decision.failures
        if fallback is not None
    ]
    for posting in [*share.decision.postings, *rerouted]:
        channel = share.canonical(posting.ref)
        before = postings.get(channel)
        postings[channel] = replace(before, mention=before.mention.merged_with(posting.mention)) if before else posting
    return postings


def _unnamed_channels(share: ShareContext, channel: str) -> Notices:
    """The fallback's notices about channels that have no name."""
    if channel != share.fallback_channel:
        return ()
    failures = share.decision.failures
    return tuple(dict.fromkeys(Notice(kind=NoticeKind.UNNAMED, reason=failure.description) for failure in failures))


def _begins_new_episode(share: ShareContext, card: Card) -> bool:
    """A reopening that comes later than `reopen_within` after the end that this card shows begins a new episode."""
    ended = card.shown_ended_at
    if card.state in {CardState.REJECTED, CardState.CANCELLED} and share.old is not None:
        ended = share.old.ended  # nothing of it is in the channel, so it shows no end
    if not share.reopened or ended is None or card.state not in _SETTLED:
        return False
    return share.as_of - ended > card.options.reopen_within


def _is_present(card: Card) -> bool:
    """Whether the episode has this card, posted or due.

    A cancelled card was never posted. A card that waits will not be posted if no route matches it any more.
    """
    waits = card.options.wait > 0 or card.held is not None
    will_be_cancelled = card.state is CardState.PENDING and waits and not card.matched
    return card.state is not CardState.CANCELLED and not will_be_cancelled


def _govern(share: ShareContext, card: Card, postings: Mapping[str, Posting], *, routed: bool) -> Card:
    """The first route that now posts to its channel governs a card, else the last that did."""
    posting = postings.get(card.channel)
    if posting is not None or card.route in share.decision.routes:
        rest = remove_notices(card.notices, NoticeKind.UNNAMED)
        if posting is not None:
            rest = remove_notices(rest, NoticeKind.POINTER, NoticeKind.STAND_IN)
        card = replace_changed(card, notices=(*_unnamed_channels(share, card.channel), *rest))
    if posting is not None:
        return replace_changed(
            card, route=posting.route, options=posting.options, mention=posting.mention, matched=True
        )
    if is_escalated(card.notices):
        return card  # only what `then` says counts for it
    if STAND_IN in card.notices:
        return _govern_stand_in(share, card, postings)
    return _govern_unmatched(share, card, routed=routed)


def _govern_unmatched(share: ShareContext, card: Card, *, routed: bool) -> Card:
    """No route posts to its channel now."""
    if not card.route:
        fallback, matched = share.fallback_of(card), not share.decision.matched and not routed
        options = fallback.options if fallback else share.rulebook.defaults
        mention = fallback.mention if fallback and matched else NO_MENTION
        return replace(card, options=options, mention=mention, matched=matched)
    options = share.rulebook.options_for(card.route, card.channel)
    if card.state is CardState.PENDING and share.puts_in_shadow(card):
        card = replace(without_holds(card), state=CardState.CANCELLED, post=None, edit=None)
    if card.route in share.decision.unread:  # nobody knows, so what was decided before stays
        return replace(card, options=options)
    return replace(card, options=options, mention=NO_MENTION, matched=False)


def _govern_stand_in(share: ShareContext, card: Card, postings: Mapping[str, Posting]) -> Card:
    """The first of the cards that it replaces decides its options. It pings the fallback's own people.

    It pings nobody once other routes match: their cards do.
    """
    fallback = share.fallback_of(card)
    mention = fallback.mention if fallback else NO_MENTION
    for ref in stands_for(card):
        if (posting := postings.get(ref)) is not None:
            options = replace(posting.options, wait=0.0)
            return replace(card, route=posting.route, options=options, mention=mention, matched=True)
    options = replace(share.rulebook.options_for(card.route, card.channel), wait=0.0)
    return replace(card, options=options, mention=NO_MENTION if share.decision.matched else mention, matched=True)


def _may_begin(share: ShareContext, options: Options) -> bool:
    """An open incident gets its card; a resolved one only with its first share, and if it ended not long ago."""
    if share.new.active:
        return True
    if share.old is not None:
        return False
    ended = share.new.ended
    return ended is None or share.now - ended <= options.reopen_within


def _new_card(share: ShareContext, channel: str, posting: Posting) -> Card:
    before = next((card for card in share.over if card.channel == channel), None)
    previous = None
    if before is not None and before.ts is not None and before.slack_channel is not None:
        previous = PreviousCard(at=float(before.ts), channel=before.slack_channel, ts=before.ts)
    at, is_late = share.now + posting.options.wait, share.is_late(channel, posting)
    return Card(
        incident=share.new.id,
        channel=channel,
        episode=share.episode,
        options=posting.options,
        mention=posting.mention,
        route=posting.route,
        first_matched_at=share.now,
        reported_seq=_seq_on_new_card(share),
        previous=previous,
        notices=(*_unnamed_channels(share, channel), *((NO_PING,) if is_late else ())),
        pending_since=share.now,
        post=Due.on(Urgency.ROOT, at) if is_late else Due.root(share.new.state, at),
    )


def _late_if_revived(share: ShareContext, card: Card, posting: Posting | None) -> Card:
    """A card that was cancelled since its route was in shadow pings nobody when it is posted after all."""
    if card.state is not CardState.CANCELLED or posting is None or not share.is_late(card.channel, posting):
        return card
    return replace(card, notices=add_notices(card.notices, NO_PING))


def _seq_on_new_card(share: ShareContext) -> int:
    """A new card shows all that this share reports, except a comment."""
    comments = (entry for entry in share.entries if entry.kind is EntryKind.COMMENT)
    first = next(comments, None)
    return first.seq - 1 if first else share.next_seq + len(share.entries) - 1


def _fall_back(share: ShareContext, followed: list[Card]) -> tuple[list[Card], list[Card]]:
    """The fallback gets what no route matches, if it has no card yet. A cancelled card there is used again."""
    fallback, channel = share.rulebook.fallback, share.fallback_channel
    if fallback is None or fallback.options.shadow or channel is None or not _may_begin(share, fallback.options):
        return followed, []
    there = next((card for card in followed if card.channel == channel), None)
    if there is not None:
        notices = remove_notices(there.notices, NoticeKind.UNNAMED)
        card = replace(there, route="", matched=True, mention=fallback.mention, notices=notices)
        return [card if each is there else each for each in followed], []
    unrouted = Posting(route="", ref=channel, options=fallback.options, mention=fallback.mention, routes=())
    return followed, [_new_card(share, channel, unrouted)]


def _schedule(share: ShareContext, card: Card, before: Card) -> Card:
    match card.state:
        case CardState.PENDING:
            return _schedule_root(share, card)
        case CardState.CANCELLED:
            return _revive(share, card)
        case CardState.POSTED if not card.is_pointer:
            return _schedule_posted(share, card, notices_changed=card.notices != before.notices)
        case _:
            return card


def _schedule_root(share: ShareContext, card: Card) -> Card:
    """It waits as long as the route says that governs it now. A pause after a failed try stays as it is."""
    if card.held is not None and card.held.reason is Reason.STORM and card.matched and share.new.active:
        if not _is_news(share):
            return card
        card = replace(card, held=Hold(reason=Reason.STORM, until=share.now))  # it is posted as soon as there is room
    if card.held is not None and card.matched and share.new.active:
        attention = attend(card, share.new, share.surroundings, share.now)
        if attention.listed is not None:
            return hold_first_post(card, share.new, attention, attention.listed)
    due = card.post
    if due is None or not card.tries:
        due = Due.root(share.new.state, max(share.now, card.first_matched_at + card.options.wait)).sooner(due)
    if share.new.state is State.CRITICAL and not due.urgent:
        due = Due(at=due.at, deadline=min(due.deadline, max(due.at, share.now)), urgent=True)
    return replace_changed(card, post=due)


def _is_news(share: ShareContext) -> bool:
    """Whether the incident has another state, another owner, or a comment more."""
    old, new = share.old, share.new
    if old is None or old.state is not new.state or old.assignee != new.assignee:
        return True
    return any(entry.kind is EntryKind.COMMENT for entry in share.entries)


def _revive(share: ShareContext, card: Card) -> Card:
    """A cancelled card is pending again when a route matches it again while the incident is open.

    After a reopening it waits again: an incident that always ends before its wait is never posted.
    """
    if not (card.matched and share.new.active):
        return card
    first_matched_at = share.now if share.reopened else card.first_matched_at
    return replace(
        card,
        state=CardState.PENDING,
        first_matched_at=first_matched_at,
        pending_since=share.now,
        reported_seq=_seq_on_new_card(share),
        post=Due.root(share.new.state, max(share.now, first_matched_at + card.options.wait)),
    )


def _schedule_posted(share: ShareContext, card: Card, *, notices_changed: bool) -> Card:
    held_before = card.held_pings
    card = mark_over(card, share.entries)
    post = reply_due(card, share.new, share.entries, share.now)
    if post is None and share.entries and card.reported_seq == share.next_seq - 1:
        # What this thread does not report is decided now: a later reply must not ping for it after all.
        worst, seq = worst_shown(card, share.entries), share.next_seq - 1 + len(share.entries)
        held = held_for(card, share.new, share.entries, share.now, share.surroundings)
        card = replace(card, reported_seq=seq, worst=worst.recent, episode_worst=worst.episode)
        card = with_held_pings(card, merge_held(card.held_pings, held))
    card = refresh_held(card, share.new, share.surroundings, share.now)
    says_more = notices_changed or card.held_pings != held_before
    if post is None and card.thread_unread:
        post = Due.on(Urgency.REPLY, share.now)  # it shows perhaps another state than this database knows
    post = post.sooner(card.post) if post else card.post
    edit = _edit_due(share, card) if share.record_changed or says_more else card.edit
    since = share.now if card.pending_since is None else card.pending_since
    return replace_changed(card, post=post, edit=edit, pending_since=since if post or edit else None)


def _edit_due(share: ShareContext, card: Card) -> Due | None:
    if NO_EDITS in card.notices:
        return card.edit
    old, new = share.old, share.new
    at_once = old is not None and (new.state.rank > old.state.rank or (old.active and not new.active))
    urgency = Urgency.STATE_EDIT if at_once else Urgency.EDIT
    return Due.on(urgency, earliest_edit(urgency, share.now, card.edited_at)).sooner(card.edit)
