"""Rows to nouns and back. Pure: what a row holds is what was written, and a noun comes back as it went.

JSON columns are text here, so that both databases keep the same.
"""

import zlib
from dataclasses import asdict
from functools import lru_cache
from typing import Any, Protocol

import orjson

from relay.bigpanda.webhook.share import Share
from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardState,
    Channel,
    ChannelState,
    Due,
    Entry,
    IncidentState,
    Plan,
    PreviousCard,
    ShareOutcome,
    Task,
    TaskKind,
)
from relay.cards.notices import Notice
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Environment, Person, State
from relay.model.json_types import JSON
from relay.model.record import Block, PendingAction, Record
from relay.model.tag_labels import TagDefinition
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.store.types import QuarantinedBody, ShareBody, ShareSummary, SlackCall, StoredConfiguration


class Row(Protocol):
    """A row as it was read: plain values by the names of their columns."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


def dumps(value: JSON) -> str:
    """JSON as text: any NUL is escaped, so that PostgreSQL takes it."""
    return orjson.dumps(value).decode()


loads = orjson.loads


def packed(body: bytes) -> bytes:
    """A body as it is kept. Level 1 halves the time of the default level, and costs a tenth of what it saves."""
    return zlib.compress(body, 1)


unpacked = zlib.decompress


def record_text(record: Record) -> str:
    """A record as JSON."""
    return dumps(
        {
            "incident": record.incident,
            "blocks": {name: [block.as_of, block.value] for name, block in record.blocks.items()},
            "environments": [[each.name, each.id] for each in record.environments],
            "headers": {name: list(values) for name, values in record.headers.items()},
            "title": record.title,
            "title_provisional": record.title_provisional,
            "environment": record.environment and [record.environment.name, record.environment.id],
            "sender": record.sender and [record.sender.name, record.sender.email, record.sender.id],
            "first_received": record.first_received,
            "worst": record.worst,
            "comments": record.comments,
            "integrations": record.integrations,
            "environment_id": record.environment_id,
            "pending_actions": [asdict(deed) for deed in record.pending_actions],
            "episodes": record.episodes,
        }
    )


def record_of(text: str) -> Record:
    """Undo `record_text`."""
    kept = loads(text)
    return Record(
        incident=kept["incident"],
        blocks={name: Block(as_of=news, value=value) for name, (news, value) in kept["blocks"].items()},
        environments=tuple(_environment(each) for each in kept["environments"]),
        headers={name: tuple(values) for name, values in kept["headers"].items()},
        title=kept["title"],
        title_provisional=kept["title_provisional"],
        environment=_environment(kept["environment"]) if kept["environment"] else None,
        sender=_person(kept["sender"]) if kept["sender"] else None,
        first_received=kept["first_received"],
        worst=State(kept.get("worst", State.RESOLVED)),
        comments=tuple((digest, at) for digest, at in kept["comments"]),
        integrations=tuple(kept.get("integrations", ())),
        environment_id=kept.get("environment_id", ""),
        pending_actions=tuple(PendingAction(**deed) for deed in kept.get("pending_actions", ())),
        episodes=tuple((number, began) for number, began in kept.get("episodes", ())),
    )


def _environment(kept: list[str]) -> Environment:
    name, identity = kept
    return Environment(name=name, id=identity)


def _person(kept: list[str]) -> Person:
    name, email, identity = kept
    return Person(name=name, email=email, id=identity)


def story_row(story: IncidentState) -> dict[str, Any]:
    """An incident's row."""
    return {
        "id": story.record.incident,
        "version": story.version,
        "episode": story.episode,
        "ended_at": story.ended_at,
        "next_seq": story.next_seq,
        "last_share_at": story.last_share_at,
        "stale_at": story.stale_at,
        "stub": False,
        "record": record_text(story.record),
    }


def story_of(row: Row) -> IncidentState:
    """Undo `story_row`."""
    return IncidentState(
        record=record_of(row["record"]),
        version=row["version"],
        episode=row["episode"],
        ended_at=row["ended_at"],
        next_seq=row["next_seq"],
        last_share_at=row["last_share_at"],
        stale_at=row["stale_at"],
    )


def share_row(share: Share, plan: Plan, times_seen: int) -> dict[str, Any]:
    """A share's row, with what was decided about it."""
    return {
        "incident": share.incident,
        "hash": share.hash,
        "as_of": share.as_of,
        "received": share.received,
        "times_seen": times_seen,
        "outcome": plan.outcome,
        "routes": dumps(plan.routes),
        "decision": dumps(plan.decision),
        "headers": dumps(share.headers),
        "size": len(share.body),
        "body": packed(share.body),
    }


def share_line_of(row: Row) -> ShareSummary:
    """A share's row as it is listed."""
    return ShareSummary(
        id=row["id"],
        hash=row["hash"],
        as_of=row["as_of"],
        received=row["received"],
        headers=loads(row["headers"]),
        times_seen=row["times_seen"],
        outcome=ShareOutcome(row["outcome"]),
        routes=tuple(loads(row["routes"])),
        decision=loads(row["decision"]),
        size=row["size"],
    )


def share_body_of(row: Row) -> ShareBody:
    """A share's row as it was sent."""
    return ShareBody(id=row["id"], received=row["received"], headers=loads(row["headers"]), body=unpacked(row["body"]))


def entry_row(incident: str, entry: Entry) -> dict[str, Any]:
    """An entry's row."""
    return {
        "incident": incident,
        "seq": entry.seq,
        "key": entry.key,
        "kind": entry.kind,
        "at": entry.at,
        "data": dumps(entry.data),
    }


def entry_of(row: Row) -> Entry:
    """Undo `entry_row`."""
    return Entry(seq=row["seq"], key=row["key"], kind=EntryKind(row["kind"]), at=row["at"], data=loads(row["data"]))


def card_row(card: Card) -> dict[str, Any]:
    """A card's row, but for its number. A card that is followed no more has no work, whatever it still says."""
    return {
        **{name: getattr(card, name) for name in _CARD_AS_IS},
        "pinged": dumps(card.pinged),
        "notices": dumps([notice.as_json() for notice in card.notices]),
        "reposted_at": dumps(card.reposted_at),
        "previous": card.previous and dumps([card.previous.at, card.previous.channel, card.previous.ts]),
        "options": _options_text(card.options),
        "mention": dumps(card.mention.as_json()),
        **_due_columns("post", card, card.post),
        **_due_columns("edit", card, card.edit),
    }


_CARD_AS_IS = (
    "incident",
    "channel",
    "episode",
    "state",
    "reason",
    "route",
    "matched",
    "first_matched_at",
    "generation",
    "ts",
    "slack_channel",
    "shown_hash",
    "reported_seq",
    "root_seq",
    "worst",
    "episode_worst",
    "shown_ended_at",
    "reopening_reported_at",
    "reopening_pinged_at",
    "edited_at",
    "edit_in_doubt_until",
    "pending_since",
    "tries",
)


def card_of(row: Row) -> Card:
    """Undo `card_row`."""
    plain = {name: row[name] for name in _CARD_AS_IS}
    plain["state"] = CardState(row["state"])
    plain["worst"] = row["worst"] and State(row["worst"])
    plain["episode_worst"] = row["episode_worst"] and State(row["episode_worst"])
    return Card(
        **plain,
        id=row["id"],
        pinged=tuple(loads(row["pinged"])),
        notices=tuple(Notice.from_json(each) for each in loads(row["notices"])),
        reposted_at=tuple(loads(row["reposted_at"])),
        previous=_previous(row["previous"]),
        options=_options_of(row["options"]),
        mention=_mention_of(row["mention"]),
        post=_due("post", row),
        edit=_due("edit", row),
    )


# There are as many options as routes and as many cards as incidents, so each is read and written once for all of them.


@lru_cache(maxsize=4096)
def _options_text(options: Options) -> str:
    return dumps(options.as_json())


@lru_cache(maxsize=4096)
def _options_of(text: str) -> Options:
    return Options.from_json(loads(text))


@lru_cache(maxsize=4096)
def _mention_of(text: str) -> Mention:
    return Mention.from_json(loads(text))


def _previous(text: str | None) -> PreviousCard | None:
    if text is None:
        return None
    at, channel, ts = loads(text)
    return PreviousCard(at=at, channel=channel, ts=ts)


def _due_columns(work: str, card: Card, due: Due | None) -> dict[str, Any]:
    if due is None or not card.is_current:
        return no_work(work)
    return {
        f"{work}_due": due.at,
        f"{work}_deadline": due.deadline,
        f"{work}_since": due.at if card.pending_since is None else card.pending_since,
        f"{work}_urgent": due.urgent,
    }


def no_work(work: str) -> dict[str, Any]:
    """The columns of work (`post`, `edit`) that is not due."""
    return {f"{work}_due": None, f"{work}_deadline": None, f"{work}_since": None, f"{work}_urgent": False}


def _due(work: str, row: Row) -> Due | None:
    if (at := row[f"{work}_due"]) is None:
        return None
    return Due(at=at, deadline=row[f"{work}_deadline"], urgent=row[f"{work}_urgent"])


_ATTEMPT_AS_IS = ("key", "kind", "generation", "upto_seq", "started_at", "state", "tries", "searches", "next_search_at")


def attempt_row(card: int, attempt: Attempt) -> dict[str, Any]:
    """An attempt's row, but for its number."""
    return {
        "card": card,
        **{name: getattr(attempt, name) for name in _ATTEMPT_AS_IS},
        "targets": dumps(attempt.targets),
        "data": dumps(attempt.data),
    }


def attempt_of(row: Row) -> Attempt:
    """Undo `attempt_row`."""
    plain = {name: row[name] for name in _ATTEMPT_AS_IS}
    plain["state"] = AttemptState(row["state"])
    return Attempt(**plain, targets=tuple(loads(row["targets"])), data=loads(row["data"]))


def errand_row(errand: Task) -> dict[str, Any]:
    """An errand's row, but for its number."""
    plain = ("key", "kind", "incident", "created", "state", "reason", "due_at", "tries")
    return {**{name: getattr(errand, name) for name in plain}, "payload": dumps(errand.payload)}


def errand_of(row: Row) -> Task:
    """Undo `errand_row`."""
    return Task(
        id=row["id"],
        key=row["key"],
        kind=TaskKind(row["kind"]),
        incident=row["incident"],
        created=row["created"],
        payload=loads(row["payload"]),
        state=AttemptState(row["state"]),
        reason=row["reason"],
        due_at=row["due_at"],
        tries=row["tries"],
    )


def definition_row(definition: TagDefinition, now: float) -> dict[str, Any]:
    """A definition's row."""
    data = {"id": definition.id, "name": definition.name, "ranks": dict(definition.ranks)}
    return {"id": definition.id.casefold(), "data": dumps(data), "fetched_at": now}


def definition_of(row: Row) -> TagDefinition:
    """Undo `definition_row`."""
    return TagDefinition(**loads(row["data"]))


def channel_row(channel: Channel) -> dict[str, Any]:
    """A channel's row."""
    return {
        "ref": channel.ref,
        "slack_id": channel.slack_id,
        "canonical_ref": channel.canonical_ref,
        "facts": dumps(channel.facts),
        "state": channel.state,
        "reason": channel.reason,
        "retry_at": channel.retry_at,
    }


def channel_of(row: Row) -> Channel:
    """Undo `channel_row`."""
    return Channel(
        ref=row["ref"],
        slack_id=row["slack_id"],
        canonical_ref=row["canonical_ref"],
        facts=loads(row["facts"]),
        state=ChannelState(row["state"]),
        reason=row["reason"],
        retry_at=row["retry_at"],
    )


def call_row(card: int, call: SlackCall) -> dict[str, Any]:
    """A call's row, but for its number."""
    return {"card": card, "method": call.method, "at": call.at, "answer": dumps(call.answer)}


def call_of(row: Row) -> SlackCall:
    """Undo `call_row`."""
    return SlackCall(method=row["method"], at=row["at"], answer=loads(row["answer"]))


def quarantined_of(row: Row, body: bytes = b"") -> QuarantinedBody:
    """The refused body that a row holds; `body` is how it is kept, where it is wanted."""
    return QuarantinedBody(
        id=row["id"],
        received=row["received"],
        reason=row["reason"],
        headers=loads(row["headers"]),
        size=row["size"],
        body=unpacked(body) if body else b"",
    )


def configuration_of(row: Row) -> StoredConfiguration:
    """The configuration that a row holds."""
    return StoredConfiguration(
        hash=row["hash"], saved_at=row["saved_at"], routes=row["routes"], templates=loads(row["templates"])
    )
