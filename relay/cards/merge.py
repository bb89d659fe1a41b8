"""A share is folded into the record: of each block the newest wins, and what adds up adds up.

Folding is idempotent, and but for ties of news its blocks come out the same in whatever order shares arrive. Title,
environment and sender are the first arrival's, on purpose: an eye finds a card again by them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from relay.bigpanda.webhook.share import Share
from relay.model.incident import (
    JSON,
    Block,
    Environment,
    Record,
    State,
    derive_title,
    merge_alert,
    parse_state,
    read_incident,
    reports_resolved,
)

REPEAT_WINDOW = 600.0
"""Seconds within which the same text is the same comment, told again."""

COMMENTS_REMEMBERED = 300
ENVIRONMENTS_REMEMBERED = 500
HEADERS_REMEMBERED = 50
INTEGRATIONS_REMEMBERED = 50
EPISODES_REMEMBERED = 50

_ALERT = "alert:"
_NEVER = float("-inf")


def merge_share(record: Record | None, share: Share) -> Record:
    """The record as it is known after this share, whatever came before it."""
    base = record or Record(
        incident=share.incident,
        environment=share.environment,
        sender=share.sender,
        first_received=share.received,
    )
    folded = replace(
        base,
        blocks=_blocks(base.blocks, share),
        environments=_environments(base.environments, share.environment),
        headers=_headers(base.headers, share.headers),
        environment=base.environment or share.environment,
        sender=base.sender or share.sender,
        comments=_comments(base.comments, share),
        worst=max(base.worst, _worst_told(share), key=lambda state: state.rank),
        integrations=_integrations(base.integrations, share.integration),
        environment_id=(share.environment.id if share.environment else "") or base.environment_id,
    )
    return _titled(base, folded)


def begin_episode(record: Record, episode: int, news: float) -> Record:
    """The record with a later episode, which a share of that news begins."""
    return replace(record, episodes=(*record.episodes, (episode, news))[-EPISODES_REMEMBERED:])


def comment_hash(text: str) -> str:
    """By what a comment's text is remembered."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def comment_time(share: Share) -> float:
    """When the comment was made: a comment has no time of its own, so its event's, else the incident's last change."""
    events = [event.at for event in share.events if event.at is not None and event.name.endswith("commented")]
    if events:
        return max(events)
    changed = share.blocks.get("changed")
    return float(changed) if changed is not None else share.as_of


def is_new_comment(record: Record | None, share: Share) -> bool:
    """Whether the share carries a comment that was not told yet."""
    if not share.comment:
        return False
    known, at = comment_hash(share.comment), comment_time(share)
    seen = record.comments if record else ()
    return not any(each == known and abs(when - at) <= REPEAT_WINDOW for each, when in seen)


def _blocks(known: Mapping[str, Block], share: Share) -> dict[str, Block]:
    blocks = dict(known)
    for name, told in _told(share).items():
        before = blocks.get(name)
        if share.as_of < _newest(blocks, name, before):
            continue
        if before is not None and name.startswith(_ALERT):
            told = merge_alert(before.value, told)  # noqa: PLW2901  the same alert, as it is known by now
        # Told again unchanged it stays the very same value, so that what was read of it need not be read again.
        value = before.value if before is not None and before.value == told else told
        blocks[name] = Block(as_of=share.as_of, value=value)
        if name == "alerts":
            _forget_updates(blocks, share.as_of)
    return blocks


def _told(share: Share) -> Mapping[str, JSON]:
    """What a share tells; that the incident is open tells that it has not ended, whenever it had ended before."""
    state = share.blocks.get("state")
    if state is None or reports_resolved(state):
        return share.blocks
    return {**share.blocks, "ended": None}


def _newest(blocks: Mapping[str, Block], name: str, own: Block | None) -> float:
    """The news of whatever speaks for a block now: a single alert is also spoken for by the whole list."""
    news = _NEVER if own is None else own.as_of
    if name.startswith(_ALERT) and (whole := blocks.get("alerts")) is not None:
        return max(news, whole.as_of)
    return news


def _forget_updates(blocks: dict[str, Block], news: float) -> None:
    """A whole list replaces the alerts that were told on their own up to then."""
    for name in [name for name, block in blocks.items() if name.startswith(_ALERT) and block.as_of <= news]:
        del blocks[name]


def _environments(known: tuple[Environment, ...], told: Environment | None) -> tuple[Environment, ...]:
    """Every environment it was ever shared from, once each; what another share knows of one completes it.

    One that has been renamed is there under both names: a route to either has taken the incident.
    """
    if told is None:
        return known
    first = next((environment for environment in known if _same(environment, told)), None)
    if first is None:
        return (*known, told)[-ENVIRONMENTS_REMEMBERED:]
    whole = Environment(name=first.name or told.name, id=first.id or told.id)
    others = {environment for environment in known if environment is not first and _within(environment, whole)}
    return tuple(whole if environment is first else environment for environment in known if environment not in others)


def _same(one: Environment, other: Environment) -> bool:
    """Whether they agree on a part, and nothing speaks against it."""
    parts = ((one.id, other.id), (one.name, other.name))
    return any(mine and mine == theirs for mine, theirs in parts) and all(
        mine == theirs or not (mine and theirs) for mine, theirs in parts
    )


def _within(part: Environment, whole: Environment) -> bool:
    return part.name in {"", whole.name} and part.id in {"", whole.id}


def _headers(known: Mapping[str, tuple[str, ...]], told: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    headers = dict(known)
    for name, value in told.items():
        values = headers.get(name, ())
        if value not in values and (name in headers or len(headers) < HEADERS_REMEMBERED):
            headers[name] = (*values, value)[-HEADERS_REMEMBERED:]
    return headers


def _integrations(known: tuple[str, ...], told: str) -> tuple[str, ...]:
    return known if told in known else (*known, told)[-INTEGRATIONS_REMEMBERED:]


def _comments(known: tuple[tuple[str, float], ...], share: Share) -> tuple[tuple[str, float], ...]:
    if not share.comment:
        return known
    told = (comment_hash(share.comment), comment_time(share))
    return known if told in known else (*known, told)[-COMMENTS_REMEMBERED:]


def _worst_told(share: Share) -> State:
    """The worst that a share tells: of the incident; without a severity, also of any of its alerts, over or not."""
    blocks = share.blocks
    alerts = [*(blocks.get("alerts") or ()), *(value for name, value in blocks.items() if name.startswith(_ALERT))]
    severity = blocks.get("severity")
    words = [severity, (blocks.get("state") or {}).get("status")]
    if severity is None:
        words += [alert["status"] for alert in alerts]
    return max((parse_state(word) for word in words if word), key=lambda state: state.rank, default=State.RESOLVED)


def _titled(base: Record, folded: Record) -> Record:
    """The first share's title stays; only one that somebody wrote may still replace it, once, and any a stopgap."""
    found, written = derive_title(read_incident(folded))
    stopgap = not base.title or base.title == placeholder_title(base.incident)
    if stopgap or (base.title_provisional and written):
        return replace(folded, title=found, title_provisional=not written)
    return folded


def placeholder_title(incident: str) -> str:
    """The title of an incident of which nothing is known yet but its id."""
    return f"Incident {incident}"


def stub_record(record: Record) -> Record:
    """What outlives retention: enough to know the incident again, should it come back."""
    kept: dict[str, JSON] = {
        name: record.blocks[name] for name in ("state", "ended", "started") if name in record.blocks
    }
    return replace(record, blocks=kept, headers={}, comments=record.comments[-COMMENTS_REMEMBERED:], pending_actions=())
