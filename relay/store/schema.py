"""The tables of relay's memory, with what must always hold written down as constraints of the database.

    share ............ every share that was taken, once per incident and hash
    incident ......... what all its shares say together, and the counters that go with it
    entry ............ one thing that happened, told once
    channel .......... a spelling of a Slack channel, and what was found under it
    card ............. the root message of one episode in one channel, shown or to be shown
    attempt .......... a root or a reply on its way to Slack
    call ............. what Slack answered
    letter ........... what Slack refused for good, with the remedy
    lease ............ which relay delivers
    errand ........... what BigPanda is still to be told
    configuration .... routes and templates that worked; fault: which faulty edits were told of
    quarantine ....... bodies that could not be taken
    definition ....... BigPanda's definitions of tags
    pulse ............ one row, written to see whether the database can be written

Times are Unix seconds. JSON is kept as text: the store reads and writes it whole. The steps from one shape of these
tables to the next are in `migrations`; the newest of them and this module say the same.
"""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from relay.cards.model import AttemptState, CardState, ChannelState, EntryKind, ShareOutcome, TaskKind
from relay.model.incident import State

OPEN_ATTEMPT = (AttemptState.IN_FLIGHT, AttemptState.WAITING, AttemptState.IN_DOUBT)
UNSENT = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT, CardState.CANCELLED)
"""States of a card whose root is not in Slack, as far as relay knows."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_Id = BigInteger().with_variant(Integer(), "sqlite")  # only INTEGER PRIMARY KEY is SQLite's row id


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_words(values)})", name=column)


def _at_least(least: int, column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= {least}", name=column)


def _due(work: str) -> CheckConstraint:
    """Work has all of its columns or none: due from when, best before when, waited for since when, how urgent."""
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
    Column("last_share", Double, nullable=False),
    Column("stub", Boolean, nullable=False),
    Column("record", Text, nullable=False),
    Column("stale_at", Double),
    _at_least(0, "version"),
    _at_least(1, "episode"),
    _at_least(1, "next_seq"),
)
IS_OVER = text("ended_at IS NOT NULL AND NOT stub")
"""Ended, and not slimmed by retention yet."""
Index("ix_incident_ended_at", incident.c.ended_at, sqlite_where=IS_OVER, postgresql_where=IS_OVER)

_falls_silent = text("stale_at IS NOT NULL")
Index("ix_incident_stale_at", incident.c.stale_at, sqlite_where=_falls_silent, postgresql_where=_falls_silent)

share = Table(
    "share",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("incident", Text, ForeignKey("incident.id"), nullable=False, index=True),
    Column("hash", Text, nullable=False),
    Column("news", Double, nullable=False),
    Column("received", Double, nullable=False, index=True),
    Column("times_seen", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("routes", Text, nullable=False),
    Column("decided", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("hash", "incident"),  # the hash first: a group's repeats are sought by their hashes alone
    _at_least(1, "times_seen"),
    _one_of("outcome", ShareOutcome),
)

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
    _at_least(1, "seq"),
    _one_of("kind", EntryKind),
)

channel = Table(
    "channel",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("slack_id", Text),
    Column("same_as", Text, ForeignKey("channel.ref")),
    Column("facts", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("retry_at", Double),
    _one_of("state", ChannelState),
    CheckConstraint("state <> 'open' OR slack_id IS NOT NULL", name="open_is_found"),
    CheckConstraint("same_as IS NULL OR same_as <> ref", name="same_as_another"),
)
Index(
    "uq_channel_slack_id",
    channel.c.slack_id,
    unique=True,
    sqlite_where=text("same_as IS NULL"),
    postgresql_where=text("same_as IS NULL"),
)
Index(
    "ix_channel_same_as",
    channel.c.same_as,
    sqlite_where=text("same_as IS NOT NULL"),
    postgresql_where=text("same_as IS NOT NULL"),
)

card = Table(
    "card",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("incident", Text, ForeignKey("incident.id"), nullable=False),
    Column("channel", Text, ForeignKey("channel.ref"), nullable=False),
    Column("episode", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("taken", Boolean, nullable=False),
    Column("first_taken", Double, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("ts", Text),
    Column("slack_channel", Text),
    Column("shown_hash", Text, nullable=False),
    Column("told_seq", Integer, nullable=False),
    Column("worst", Text),
    Column("episode_worst", Text),
    Column("ended_shown", Double),
    Column("pinged", Text, nullable=False),
    Column("reopen_pinged", Double),
    Column("previous", Text),
    Column("notices", Text, nullable=False),
    Column("renewed", Text, nullable=False),
    Column("face_seq", Integer, nullable=False),
    Column("edited_at", Double),
    Column("unsure_until", Double),
    Column("wanted_since", Double),
    Column("tries", Integer, nullable=False),
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
    Column("reopen_told", Double),
    UniqueConstraint("incident", "channel", "episode"),
    UniqueConstraint("channel", "ts"),
    _at_least(1, "episode"),
    _at_least(0, "generation"),
    _at_least(0, "told_seq"),
    _at_least(0, "face_seq"),
    _at_least(0, "tries"),
    _one_of("state", CardState),
    _one_of("worst", State),
    _one_of("episode_worst", State),
    CheckConstraint("state <> 'shown' OR ts IS NOT NULL", name="shown_has_ts"),
    CheckConstraint(f"ts IS NULL OR state NOT IN ({_words(UNSENT)})", name="unsent_has_no_ts"),
    CheckConstraint("ts IS NULL OR slack_channel IS NOT NULL", name="ts_has_slack_channel"),
    CheckConstraint("state <> 'left' OR (post_due IS NULL AND edit_due IS NULL)", name="left_has_no_work"),
    _due("post"),
    _due("edit"),
)
_stands = text("ts IS NOT NULL")
Index("ix_card_ts", card.c.ts, sqlite_where=_stands, postgresql_where=_stands)
for _work in ("post", "edit"):
    _waits = text(f"{_work}_due IS NOT NULL")
    Index(
        f"ix_card_{_work}_order",
        card.c[f"{_work}_urgent"].desc(),
        card.c[f"{_work}_deadline"],
        card.c.id,
        sqlite_where=_waits,
        postgresql_where=_waits,
    )
    Index(
        f"ix_card_{_work}_lane",
        card.c.channel,
        card.c[f"{_work}_urgent"].desc(),
        card.c[f"{_work}_deadline"],
        card.c.id,
        sqlite_where=_waits,
        postgresql_where=_waits,
    )
    Index(f"ix_card_{_work}_since", card.c[f"{_work}_since"], card.c.id, sqlite_where=_waits, postgresql_where=_waits)
    Index(f"ix_card_{_work}_due", card.c[f"{_work}_due"], sqlite_where=_waits, postgresql_where=_waits)

attempt = Table(
    "attempt",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("key", Text, nullable=False, unique=True),
    Column("what", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("upto_seq", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("targets", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("next_look", Double),
    _one_of("what", ("root", "reply")),
    _one_of("state", AttemptState),
    _at_least(0, "generation"),
    _at_least(0, "upto_seq"),
    _at_least(0, "tries"),
    _at_least(0, "looks"),
)
IS_OPEN = text(f"attempt.state IN ({_words(OPEN_ATTEMPT)})")
"""In a statement's WHERE as it stands in the index's, since SQLite uses a partial index for nothing less."""
_is_open = text(f"state IN ({_words(OPEN_ATTEMPT)})")
Index("uq_attempt_open", attempt.c.card, unique=True, sqlite_where=_is_open, postgresql_where=_is_open)
Index("ix_attempt_state", attempt.c.state, sqlite_where=_is_open, postgresql_where=_is_open)

_looks = text("next_look IS NOT NULL")
Index("ix_attempt_next_look", attempt.c.next_look, sqlite_where=_looks, postgresql_where=_looks)

call = Table(
    "call",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("method", Text, nullable=False),
    Column("at", Double, nullable=False, index=True),
    Column("answer", Text, nullable=False),
)

letter = Table(
    "letter",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("card", _Id, ForeignKey("card.id"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("closed_at", Double),
    Column("after_seq", BigInteger),
    Column("upto_seq", BigInteger),
)
_unclosed = text("closed_at IS NULL")
Index("uq_letter_open", letter.c.card, unique=True, sqlite_where=_unclosed, postgresql_where=_unclosed)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Double, nullable=False),
    _at_least(1, "epoch"),
)

errand = Table(
    "errand",
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
    _one_of("kind", TaskKind),
    _one_of("state", AttemptState),
    _at_least(0, "tries"),
    CheckConstraint(f"due_at IS NULL OR state IN ({_words(OPEN_ATTEMPT)})", name="over_is_not_due"),
)
_waits = text("due_at IS NOT NULL")
_being_tried = text(f"state = '{AttemptState.IN_FLIGHT}'")
Index("ix_errand_trying", errand.c.id, sqlite_where=_being_tried, postgresql_where=_being_tried)
Index("ix_errand_due_at", errand.c.due_at, sqlite_where=_waits, postgresql_where=_waits)

configuration = Table(
    "configuration",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("kept_at", Double, nullable=False),
    Column("routes", Text, nullable=False),
    Column("templates", Text, nullable=False),
)

fault = Table(
    "fault",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("told_at", Double, nullable=False),
)

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

definition = Table(
    "definition",
    metadata,
    Column("id", Text, primary_key=True),
    Column("data", Text, nullable=False),
    Column("seen_at", Double, nullable=False),
)

pulse = Table(
    "pulse",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("beats", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
