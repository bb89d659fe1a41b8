"""The tables. What must always hold is written down as constraints of the database.

    share ............ every share that was accepted, once per incident and hash; not planned: in the inbox
    incident ......... what all its shares say together, and its counters
    entry ............ one thing that happened to an incident
    channel .......... a reference to a Slack channel (an id or a #name), and what Slack says about it
    bulletin ......... a message that is about no single incident, such as the list of what is held
    bulletin_line .... one incident that a bulletin names
    card ............. the root message of one episode in one channel, or of a bulletin; posted or pending
    attempt .......... one try to post a root message or a reply
    call ............. what Slack answered
    dead_letter ...... what Slack rejected for good, with the remedy
    lease ............ which relay delivers
    bigpanda_task .... what relay has to tell or ask BigPanda
    configuration .... routes and templates that worked
    notice ........... what relay reports about itself: the open messages
    summary .......... which slots of a summary are done
    mute ............. for a time, some incidents get no new cards and no pings
    quarantine ....... bodies that are no valid shares
    tag_definition ... BigPanda's definitions of tags
    installation ..... one row: the secret of the markers, and the Slack workspace and bot of this database
    health_probe ..... one row, written to check that the database takes writes

Times are Unix seconds. JSON is stored as text: the store reads and writes it whole. `migrations` holds the steps from
one shape of these tables to the next; all steps together make what this module describes.
"""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy import Text as _PlainText

from relay.cards.bulletins import BulletinKind, LineEnd
from relay.cards.model import AttemptState, CardState, ChannelState, ShareOutcome, TaskKind
from relay.cards.summaries import SummaryOutcome
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State

OPEN_ATTEMPT = (AttemptState.IN_FLIGHT, AttemptState.WAITING, AttemptState.IN_DOUBT)
UNPOSTED = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT, CardState.CANCELLED)
"""States of a card whose root message is not in Slack, as far as relay knows."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Text(TypeDecorator[str]):
    """Text that every database can store: the last defence, since text from outside is cleaned where it comes in.

    PostgreSQL stores no NUL, and no driver takes half of a surrogate pair: the row of a card would never be saved.
    """

    impl = _PlainText
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: object) -> str | None:
        """Replace what no database can store by U+FFFD."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return _UNSTORABLE.sub("\ufffd", value)


_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_Id = BigInteger().with_variant(Integer(), "sqlite")  # in SQLite only INTEGER PRIMARY KEY is the row id


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_quoted(values)})", name=column)


def _at_least(least: int, *columns: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"{column} >= {least}", name=column) for column in columns]


_conditions: dict[Index, str] = {}
"""Of partial indexes. As options of each dialect they would load the modules of both, which takes time and memory."""


def _partial_index(name: str, where: str, *columns: ColumnElement[Any], unique: bool = False) -> None:
    _conditions[Index(name, *columns, unique=unique)] = where


@event.listens_for(metadata, "before_create")
def _set_conditions(_metadata: MetaData, connection: Connection, **_options: Any) -> None:
    for index, where in _conditions.items():
        index.dialect_options[connection.dialect.name]["where"] = text(where)


def _due(work: str) -> CheckConstraint:
    """Work has all of its columns or none: when it is due, by when it should be done, since when it waits, urgency."""
    return CheckConstraint(
        f"({work}_due IS NULL) = ({work}_deadline IS NULL) AND ({work}_due IS NULL) = ({work}_since IS NULL) "
        f"AND ({work}_due IS NOT NULL OR NOT {work}_urgent)",
        name=f"{work}_due",
    )


incident = Table(
    "incident",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("ended_at", Double),
    Column("next_seq", Integer, nullable=False),
    Column("last_share_at", Double, nullable=False, index=True),
    Column("stub", Boolean, nullable=False),
    Column("record", Text, nullable=False),
    Column("stale_at", Double),
    Column("state", Text, nullable=False),
    Column("shared_at", Double),
    Column("assigned_at", Double),
    Column("resolved_at", Double),
    _one_of("state", State),
    *_at_least(0, "version"),
    *_at_least(1, "episode", "next_seq"),
)
_ENDED = "ended_at IS NOT NULL AND NOT stub"
IS_ENDED = text(_ENDED)
"""Ended, and not yet reduced to a stub by retention."""
IS_ENDED_INCIDENT = text("incident.ended_at IS NOT NULL AND NOT incident.stub")
"""The same beside other tables."""
_partial_index("ix_incident_ended_at", _ENDED, incident.c.ended_at)
_IS_OPEN_INCIDENT = "ended_at IS NULL"
IS_OPEN_INCIDENT = text(f"incident.{_IS_OPEN_INCIDENT}")
_partial_index(
    "ix_incident_open", _IS_OPEN_INCIDENT, incident.c.state, incident.c.last_share_at.desc(), incident.c.id.desc()
)
_partial_index("ix_incident_stale_at", "stale_at IS NOT NULL", incident.c.stale_at)

share = Table(
    "share",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("incident", Text, nullable=False, index=True),  # its row is made when the share is planned
    Column("hash", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("times_seen", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("planned_at", Double),
    Column("as_of", Double),
    Column("outcome", Text),
    Column("routes", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("plan_due", Double),
    Column("plan_starts", Integer, nullable=False),
    Column("plan_tries", Integer, nullable=False),
    Column("plan_error", Text, nullable=False),
    Column("plan_failed_by", Text, nullable=False),
    UniqueConstraint("hash", "incident"),  # hash first: repeated shares are looked up by hash alone
    *_at_least(1, "times_seen"),
    *_at_least(0, "plan_starts", "plan_tries"),
    _one_of("outcome", ShareOutcome),
    CheckConstraint(
        "(planned_at IS NULL) = (outcome IS NULL) AND (planned_at IS NULL) = (as_of IS NULL)", name="planned"
    ),
    CheckConstraint("planned_at IS NULL OR plan_due IS NULL", name="planned_is_not_due"),
)
Index("ix_share_received", share.c.received, share.c.routes)  # which routes matched is counted along it
_UNPLANNED = "planned_at IS NULL"
IS_UNPLANNED = text(_UNPLANNED)
"""In the inbox. Statements use this very text, as the index does."""
_partial_index("ix_share_unplanned", _UNPLANNED, share.c.incident, share.c.id)
_partial_index("ix_share_plan_due", "plan_due IS NOT NULL", share.c.plan_due)

entry = Table(
    "entry",
    metadata,
    Column("incident", Text, ForeignKey("incident.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("incident", "key"),
    *_at_least(1, "seq"),
    _one_of("kind", EntryKind),
)

channel = Table(
    "channel",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("slack_id", Text),
    Column("canonical_ref", Text, ForeignKey("channel.ref")),
    Column("facts", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("retry_at", Double),
    Column("unread_since", Double),
    _one_of("state", ChannelState),
    CheckConstraint("state <> 'open' OR slack_id IS NOT NULL", name="open_has_slack_id"),
    CheckConstraint("canonical_ref IS NULL OR canonical_ref <> ref", name="canonical_ref_is_another"),
)
_partial_index("uq_channel_slack_id", "canonical_ref IS NULL", channel.c.slack_id, unique=True)
_partial_index("ix_channel_canonical_ref", "canonical_ref IS NOT NULL", channel.c.canonical_ref)

bulletin = Table(
    "bulletin",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("channel", Text, ForeignKey("channel.ref"), nullable=False),
    Column("key", Text, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("next_seq", Integer, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),
    Column("data", Text, nullable=False),
    UniqueConstraint("kind", "channel", "key", "episode"),
    *_at_least(1, "episode", "version", "next_seq"),
    _one_of("kind", BulletinKind),
)
_partial_index("ix_bulletin_closed_at", "closed_at IS NOT NULL", bulletin.c.closed_at)

card = Table(
    "card",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("incident", Text, ForeignKey("incident.id")),
    Column("channel", Text, ForeignKey("channel.ref"), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("matched", Boolean, nullable=False),
    Column("first_matched_at", Double, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("ts", Text),
    Column("slack_channel", Text),
    Column("shown_hash", Text, nullable=False),
    Column("reported_seq", Integer, nullable=False),
    Column("worst", Text),
    Column("episode_worst", Text),
    Column("shown_ended_at", Double),
    Column("pinged", Text, nullable=False),
    Column("reopening_pinged_at", Double),
    Column("previous", Text),
    Column("notices", Text, nullable=False),
    Column("reposted_at", Text, nullable=False),
    Column("root_seq", Integer, nullable=False),
    Column("edited_at", Double),
    Column("edit_in_doubt_until", Double),
    Column("pending_since", Double),
    Column("tries", Integer, nullable=False),
    Column("thread_unread", Boolean, nullable=False),
    Column("broadcasts", Text, nullable=False),
    Column("post_due", Double),
    Column("post_deadline", Double),
    Column("post_since", Double),
    Column("post_urgent", Boolean, nullable=False),
    Column("edit_due", Double),
    Column("edit_deadline", Double),
    Column("edit_since", Double),
    Column("edit_urgent", Boolean, nullable=False),
    Column("options", Text, nullable=False),
    Column("mention", Text, nullable=False),
    Column("reopening_reported_at", Double),
    Column("bulletin", _Id, ForeignKey("bulletin.id")),
    Column("held_by", Text),
    Column("held_until", Double),
    Column("held_pings", Text),
    Column("catch_up_due", Double),
    Column("first_posted_at", Double),
    Column("storm_group", Text),
    Column("unowned_since", Double),
    Column("reminder_base", Double),
    Column("reminders_sent", Integer, nullable=False, server_default=text("0")),
    Column("reminder_due", Double),
    Column("reminder_asked_at", Double),
    Column("escalated_at", Double),
    UniqueConstraint("incident", "channel", "episode"),
    UniqueConstraint("bulletin", "channel", "episode"),
    UniqueConstraint("channel", "ts"),
    CheckConstraint("(incident IS NULL) <> (bulletin IS NULL)", name="one_topic"),
    *_at_least(1, "episode"),
    *_at_least(0, "generation", "reported_seq", "root_seq", "tries"),
    _one_of("state", CardState),
    _one_of("worst", State),
    _one_of("episode_worst", State),
    CheckConstraint("state <> 'posted' OR ts IS NOT NULL", name="posted_has_ts"),
    CheckConstraint(f"ts IS NULL OR state NOT IN ({_quoted(UNPOSTED)})", name="unposted_has_no_ts"),
    CheckConstraint("ts IS NULL OR slack_channel IS NOT NULL", name="ts_has_slack_channel"),
    CheckConstraint("state <> 'superseded' OR (post_due IS NULL AND edit_due IS NULL)", name="superseded_has_no_work"),
    _due("post"),
    _due("edit"),
)
_partial_index("ix_card_ts", "ts IS NOT NULL", card.c.ts)
_partial_index("ix_card_catch_up_due", "catch_up_due IS NOT NULL", card.c.catch_up_due)
_partial_index("ix_card_reminder_due", "reminder_due IS NOT NULL", card.c.reminder_due)
_partial_index("ix_card_first_posted_at", "first_posted_at IS NOT NULL", card.c.channel, card.c.first_posted_at)
_IN_STORM = "held_by = 'storm'"
IS_IN_STORM = text(f"card.{_IN_STORM}")
_partial_index("ix_card_in_storm", _IN_STORM, card.c.channel, card.c.held_until)
for _work in ("post", "edit"):
    _due_first = (card.c[f"{_work}_urgent"].desc(), card.c[f"{_work}_deadline"], card.c.id)
    _has_work = f"{_work}_due IS NOT NULL"
    _partial_index(f"ix_card_{_work}_order", _has_work, *_due_first)
    _partial_index(f"ix_card_{_work}_channel", _has_work, card.c.channel, *_due_first)
    _partial_index(f"ix_card_{_work}_since", _has_work, card.c[f"{_work}_since"], card.c.id)
    _partial_index(f"ix_card_{_work}_due", _has_work, card.c[f"{_work}_due"])

bulletin_line = Table(
    "bulletin_line",
    metadata,
    Column("bulletin", _Id, ForeignKey("bulletin.id"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("incident", Text, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("ended", Text),
    Column("ended_at", Double),
    Column("card", _Id, ForeignKey("card.id")),
    Column("ts", Text),
    Column("changed_in", BigInteger, nullable=False),
    Column("shown_in", BigInteger, nullable=False),
    Column("storm_group", Text),
    UniqueConstraint("bulletin", "key"),
    *_at_least(1, "seq", "episode", "changed_in"),
    *_at_least(0, "shown_in"),
    _one_of("state", State),
    _one_of("ended", LineEnd),
    CheckConstraint("(ended IS NULL) = (ended_at IS NULL)", name="ended_has_time"),
    CheckConstraint("(card IS NULL) = (ts IS NULL)", name="in_reply"),
)
_OPEN_LINE = "ended IS NULL"
IS_OPEN_LINE = text(f"bulletin_line.{_OPEN_LINE}")
Index("ix_bulletin_line_ended", bulletin_line.c.bulletin, bulletin_line.c.ended)
_partial_index("ix_bulletin_line_reply", "ts IS NOT NULL", bulletin_line.c.card, bulletin_line.c.ts)
_partial_index("ix_bulletin_line_open", _OPEN_LINE, bulletin_line.c.incident)
_OUTDATED_LINE = "ts IS NOT NULL AND changed_in > shown_in"
IS_OUTDATED_LINE = text(_OUTDATED_LINE)
"""A line that has changed since its reply was sent."""
_partial_index("ix_bulletin_line_outdated", _OUTDATED_LINE, bulletin_line.c.card, bulletin_line.c.ts)

attempt = Table(
    "attempt",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("upto_seq", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("targets", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("searches", Integer, nullable=False),
    Column("next_search_at", Double),
    _one_of("kind", ("root", "reply")),
    _one_of("state", AttemptState),
    *_at_least(0, "generation", "upto_seq", "tries", "searches"),
)
_OPEN = f"state IN ({_quoted(OPEN_ATTEMPT)})"
IS_OPEN = text(f"attempt.{_OPEN}")
"""Statements use this very text in WHERE: SQLite uses a partial index only for the condition that the index has."""
_partial_index("uq_attempt_open", _OPEN, attempt.c.card, unique=True)
_partial_index("ix_attempt_state", _OPEN, attempt.c.state)
_partial_index("ix_attempt_next_search_at", "next_search_at IS NOT NULL", attempt.c.next_search_at)

call = Table(
    "call",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("at", Double, nullable=False, index=True),
    Column("answer", Text, nullable=False),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("closed_at", Double),
    Column("discard_reason", Text),
    Column("after_seq", BigInteger),
    Column("upto_seq", BigInteger),
)
_partial_index("uq_dead_letter_open", "closed_at IS NULL", dead_letter.c.card, unique=True)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Double, nullable=False),
    *_at_least(1, "epoch"),
)

bigpanda_task = Table(
    "bigpanda_task",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("incident", Text, ForeignKey("incident.id"), nullable=False, index=True),
    Column("payload", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due_at", Double),
    Column("tries", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("batch", Text),
    _one_of("kind", TaskKind),
    _one_of("state", AttemptState),
    *_at_least(0, "tries"),
    CheckConstraint(f"due_at IS NULL OR state IN ({_quoted(OPEN_ATTEMPT)})", name="closed_is_not_due"),
)
_partial_index("ix_bigpanda_task_in_flight", f"state = '{AttemptState.IN_FLIGHT}'", bigpanda_task.c.id)
_partial_index("ix_bigpanda_task_due_at", "due_at IS NOT NULL", bigpanda_task.c.due_at)
_partial_index("ix_bigpanda_task_batch", "batch IS NOT NULL", bigpanda_task.c.batch)

configuration = Table(
    "configuration",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("saved_at", Double, nullable=False),
    Column("routes", Text, nullable=False),
    Column("templates", Text, nullable=False),
)

notice = Table(
    "notice",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ts", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
)

integration = Table(
    "integration",
    metadata,
    Column("name", Text, primary_key=True),
    Column("assigned_at", Double, nullable=False),
)

summary = Table(
    "summary",
    metadata,
    Column("channel", Text, primary_key=True),  # as the file names it: it need not be known yet
    Column("title", Text, primary_key=True),
    Column("times", Text, nullable=False),
    Column("decided", Double, nullable=False),
    Column("outcome", Text),
    Column("posted_as_of", Double),
    _one_of("outcome", SummaryOutcome),
)

mute = Table(
    "mute",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("match_text", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("routes", Text, nullable=False),
    Column("start_at", Double, nullable=False),
    Column("end_at", Double, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("unless", Text),
    Column("created", Double, nullable=False),
    Column("ended_by", Text, nullable=False),
    Column("applied", Text, nullable=False),
    Column("key", Text),
    _one_of("unless", State),
)
Index("uq_mute_key", mute.c.key, unique=True)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("received", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

tag_definition = Table(
    "tag_definition",
    metadata,
    Column("id", Text, primary_key=True),
    Column("data", Text, nullable=False),
    Column("fetched_at", Double, nullable=False),
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("marker_secret", Text, nullable=False),
    Column("team_id", Text),
    Column("team", Text),
    Column("bot_id", Text),
    Column("adopt_since", Double),
    CheckConstraint("id = 1", name="single_row"),
)

health_probe = Table(
    "health_probe",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("writes", BigInteger, nullable=False),
    Column("padding", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="single_row"),
)
