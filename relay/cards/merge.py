"""Compute the record after a share: the newest value of each block wins, and some blocks accumulate.

Merging is idempotent. Blocks come out the same in whatever order shares arrive, except where two have the same
`as_of`. Title, environment and sender are the first arrival's on purpose: people recognise a card by them.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import TypeVar

from relay.bigpanda.webhook.parsing import MAX_BIGPANDA_SKEW
from relay.bigpanda.webhook.share import Share
from relay.model.bounds import (
    COMMENTS_REMEMBERED,
    ENVIRONMENTS_REMEMBERED,
    EPISODES_REMEMBERED,
    HEADER_VALUES_REMEMBERED,
    HEADERS_REMEMBERED,
    INTEGRATIONS_REMEMBERED,
    LONGEST_VALUE,
    MAX_SINGLE_ALERTS,
    alert_state,
    bound_text,
)
from relay.model.incident import SEVERITY_WORDS, Environment, State, parse_state, worst_of
from relay.model.json_types import JSON
from relay.model.reading import derive_title, may_have_written_title, placeholder_title, read_incident
from relay.model.record import ALERT_PREFIX, Block, Record, merge_alert, reports_resolved
from relay.model.struct import replace

REPEAT_WINDOW = 600.0
"""Seconds within which the same text is the same comment, sent again."""

T = TypeVar("T")


def merge_share(record: Record | None, share: Share, *, newest: float = inf) -> Record:
    """The record after this share; `record` is None for an incident's first. `newest` is when its newest share came."""
    base = record or Record(
        incident=share.incident,
        environment=share.environment,
        sender=share.sender,
        first_received=share.received,
    )
    comments = base.comments
    if share.comment:
        comments = _remember(comments, (comment_hash(share.comment), comment_time(share)), COMMENTS_REMEMBERED)
    merged = replace(
        base,
        blocks=_merge_blocks(base.blocks, share, newest + MAX_BIGPANDA_SKEW),
        environments=_merge_environments(base.environments, share.environments),
        headers=_merge_headers(base.headers, share.headers),
        environment=base.environment or share.environment,
        sender=base.sender or share.sender,
        comments=comments,
        first_received=base.first_received or share.received,
        worst=worst_of(base.worst, _worst_reported(share)),
        integrations=_remember(base.integrations, share.integration, INTEGRATIONS_REMEMBERED),
        environment_id=(share.environment.id if share.environment else "") or base.environment_id,
    )
    if record is not None and (assignee := _assignee(merged)) != _assignee(record):
        merged = replace(merged, assigned_since=merged.blocks["assignment"].as_of if assignee else None)
    return _with_title(merged, base)


def _with_title(merged: Record, base: Record) -> Record:
    """The first share's title stays, except for a placeholder or, once, a provisional one where one is written now."""
    has_none = base.title in {"", placeholder_title(base.incident)}
    if not has_none and not (base.title_provisional and may_have_written_title(merged)):
        return merged
    title, written = derive_title(read_incident(merged))
    if not has_none and not written:
        return merged
    return replace(merged, title=bound_text(title, LONGEST_VALUE), title_provisional=not written)


def begin_episode(record: Record, episode: int, as_of: float) -> Record:
    """The record with a later episode, which began at that moment."""
    return replace(record, episodes=(*record.episodes, (episode, as_of))[-EPISODES_REMEMBERED:])


def comment_hash(text: str) -> str:
    """The hash by which a comment's text is remembered."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def comment_time(share: Share) -> float:
    """When the comment was made. It has no time of its own, so: its event's, else the incident's last change."""
    events = [event.at for event in share.events if event.at is not None and event.name.endswith("commented")]
    if events:
        return max(events)
    changed = share.blocks.get("changed")
    return float(changed) if changed is not None else share.as_of


def is_new_comment(record: Record | None, share: Share) -> bool:
    """Whether the share has a comment that no share had before."""
    if not share.comment:
        return False
    digest, at = comment_hash(share.comment), comment_time(share)
    known = record.comments if record else ()
    return not any(each == digest and abs(when - at) <= REPEAT_WINDOW for each, when in known)


def stub_record(record: Record) -> Record:
    """What retention keeps: enough to recognise the incident if it comes back."""
    kept = {name: record.blocks[name] for name in ("state", "ended", "started") if name in record.blocks}
    return replace(
        record,
        blocks=kept,
        headers={},
        comments=record.comments[-COMMENTS_REMEMBERED:],
        pending_actions=(),
        assigned_since=None,
    )


def _assignee(record: Record) -> JSON:
    """Whom the incident is assigned to."""
    return (record.value("assignment") or {}).get("assignee")


def _remember(known: tuple[T, ...], value: T, most: int) -> tuple[T, ...]:
    return known if value in known else (*known, value)[-most:]


def _merge_blocks(known: Mapping[str, Block], share: Share, latest: float) -> dict[str, Block]:
    """The blocks after this share.

    One that is later than `latest` was reported before a clock was set back: it must not hide all shares until then.
    """
    blocks, reported = dict(known), share.blocks
    state = reported.get("state")
    if state is not None and not reports_resolved(state):
        reported = {**reported, "ended": None}  # an open incident has not ended, though it may have ended before

    def hides(as_of: float) -> bool:
        return share.as_of < as_of <= latest

    for name, new in reported.items():
        is_alert, before = name.startswith(ALERT_PREFIX), blocks.get(name)
        whole = blocks.get("alerts") if is_alert else None  # the whole list also says what a single alert is
        if (before is not None and hides(before.as_of)) or (whole is not None and hides(whole.as_of)):
            continue
        value = merge_alert(before.value, new) if before and is_alert else new
        # An unchanged value stays the same object, so that what was read from it need not be read again.
        omitted = before.omitted if before and is_alert else share.omitted.get(name)
        blocks[name] = Block(
            as_of=share.as_of, value=before.value if before and before.value == value else value, omitted=omitted
        )
        if name == "alerts":  # it replaces the alerts that were reported on their own up to then
            replaced = [each for each in blocks if each.startswith(ALERT_PREFIX) and blocks[each].as_of <= share.as_of]
            for each in replaced:
                del blocks[each]
    return _bound_single_alerts(blocks)


def _bound_single_alerts(blocks: dict[str, Block]) -> dict[str, Block]:
    """The blocks with the newest of the alerts that were reported one by one; one of them counts the older ones."""
    singles = sorted((name for name in blocks if name.startswith(ALERT_PREFIX)), key=lambda name: blocks[name].as_of)
    older, kept = singles[:-MAX_SINGLE_ALERTS], singles[-MAX_SINGLE_ALERTS:]
    if older:
        counts: Counter[str] = Counter(blocks[kept[0]].omitted or {})
        for name in older:
            counts.update(blocks[name].omitted or {})
            counts[str(alert_state(blocks[name].value))] += 1
            del blocks[name]
        blocks[kept[0]] = replace(blocks[kept[0]], omitted=dict(counts))
    return blocks


def _merge_environments(known: tuple[Environment, ...], reported: Sequence[Environment]) -> tuple[Environment, ...]:
    """Every environment the incident was ever shared from, once each. A share may complete one that is known in part.

    A renamed environment is there under both names, so that a route to either matches.
    """
    for each in reported:
        known = _with_environment(known, each)
    return known


def _with_environment(known: tuple[Environment, ...], reported: Environment) -> tuple[Environment, ...]:
    first = next((each for each in known if _may_be_same(each, reported)), None)
    if first is None:
        return (*known, reported)[-ENVIRONMENTS_REMEMBERED:]
    whole = Environment(name=first.name or reported.name, id=first.id or reported.id)
    parts = {
        each for each in known if each is not first and each.name in {"", whole.name} and each.id in {"", whole.id}
    }
    return tuple(whole if each is first else each for each in known if each not in parts)


def _may_be_same(one: Environment, other: Environment) -> bool:
    """Whether they agree on one field, and do not contradict each other on the other one."""
    fields = ((one.id, other.id), (one.name, other.name))
    return any(mine and mine == theirs for mine, theirs in fields) and all(
        mine == theirs or not (mine and theirs) for mine, theirs in fields
    )


def _merge_headers(known: Mapping[str, tuple[str, ...]], reported: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    headers = dict(known)
    for name, value in reported.items():
        if sum(map(len, headers.values())) >= HEADER_VALUES_REMEMBERED:
            break
        if name in headers or len(headers) < HEADERS_REMEMBERED:
            headers[name] = _remember(headers.get(name, ()), value, HEADERS_REMEMBERED)
    return headers


def _worst_reported(share: Share) -> State:
    """The worst state that a share reports of the incident.

    Where it reports no severity, its alerts say it too. Active ones do not if BigPanda gives the worst state of the
    alerts that count.
    """
    blocks = share.blocks
    severity, status = blocks.get("severity"), (blocks.get("state") or {}).get("status")
    statuses = [severity, status]
    if severity is None:
        counted = (status or "").strip().casefold() not in SEVERITY_WORDS
        alerts = [*(blocks.get("alerts") or ()), *(blocks[name] for name in blocks if name.startswith(ALERT_PREFIX))]
        statuses += [alert["status"] for alert in alerts if counted or alert["active"] is False]
    return worst_of(State.RESOLVED, *(parse_state(status) for status in statuses if status))
