"""Storms: what was posted lately in a channel, what waits there, and what follows for the storms that are open.

First posts are counted from the cards themselves, along an index. The transaction that counts them begins the next one,
and only the relay that holds the lease does so. The count is exact, also across restarts.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Double, Integer, bindparam, func, select, update

from relay.cards.bulletins import Bulletin, BulletinKind
from relay.cards.eligibility import Work
from relay.cards.holds import Reason
from relay.cards.model import Card, CardContext, CardState, Channel
from relay.cards.storms import KEY, ChannelStorm, OpenStorm, StormTurn, allowance, group_of, next_turn
from relay.model.struct import replace
from relay.routes.storm import Storm
from relay.store import schema
from relay.store.bulletins import find_newest_bulletin, save_bulletin_changes
from relay.store.channels import canonical_channel, of_channel
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import check_lease, lock_bulletins
from relay.store.mappers import to_bulletin
from relay.store.storm_summary import IN_SLACK, by_rank, open_by_state
from relay.store.types import Lease

StormRules = Callable[..., Storm]
"""The storm limits of the channel that has these references."""


class StormsAt(NamedTuple):
    """What a storm is, and the moment (Unix seconds) at which relay asks whether there is one."""

    storm_in: StormRules
    now: float


_card, _line, _bulletin = schema.card, schema.bulletin_line, schema.bulletin
_NOW: Any = bindparam("now", type_=Double)
_COUNTS = (of_channel(_card.c.channel), _card.c.first_posted_at.is_not(None), _card.c.state.in_(IN_SLACK))
POSTED = (
    select(_card.c.first_posted_at)
    .where(*_COUNTS, _card.c.first_posted_at > bindparam("since", type_=Double))
    .order_by(_card.c.first_posted_at.desc())
    .limit(bindparam("most", type_=Integer))
)
GROUP_POSTED = select(func.max(_card.c.first_posted_at)).where(
    *_COUNTS, _card.c.first_posted_at >= bindparam("since", type_=Double), _card.c.storm_group == bindparam("group")
)
_WAITS = (of_channel(_card.c.channel), schema.IS_IN_STORM, _card.c.state == CardState.PENDING)
_IS_CANDIDATE = _card.c.held_until.is_not(None)
OTHERS_WAIT = select(_card.c.id).where(*_WAITS, _IS_CANDIDATE).limit(1)
CANDIDATES = (
    select(_card.c.id)
    .join(schema.incident, schema.incident.c.id == _card.c.incident)
    .where(*_WAITS, _IS_CANDIDATE, _card.c.post_due > _NOW)
    .order_by(by_rank(schema.incident.c.state).desc(), _card.c.id)
    .limit(bindparam("most", type_=Integer))
)
RELEASING = select(func.count()).where(*_WAITS, _IS_CANDIDATE, _card.c.post_due <= _NOW)
_RELEASE = (
    update(_card)
    .where(_card.c.id.in_(bindparam("ids", expanding=True)), _card.c.held_by == Reason.STORM)
    .where(_card.c.state == CardState.PENDING)
    .values(post_due=_NOW, post_since=_NOW)
)
_NAMED_IN = (
    select(_bulletin)
    .join(_line, _line.c.bulletin == _bulletin.c.id)
    .where(
        of_channel(_bulletin.c.channel),
        _bulletin.c.kind == BulletinKind.STORM,
        _line.c.incident == bindparam("incident"),
        _line.c.episode == bindparam("episode"),
        schema.IS_OPEN_LINE,
    )
    .order_by(_bulletin.c.id.desc())
    .limit(1)
)
_OPEN = select(_bulletin.c.id).where(_bulletin.c.kind == BulletinKind.STORM, _bulletin.c.closed_at.is_(None))
_BY_IDS = select(_bulletin).where(_bulletin.c.id.in_(bindparam("ids", expanding=True))).order_by(_bulletin.c.id)


def load_channel_storm(connection: Connection, context: CardContext, storms: StormsAt) -> ChannelStorm:
    """Load what matters about storms for a card that is not posted yet."""
    card, channel = context.card, context.channel
    rules, here = storms.storm_in(*_refs(channel)), {"channel": channel.ref}
    named_in = _named_in(connection, card, channel.ref)
    if not rules:
        return ChannelStorm(rules=rules, named_in=named_in)
    newest = find_newest_bulletin(connection, BulletinKind.STORM, channel.ref, KEY)
    group = group_of(context.incident, rules.by, card.options.show_tags)
    posted = _posted(connection, channel.ref, rules, storms.now)
    storm = ChannelStorm(rules=rules, posted=posted, bulletin=newest, named_in=named_in, group=group)
    since = newest.data.get("since", newest.opened_at) if newest and storm.is_open else next(iter(posted), _NEVER)
    of_group = {**here, "group": group, "since": since}
    return replace(
        storm,
        group_posted_at=execute(connection, GROUP_POSTED, of_group).scalar(),
        others_wait=execute(connection, OTHERS_WAIT, here).first() is not None,
    )


def tend_storms(
    connection: Connection, now: float, storm_in: StormRules, *, lease: Lease | None = None
) -> tuple[StormTurn, ...]:
    """Let waiting cards go, ping people, and end what is over, in all storms that are open; return what was done.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    ids = execute(connection, _OPEN).scalars()
    if not ids:
        return ()
    lock_bulletins(connection, ids)
    storms = [to_bulletin(row) for row in connection.execute(_BY_IDS, {"ids": ids}).mappings()]
    turns = tuple(next_turn(_open_storm(connection, bulletin, storm_in, now), now) for bulletin in storms)
    if released := [card for turn in turns for card in turn.release]:
        connection.execute(_RELEASE, {"ids": released, "now": now})
        leave(connection, {Work.POST})
    save_bulletin_changes(connection, [turn.change for turn in turns if turn.change is not None])
    return turns


def _open_storm(connection: Connection, bulletin: Bulletin, storm_in: StormRules, now: float) -> OpenStorm:
    rules = storm_in(*_refs(canonical_channel(connection, bulletin.channel)))
    here = {"channel": bulletin.channel, "now": now}
    most = rules.over or _ALL_AT_ONCE
    return OpenStorm(
        storm=ChannelStorm(rules=rules, posted=_posted(connection, bulletin.channel, rules, now), bulletin=bulletin),
        bulletin=bulletin,
        candidates=tuple(connection.execute(CANDIDATES, {**here, "most": most}).scalars()),
        releasing=connection.execute(RELEASING, here).scalar_one(),
        open_lines=open_by_state(connection, bulletin.id),
    )


_NEVER = 1e12
_ALL_AT_ONCE = 1000
"""The most cards that are let go at once where storms were switched off."""


def _posted(connection: Connection, channel: str, rules: Storm, now: float) -> tuple[float, ...]:
    query = {"channel": channel, "since": now - rules.within, "most": allowance(rules, reserve=True)}
    return tuple(reversed(execute(connection, POSTED, query).scalars()))


def _named_in(connection: Connection, card: Card, channel: str) -> Bulletin | None:
    if card.held is None or card.held.reason is not Reason.STORM:
        return None
    query = {"channel": channel, "incident": card.incident, "episode": card.episode}
    row = execute(connection, _NAMED_IN, query).mapping()
    return None if row is None else to_bulletin(row)


def _refs(channel: Channel) -> Sequence[str]:
    return sorted(channel.references)
