"""Dataclasses to rows and back. Pure: a value comes back as it was.

JSON columns are text here, so that both databases store the same.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
import orjson

from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.cards.bulletins import Bulletin, BulletinKind, BulletinLine, LineEnd
from relay.cards.holds import HeldPing, Hold, Reason
from relay.cards.milestones import Milestones
from relay.cards.model import (
    Attempt,
    AttemptState,
    Broadcast,
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
from relay.model.struct import Struct, plain
from relay.model.tag_labels import TagDefinition
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.store.types import (
    QuarantinedBody,
    RecordedDeadLetter,
    ShareBody,
    ShareSummary,
    SlackCall,
    StoredConfiguration,
)

Row: TypeAlias = Mapping[Any, Any]
"""A row: plain values by the names of their columns."""


def dumps(value: JSON) -> str:
    """JSON as text. It escapes NUL, which PostgreSQL does not accept."""
    return orjson.dumps(value).decode()


loads = orjson.loads


def compress(body: bytes) -> bytes:
    """Compress a body. Level 1 takes half the time of the default level, and saves nearly as much."""
    return zlib.compress(body, 1)


def _plain(of: type[Struct], *converted: str) -> tuple[str, ...]:
    """The fields of a struct that are stored as they are; the `converted` ones are not."""
    return tuple(name for name in of.__struct_fields__ if name not in converted)


def _fields(value: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _columns(row: Row, names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def record_text(record: Record) -> str:
    """Write a record as JSON."""
    return msgspec.json.encode(record).decode()


def to_record(text: str) -> Record:
    """Undo `record_text`."""
    record = loads(text)
    return Record(
        **record
        | {
            "blocks": {name: Block(**block) for name, block in record["blocks"].items()},
            "environments": tuple(Environment(**each) for each in record["environments"]),
            "headers": {name: tuple(values) for name, values in record["headers"].items()},
            "environment": record["environment"] and Environment(**record["environment"]),
            "sender": record["sender"] and Person(**record["sender"]),
            "worst": State(record["worst"]),
            "comments": tuple(map(tuple, record["comments"])),
            "integrations": tuple(record["integrations"]),
            "pending_actions": tuple(PendingAction(**action) for action in record["pending_actions"]),
            "episodes": tuple(map(tuple, record["episodes"])),
            "shadows": tuple(map(tuple, record.get("shadows", ()))),
        }
    )


_KEPT_CHARACTERS = 64_000
_recent: deque[tuple[str, Record]] = deque(maxlen=8)
"""The records that were written or read last, without the large ones. The transactions of a share read its record again
and again; and what the same object says is not read twice (`relay.model.reading`)."""


def _keep(text: str, record: Record) -> None:
    if len(text) <= _KEPT_CHARACTERS:
        _recent.append((text, record))


def _recent_record(text: str) -> Record:
    for known, record in tuple(_recent):
        if known == text:
            return record
    record = to_record(text)
    _keep(text, record)
    return record


_INCIDENT = _plain(IncidentState, "record", "state", "milestones")
_MILESTONES = _plain(Milestones)


def incident_row(state: IncidentState) -> dict[str, Any]:
    """The row of an incident."""
    text = record_text(state.record)
    _keep(text, state.record)
    record = {"id": state.record.incident, "state": state.state, "record": text}
    return {**_fields(state, _INCIDENT), **_fields(state.milestones, _MILESTONES), **record, "stub": False}


def to_incident_state(row: Row) -> IncidentState:
    """Undo `incident_row`."""
    return IncidentState(
        **_columns(row, _INCIDENT),
        state=State(row["state"]),
        milestones=Milestones(**_columns(row, _MILESTONES)),
        record=_recent_record(row["record"]),
    )


_SHARE = ("incident", "hash", "received")


def share_row(share: ReceivedShare, times_seen: int, plan_due: float) -> dict[str, Any]:
    """The row of a share that is not planned yet, without its id."""
    return {
        **_fields(share, _SHARE),
        "times_seen": times_seen,
        "headers": dumps(share.headers),
        "size": len(share.body),
        "body": compress(share.body),
        "routes": "[]",
        "decision": "{}",
        "plan_due": plan_due,
        "plan_starts": 0,
        "plan_tries": 0,
        "plan_error": "",
        "plan_failed_by": "",
    }


def to_received_share(row: Row) -> ReceivedShare:
    """Undo `share_row`."""
    return ReceivedShare(**_columns(row, _SHARE), headers=loads(row["headers"]), body=zlib.decompress(row["body"]))


def planned_columns(share: Share, plan: Plan, now: float) -> dict[str, Any]:
    """The columns that say what was decided about a share."""
    return {
        "planned_at": now,
        "as_of": share.as_of,
        "outcome": plan.outcome,
        "routes": dumps(plan.routes),
        "decision": dumps(plan.decision),
        "plan_due": None,
        "plan_error": "",
    }


def to_share_summary(row: Row) -> ShareSummary:
    """Read a share without its body."""
    return ShareSummary(
        **_columns(row, ("id", "hash", "as_of", "received", "times_seen", "size")),
        headers=loads(row["headers"]),
        outcome=row["outcome"] and ShareOutcome(row["outcome"]),
        routes=tuple(loads(row["routes"])),
        decision=loads(row["decision"]),
        error=row["plan_error"],
    )


def to_share_body(row: Row) -> ShareBody:
    """Read a share as it was sent."""
    return ShareBody(
        id=row["id"], received=row["received"], headers=loads(row["headers"]), body=zlib.decompress(row["body"])
    )


_ENTRY = _plain(Entry, "data")


def entry_row(incident: str, entry: Entry) -> dict[str, Any]:
    """The row of an entry."""
    return {"incident": incident, **_fields(entry, _ENTRY), "data": dumps(entry.data)}


def to_entry(row: Row) -> Entry:
    """Undo `entry_row`."""
    return Entry(**_columns(row, _ENTRY) | {"kind": EntryKind(row["kind"])}, data=loads(row["data"]))


_CARD = _plain(
    Card,
    "id",
    "incident",
    "pinged",
    "notices",
    "reposted_at",
    "broadcasts",
    "previous",
    "options",
    "mention",
    "held",
    "held_pings",
    "post",
    "edit",
)


def card_row(card: Card) -> dict[str, Any]:
    """The row of a card, without its id. A superseded card has no work, whatever it says."""
    return {
        **_fields(card, _CARD),
        "incident": card.incident or None,
        "pinged": dumps(card.pinged),
        "notices": dumps([notice.as_json() for notice in card.notices]),
        "reposted_at": dumps(card.reposted_at),
        "broadcasts": dumps([plain(broadcast) for broadcast in card.broadcasts]),
        "previous": card.previous and dumps([card.previous.at, card.previous.channel, card.previous.ts]),
        "options": _options_text(card.options),
        "mention": dumps(card.mention.as_json()),
        "held_by": card.held and card.held.reason,
        "held_until": card.held and card.held.until,
        "held_pings": dumps([each.as_json() for each in card.held_pings]) if card.held_pings else None,
        **_due_columns("post", card, card.post),
        **_due_columns("edit", card, card.edit),
    }


def to_card(row: Row) -> Card:
    """Undo `card_row`."""
    plain = _columns(row, _CARD)
    plain["state"] = CardState(row["state"])
    plain["worst"] = row["worst"] and State(row["worst"])
    plain["episode_worst"] = row["episode_worst"] and State(row["episode_worst"])
    return Card(
        **plain,
        id=row["id"],
        incident=row["incident"] or "",
        pinged=tuple(loads(row["pinged"])),
        notices=tuple(Notice.from_json(each) for each in loads(row["notices"])),
        reposted_at=tuple(loads(row["reposted_at"])),
        broadcasts=tuple(map(_broadcast, loads(row["broadcasts"]))),
        previous=_previous_card(row["previous"]),
        options=_options(row["options"]),
        mention=_mention(row["mention"]),
        held=Hold(reason=Reason(row["held_by"]), until=row["held_until"]) if row["held_by"] else None,
        held_pings=tuple(map(HeldPing.from_json, loads(row["held_pings"] or "[]"))),
        post=_due("post", row),
        edit=_due("edit", row),
    )


# There are as many different options as routes, and as many cards as incidents: each is read and written once for all.


@lru_cache(maxsize=4096)
def _options_text(options: Options) -> str:
    return dumps(options.as_json())


@lru_cache(maxsize=4096)
def _options(text: str) -> Options:
    return Options.from_json(loads(text))


@lru_cache(maxsize=4096)
def _mention(text: str) -> Mention:
    return Mention.from_json(loads(text))


def _broadcast(stored: Mapping[str, JSON]) -> Broadcast:
    became = stored["became"] and State(stored["became"])
    return Broadcast(**{**stored, "kind": EntryKind(stored["kind"]), "became": became})


def _previous_card(text: str | None) -> PreviousCard | None:
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
    """The columns of work (`post` or `edit`) of a card that has none."""
    return {f"{work}_due": None, f"{work}_deadline": None, f"{work}_since": None, f"{work}_urgent": False}


def _due(work: str, row: Row) -> Due | None:
    if (at := row[f"{work}_due"]) is None:
        return None
    return Due(at=at, deadline=row[f"{work}_deadline"], urgent=row[f"{work}_urgent"])


_ATTEMPT = _plain(Attempt, "targets", "data")


def attempt_row(card: int, attempt: Attempt) -> dict[str, Any]:
    """The row of an attempt, without its id."""
    data = {"targets": dumps(attempt.targets), "data": dumps(attempt.data)}
    return {"card": card, **_fields(attempt, _ATTEMPT), **data}


def to_attempt(row: Row) -> Attempt:
    """Undo `attempt_row`."""
    plain = _columns(row, _ATTEMPT) | {"state": AttemptState(row["state"])}
    return Attempt(**plain, targets=tuple(loads(row["targets"])), data=loads(row["data"]))


_BULLETIN = _plain(Bulletin, "id", "data", "mention", "options")


def bulletin_row(bulletin: Bulletin) -> dict[str, Any]:
    """The row of a bulletin, without its id; its card has the rest."""
    return {**_fields(bulletin, _BULLETIN), "data": dumps(bulletin.data)}


def to_bulletin(row: Row) -> Bulletin:
    """Undo `bulletin_row`."""
    plain = _columns(row, ("id", *_BULLETIN)) | {"kind": BulletinKind(row["kind"])}
    return Bulletin(**plain, data=loads(row["data"]))


_LINE = _plain(BulletinLine, "kind", "data")


def bulletin_line_row(bulletin: int, line: BulletinLine) -> dict[str, Any]:
    """The row of a line, without the card that shows it."""
    return {"bulletin": bulletin, **_fields(line, _LINE), "data": dumps(line.data)}


def to_bulletin_line(row: Row) -> BulletinLine:
    """Undo `bulletin_line_row`."""
    plain = _columns(row, _LINE) | {"state": State(row["state"]), "ended": row["ended"] and LineEnd(row["ended"])}
    return BulletinLine(**plain, data=loads(row["data"]))


_TASK = _plain(Task, "id", "payload")


def task_row(task: Task) -> dict[str, Any]:
    """The row of a task, without its id."""
    return {**_fields(task, _TASK), "payload": dumps(task.payload)}


def to_task(row: Row) -> Task:
    """Undo `task_row`."""
    plain = _columns(row, ("id", *_TASK)) | {"kind": TaskKind(row["kind"]), "state": AttemptState(row["state"])}
    return Task(**plain, payload=loads(row["payload"]))


def tag_definition_row(definition: TagDefinition, now: float) -> dict[str, Any]:
    """The row of a tag definition."""
    data = {"id": definition.id, "name": definition.name, "ranks": dict(definition.ranks)}
    return {"id": definition.id.casefold(), "data": dumps(data), "fetched_at": now}


def to_tag_definition(row: Row) -> TagDefinition:
    """Undo `tag_definition_row`."""
    return TagDefinition(**loads(row["data"]))


_CHANNEL = _plain(Channel, "facts")


def channel_row(channel: Channel) -> dict[str, Any]:
    """The row of a channel."""
    return {**_fields(channel, _CHANNEL), "facts": dumps(channel.facts)}


def to_channel(row: Row) -> Channel:
    """Undo `channel_row`."""
    return Channel(**_columns(row, _CHANNEL) | {"state": ChannelState(row["state"])}, facts=loads(row["facts"]))


def call_row(card: int, call: SlackCall) -> dict[str, Any]:
    """The row of a call, without its id."""
    return {"card": card, "method": call.method, "at": call.at, "answer": dumps(call.answer)}


def to_call(row: Row) -> SlackCall:
    """Undo `call_row`."""
    return SlackCall(method=row["method"], at=row["at"], answer=loads(row["answer"]))


def to_dead_letter(row: Row) -> RecordedDeadLetter:
    """Read a dead letter."""
    names = ("id", "card", "reason", "remedy", "since", "closed_at", "discard_reason")
    unreported = None if row["upto_seq"] is None else (row["after_seq"], row["upto_seq"])
    return RecordedDeadLetter(**_columns(row, names), unreported=unreported)


def to_quarantined_body(row: Row, body: bytes = b"") -> QuarantinedBody:
    """Read a body in quarantine; `body` is the stored one, if its bytes are needed."""
    return QuarantinedBody(
        **_columns(row, ("id", "received", "reason", "size")),
        headers=loads(row["headers"]),
        body=zlib.decompress(body) if body else b"",
    )


def to_configuration(row: Row) -> StoredConfiguration:
    """Read a configuration."""
    return StoredConfiguration(**_columns(row, ("hash", "saved_at", "routes")), templates=loads(row["templates"]))
