"""Which cards an incident should have after a share, and what each of them owes its readers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from relay.cards.model import Card, CardState, Due, Entry, PreviousCard, replace_changed
from relay.cards.notices import POINTER, STAND_IN, THREAD_ONLY, UNNAMED, stands_for, unnoted, without
from relay.cards.replies import reply_due, worst_shown
from relay.cards.staleness import clear_staleness
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State
from relay.ratelimit.budgets import Urgency, earliest_edit
from relay.routes.evaluate import Posting, RoutingDecision
from relay.routes.options import Mention, Options
from relay.routes.rulebook import Rulebook

_MAY_BE_OVER = frozenset({CardState.POSTED, CardState.REJECTED, CardState.CANCELLED})
"""The states of a card that has come to rest: what is still on its way shows the newest in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareContext:
    """What the judgement about cards looks at: the incident before and after the share, and what the routes say."""

    rulebook: Rulebook
    old: Incident | None
    new: Incident
    decision: RoutingDecision
    canonical_refs: Mapping[str, str]
    entries: Sequence[Entry]
    next_seq: int
    episode: int
    news: float
    now: float
    record_changed: bool

    def canonical(self, ref: str) -> str:
        """Two spellings of one channel are one channel."""
        return self.canonical_refs.get(ref, ref)

    @property
    def reopened(self) -> bool:
        """Whether this share opened it again."""
        return self.old is not None and self.old.state is State.RESOLVED and self.new.active


def desired_cards(moment: ShareContext, cards: Sequence[Card]) -> tuple[list[Card], int]:
    """The cards that are new or changed, and the number of the newest episode."""
    over = [card for card in cards if _is_over(moment, card)]
    live = [card for card in cards if card not in over]
    episode = moment.episode + 1 if over else moment.episode
    postings = _postings(moment)
    routed = any(card.route and _present(card) for card in live)
    followed = [_governed(moment, card, postings, routed=routed) for card in live]
    new = _new_cards(moment, postings, {card.channel for card in live}, over, episode)
    if not new and not moment.decision.matched and not any(_present(card) for card in followed):
        followed, new = _fallen_back(moment, followed, over, episode)
    if any(card.route for card in new) or any(card.route and _present(card) for card in followed):
        followed = [_yielded(card) for card in followed]
    after = [_scheduled(moment, clear_staleness(card), before) for card, before in zip(followed, live, strict=True)]
    changed = [card for card, before in zip(after, live, strict=True) if card is not before and card != before]
    return [*(_left(card) for card in over), *changed, *new], episode


def _postings(moment: ShareContext) -> dict[str, Posting]:
    """What the routes want, by channel; what names no channel for this incident is the fallback's to take."""
    postings: dict[str, Posting] = {}
    for posting in [*moment.decision.postings, *_rerouted(moment)]:
        channel = moment.canonical(posting.ref)
        before = postings.get(channel)
        postings[channel] = replace(before, mention=before.mention.merged_with(posting.mention)) if before else posting
    return postings


def _rerouted(moment: ShareContext) -> list[Posting]:
    fallback = moment.rulebook.fallback
    if fallback is None:
        return []
    return [
        Posting(
            route=failure.route,
            ref=fallback.channel.ref,
            options=failure.options,
            mention=failure.mention,
            routes=(failure.route,),
        )
        for failure in moment.decision.failures
    ]


def _noted(moment: ShareContext, card: Card) -> tuple[str, ...]:
    """The card's notices, with those of the channels for which the fallback stands in since they have no name."""
    return (*_unnamed(moment, card.channel), *without(card, UNNAMED))


def _unnamed(moment: ShareContext, channel: str) -> tuple[str, ...]:
    fallback = moment.rulebook.fallback
    if fallback is None or moment.canonical(fallback.channel.ref) != channel:
        return ()
    return tuple(dict.fromkeys(f"{UNNAMED}|{failure.description}" for failure in moment.decision.failures))


def _is_over(moment: ShareContext, card: Card) -> bool:
    """A reopening is judged per card, from the end it shows: one later than `reopen_within` begins a new episode."""
    ended = card.shown_ended_at
    if card.state in {CardState.REJECTED, CardState.CANCELLED} and moment.old is not None:
        ended = moment.old.ended  # nothing of it is in the channel, so it shows none
    if not moment.reopened or ended is None or card.state not in _MAY_BE_OVER:
        return False
    return moment.news - ended > card.options.reopen_within


def _left(card: Card) -> Card:
    return replace(card, state=CardState.SUPERSEDED, post=None, edit=None)


def _present(card: Card) -> bool:
    """Whether the episode has this card, shown or due.

    One that lapsed was never posted, and one that waits where no route takes it any more will not be.
    """
    will_lapse = card.state is CardState.PENDING and card.options.wait > 0 and not card.matched
    return card.state is not CardState.CANCELLED and not will_lapse


def _governed(moment: ShareContext, card: Card, postings: Mapping[str, Posting], *, routed: bool) -> Card:
    """A card is governed by the first route that takes it to its channel now, else by the last that did."""
    posting = postings.get(card.channel)
    if posting is not None:
        return replace_changed(
            card,
            route=posting.route,
            options=posting.options,
            mention=posting.mention,
            matched=True,
            notices=_noted(moment, replace(card, notices=unnoted(card, POINTER, STAND_IN))),
        )
    if card.route in moment.decision.routes:
        card = replace_changed(card, notices=_noted(moment, card))
    if STAND_IN in card.notices:
        return _standing_in(moment, card, postings)
    if not card.route:
        return replace(
            card, options=_fallback_options(moment, card), matched=not moment.decision.matched and not routed
        )
    options = moment.rulebook.options_for(card.route, card.channel)
    return replace(card, options=options, mention=Mention(), matched=False)


def _fallback_options(moment: ShareContext, card: Card) -> Options:
    """Those of the fallback as it is now; of a channel that is the fallback's no more, the defaults."""
    fallback = moment.rulebook.fallback
    at_home = fallback is not None and moment.canonical(fallback.ref) == card.channel
    return fallback.options if fallback is not None and at_home else moment.rulebook.defaults


def _standing_in(moment: ShareContext, card: Card, postings: Mapping[str, Posting]) -> Card:
    """A card that stands in for others is governed, and pings, as the first of them would."""
    for ref in stands_for(card):
        if (posting := postings.get(ref)) is not None:
            options = replace(posting.options, wait=0.0)
            return replace(card, route=posting.route, options=options, mention=posting.mention, matched=True)
    options = replace(moment.rulebook.options_for(card.route, card.channel), wait=0.0)
    return replace(card, options=options, mention=Mention(), matched=True)


def _new_cards(
    moment: ShareContext, postings: Mapping[str, Posting], known: Iterable[str], over: Sequence[Card], episode: int
) -> list[Card]:
    """A card for each channel that has none yet; a resolved incident adds no channel, but makes its first card."""
    present = set(known)
    return [
        _new_card(moment, channel, posting, over, episode)
        for channel, posting in postings.items()
        if channel not in present and _may_begin(moment, posting.options)
    ]


def _may_begin(moment: ShareContext, options: Options) -> bool:
    """An open incident gets its card; a resolved one when this is its first share, and it did not end long ago."""
    if moment.new.active:
        return True
    if moment.old is not None:
        return False
    ended = moment.new.ended
    return ended is None or moment.now - ended <= options.reopen_within


def _new_card(moment: ShareContext, channel: str, posting: Posting, over: Sequence[Card], episode: int) -> Card:
    before = next((card for card in over if card.channel == channel), None)
    return Card(
        incident=moment.new.id,
        channel=channel,
        episode=episode,
        options=posting.options,
        mention=posting.mention,
        route=posting.route,
        first_matched_at=moment.now,
        reported_seq=_present_seq(moment),
        previous=_previous(before),
        notices=_unnamed(moment, channel),
        pending_since=moment.now,
        post=_root_due(moment.new, moment.now + posting.options.wait),
    )


def _present_seq(moment: ShareContext) -> int:
    """A card begins at the present: of what this share tells, only a comment is not on its face."""
    return next(
        (entry.seq - 1 for entry in moment.entries if entry.kind is EntryKind.COMMENT),
        moment.next_seq + len(moment.entries) - 1,
    )


def _previous(card: Card | None) -> PreviousCard | None:
    if card is None or card.ts is None or card.slack_channel is None:
        return None
    return PreviousCard(at=float(card.ts), channel=card.slack_channel, ts=card.ts)


def _root_due(incident: Incident, at: float) -> Due:
    critical = incident.state is State.CRITICAL
    return Due.on(Urgency.CRITICAL_ROOT if critical else Urgency.ROOT, at, urgent=critical)


def _fallen_back(
    moment: ShareContext, followed: list[Card], over: Sequence[Card], episode: int
) -> tuple[list[Card], list[Card]]:
    """What no route takes goes to the fallback, where it has no card yet; one that lapsed there is revived."""
    fallback = moment.rulebook.fallback
    if fallback is None or not _may_begin(moment, fallback.options):
        return followed, []
    channel = moment.canonical(fallback.channel.ref)
    if any(card.channel == channel for card in followed):
        revived = [_unrouted(card) if card.channel == channel else card for card in followed]
        return revived, []
    unrouted = Posting(route="", ref=channel, options=fallback.options, mention=Mention(), routes=())
    return followed, [_new_card(moment, channel, unrouted, over, episode)]


def _unrouted(card: Card) -> Card:
    return replace(card, route="", matched=True, notices=without(card, UNNAMED))


def _yielded(card: Card) -> Card:
    """A fallback's card that is not posted yet is not needed once a route has a card."""
    if not card.route and card.state is CardState.PENDING and STAND_IN not in card.notices:
        return replace(card, state=CardState.CANCELLED, post=None, edit=None)
    return card


def _scheduled(moment: ShareContext, card: Card, before: Card) -> Card:
    match card.state:
        case CardState.PENDING:
            return _root_scheduled(moment, card)
        case CardState.CANCELLED:
            return _revived(moment, card)
        case CardState.POSTED if not card.is_pointer:
            return _shown_scheduled(moment, card, renoted=card.notices != before.notices)
        case _:
            return card


def _root_scheduled(moment: ShareContext, card: Card) -> Card:
    """It waits as long as the route says that governs it now; a pause after a failed try is another matter."""
    due = card.post
    if due is None or not card.tries:
        due = _root_due(moment.new, max(moment.now, card.first_matched_at + card.options.wait)).sooner(due)
    if moment.new.state is State.CRITICAL and not due.urgent:
        due = Due(at=due.at, deadline=min(due.deadline, max(due.at, moment.now)), urgent=True)
    return replace_changed(card, post=due)


def _revived(moment: ShareContext, card: Card) -> Card:
    """A card that lapsed is wanted again when a route takes it again while the incident is open.

    After a reopening it waits anew: one that is over before its wait each time is never posted.
    """
    if not (card.matched and moment.new.active):
        return card
    first_matched_at = moment.now if moment.reopened else card.first_matched_at
    at = max(moment.now, first_matched_at + card.options.wait)
    return replace(
        card,
        state=CardState.PENDING,
        first_matched_at=first_matched_at,
        pending_since=moment.now,
        reported_seq=_present_seq(moment),
        post=_root_due(moment.new, at),
    )


def _shown_scheduled(moment: ShareContext, card: Card, *, renoted: bool) -> Card:
    post = reply_due(card, moment.new, moment.entries, moment.now)
    if post is None and card.reported_seq == moment.next_seq - 1:
        card = _passed_over(card, moment.entries)
    post = post.sooner(card.post) if post else card.post
    edit = _edit_due(moment, card, changed=moment.record_changed or renoted)
    return replace_changed(card, post=post, edit=edit, pending_since=_since(card, moment.now) if post or edit else None)


def _passed_over(card: Card, entries: Sequence[Entry]) -> Card:
    """What this thread does not tell is decided now: a later reply must not ping for it after all."""
    worst = worst_shown(card, entries)
    told = card.reported_seq + len(entries)
    return replace(card, reported_seq=told, worst=worst.recent, episode_worst=worst.episode) if entries else card


def _since(card: Card, now: float) -> float:
    return now if card.pending_since is None else card.pending_since


def _edit_due(moment: ShareContext, card: Card, *, changed: bool) -> Due | None:
    if not changed or THREAD_ONLY in card.notices:
        return card.edit
    old, new = moment.old, moment.new
    at_once = old is not None and (new.state.rank > old.state.rank or (old.active and not new.active))
    occasion = Urgency.STATE_EDIT if at_once else Urgency.EDIT
    at = earliest_edit(occasion, moment.now, card.edited_at)
    return Due.on(occasion, at).sooner(card.edit)
