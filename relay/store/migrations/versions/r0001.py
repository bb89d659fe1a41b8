"""Create all tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create each table after those that it refers to."""
    _channel()
    _configuration()
    _health_probe()
    _incident()
    _lease()
    _quarantine()
    _reported_fault()
    _tag_definition()
    _bigpanda_task()
    _card()
    _entry()
    _share()
    _attempt()
    _call()
    _dead_letter()


def _partial_index(
    name: str, table: str, columns: Sequence[str | sa.TextClause], where: str, *, unique: bool = False
) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _channel() -> None:
    op.create_table(
        "channel",
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("slack_id", sa.Text()),
        sa.Column("canonical_ref", sa.Text()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("retry_at", sa.Double()),
        sa.CheckConstraint("canonical_ref IS NULL OR canonical_ref <> ref", name="ck_channel_canonical_ref_is_another"),
        sa.CheckConstraint("state <> 'open' OR slack_id IS NOT NULL", name="ck_channel_open_has_slack_id"),
        sa.CheckConstraint("state IN ('new', 'open', 'paused', 'rejected')", name="ck_channel_state"),
        sa.ForeignKeyConstraint(["canonical_ref"], ["channel.ref"], name="fk_channel_canonical_ref"),
        sa.PrimaryKeyConstraint("ref", name="pk_channel"),
    )
    _partial_index("ix_channel_canonical_ref", "channel", ["canonical_ref"], "canonical_ref IS NOT NULL")
    _partial_index("uq_channel_slack_id", "channel", ["slack_id"], "canonical_ref IS NULL", unique=True)


def _configuration() -> None:
    op.create_table(
        "configuration",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("templates", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_configuration"),
        sa.UniqueConstraint("hash", name="uq_configuration_hash"),
    )


def _health_probe() -> None:
    op.create_table(
        "health_probe",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_health_probe_single_row"),
        sa.PrimaryKeyConstraint("id", name="pk_health_probe"),
    )


def _incident() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("next_seq", sa.Integer(), nullable=False),
        sa.Column("last_share_at", sa.Double(), nullable=False),
        sa.Column("stub", sa.Boolean(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("stale_at", sa.Double()),
        sa.CheckConstraint("episode >= 1", name="ck_incident_episode"),
        sa.CheckConstraint("next_seq >= 1", name="ck_incident_next_seq"),
        sa.CheckConstraint("version >= 0", name="ck_incident_version"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    _partial_index("ix_incident_ended_at", "incident", ["ended_at"], "ended_at IS NOT NULL AND NOT stub")
    _partial_index("ix_incident_stale_at", "incident", ["stale_at"], "stale_at IS NOT NULL")


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.CheckConstraint("epoch >= 1", name="ck_lease_epoch"),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", ID, nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
    )


def _reported_fault() -> None:
    op.create_table(
        "reported_fault",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("reported_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reported_fault"),
        sa.UniqueConstraint("hash", name="uq_reported_fault_hash"),
    )


def _tag_definition() -> None:
    op.create_table(
        "tag_definition",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("fetched_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tag_definition"),
    )


def _bigpanda_task() -> None:
    op.create_table(
        "bigpanda_task",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "due_at IS NULL OR state IN ('in_flight', 'waiting', 'in_doubt')", name="ck_bigpanda_task_closed_is_not_due"
        ),
        sa.CheckConstraint(
            "kind IN ('callback', 'assign', 'comment', 'snooze', 'resolve', 'reply', 'check')",
            name="ck_bigpanda_task_kind",
        ),
        sa.CheckConstraint(
            "state IN ('in_flight', 'waiting', 'in_doubt', 'done', 'dropped', 'rejected')",
            name="ck_bigpanda_task_state",
        ),
        sa.CheckConstraint("tries >= 0", name="ck_bigpanda_task_tries"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_bigpanda_task_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_bigpanda_task"),
        sa.UniqueConstraint("key", name="uq_bigpanda_task_key"),
    )
    _partial_index("ix_bigpanda_task_due_at", "bigpanda_task", ["due_at"], "due_at IS NOT NULL")
    _partial_index("ix_bigpanda_task_in_flight", "bigpanda_task", ["id"], "state = 'in_flight'")
    op.create_index("ix_bigpanda_task_incident", "bigpanda_task", ["incident"])


def _card() -> None:
    op.create_table(
        "card",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.Column("first_matched_at", sa.Double(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ts", sa.Text()),
        sa.Column("slack_channel", sa.Text()),
        sa.Column("shown_hash", sa.Text(), nullable=False),
        sa.Column("reported_seq", sa.Integer(), nullable=False),
        sa.Column("worst", sa.Text()),
        sa.Column("episode_worst", sa.Text()),
        sa.Column("shown_ended_at", sa.Double()),
        sa.Column("pinged", sa.Text(), nullable=False),
        sa.Column("reopening_pinged_at", sa.Double()),
        sa.Column("previous", sa.Text()),
        sa.Column("notices", sa.Text(), nullable=False),
        sa.Column("reposted_at", sa.Text(), nullable=False),
        sa.Column("root_seq", sa.Integer(), nullable=False),
        sa.Column("edited_at", sa.Double()),
        sa.Column("edit_in_doubt_until", sa.Double()),
        sa.Column("pending_since", sa.Double()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("post_due", sa.Double()),
        sa.Column("post_deadline", sa.Double()),
        sa.Column("post_since", sa.Double()),
        sa.Column("post_urgent", sa.Boolean(), nullable=False),
        sa.Column("edit_due", sa.Double()),
        sa.Column("edit_deadline", sa.Double()),
        sa.Column("edit_since", sa.Double()),
        sa.Column("edit_urgent", sa.Boolean(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("mention", sa.Text(), nullable=False),
        sa.Column("reopening_reported_at", sa.Double()),
        sa.CheckConstraint(
            "(edit_due IS NULL) = (edit_deadline IS NULL) AND (edit_due IS NULL) = (edit_since IS NULL) "
            "AND (edit_due IS NOT NULL OR NOT edit_urgent)",
            name="ck_card_edit_due",
        ),
        sa.CheckConstraint("episode >= 1", name="ck_card_episode"),
        sa.CheckConstraint(
            "episode_worst IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')",
            name="ck_card_episode_worst",
        ),
        sa.CheckConstraint("generation >= 0", name="ck_card_generation"),
        sa.CheckConstraint(
            "(post_due IS NULL) = (post_deadline IS NULL) AND (post_due IS NULL) = (post_since IS NULL) "
            "AND (post_due IS NOT NULL OR NOT post_urgent)",
            name="ck_card_post_due",
        ),
        sa.CheckConstraint("state <> 'posted' OR ts IS NOT NULL", name="ck_card_posted_has_ts"),
        sa.CheckConstraint("reported_seq >= 0", name="ck_card_reported_seq"),
        sa.CheckConstraint("root_seq >= 0", name="ck_card_root_seq"),
        sa.CheckConstraint(
            "state IN ('pending', 'posting', 'posted', 'in_doubt', 'rejected', 'cancelled', 'superseded')",
            name="ck_card_state",
        ),
        sa.CheckConstraint(
            "state <> 'superseded' OR (post_due IS NULL AND edit_due IS NULL)", name="ck_card_superseded_has_no_work"
        ),
        sa.CheckConstraint("tries >= 0", name="ck_card_tries"),
        sa.CheckConstraint("ts IS NULL OR slack_channel IS NOT NULL", name="ck_card_ts_has_slack_channel"),
        sa.CheckConstraint(
            "ts IS NULL OR state NOT IN ('pending', 'posting', 'in_doubt', 'cancelled')",
            name="ck_card_unposted_has_no_ts",
        ),
        sa.CheckConstraint(
            "worst IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')", name="ck_card_worst"
        ),
        sa.ForeignKeyConstraint(["channel"], ["channel.ref"], name="fk_card_channel"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_card_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_card"),
        sa.UniqueConstraint("channel", "ts", name="uq_card_channel_ts"),
        sa.UniqueConstraint("incident", "channel", "episode", name="uq_card_incident_channel_episode"),
    )
    _partial_index("ix_card_edit_due", "card", ["edit_due"], "edit_due IS NOT NULL")
    _partial_index(
        "ix_card_edit_lane",
        "card",
        ["channel", sa.text("edit_urgent DESC"), "edit_deadline", "id"],
        "edit_due IS NOT NULL",
    )
    _partial_index(
        "ix_card_edit_order", "card", [sa.text("edit_urgent DESC"), "edit_deadline", "id"], "edit_due IS NOT NULL"
    )
    _partial_index("ix_card_edit_since", "card", ["edit_since", "id"], "edit_due IS NOT NULL")
    _partial_index("ix_card_post_due", "card", ["post_due"], "post_due IS NOT NULL")
    _partial_index(
        "ix_card_post_lane",
        "card",
        ["channel", sa.text("post_urgent DESC"), "post_deadline", "id"],
        "post_due IS NOT NULL",
    )
    _partial_index(
        "ix_card_post_order", "card", [sa.text("post_urgent DESC"), "post_deadline", "id"], "post_due IS NOT NULL"
    )
    _partial_index("ix_card_post_since", "card", ["post_since", "id"], "post_due IS NOT NULL")
    _partial_index("ix_card_ts", "card", ["ts"], "ts IS NOT NULL")


def _entry() -> None:
    op.create_table(
        "entry",
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('status', 'comment', 'assignment', 'snooze', 'tags', 'alerts', 'changes', 'resolved', "
            "'reopened', 'other')",
            name="ck_entry_kind",
        ),
        sa.CheckConstraint("seq >= 1", name="ck_entry_seq"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_entry_incident"),
        sa.PrimaryKeyConstraint("incident", "seq", name="pk_entry"),
        sa.UniqueConstraint("incident", "key", name="uq_entry_incident_key"),
    )


def _share() -> None:
    op.create_table(
        "share",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Double(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("times_seen", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('first', 'update', 'nothing_new', 'repeat', 'ended_long_ago', 'dropped', 'no_route')",
            name="ck_share_outcome",
        ),
        sa.CheckConstraint("times_seen >= 1", name="ck_share_times_seen"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_share_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_share"),
        sa.UniqueConstraint("hash", "incident", name="uq_share_hash_incident"),
    )
    op.create_index("ix_share_incident", "share", ["incident"])
    op.create_index("ix_share_received", "share", ["received"])


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("card", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("upto_seq", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("searches", sa.Integer(), nullable=False),
        sa.Column("next_search_at", sa.Double()),
        sa.CheckConstraint("generation >= 0", name="ck_attempt_generation"),
        sa.CheckConstraint("kind IN ('root', 'reply')", name="ck_attempt_kind"),
        sa.CheckConstraint("searches >= 0", name="ck_attempt_searches"),
        sa.CheckConstraint(
            "state IN ('in_flight', 'waiting', 'in_doubt', 'done', 'dropped', 'rejected')", name="ck_attempt_state"
        ),
        sa.CheckConstraint("tries >= 0", name="ck_attempt_tries"),
        sa.CheckConstraint("upto_seq >= 0", name="ck_attempt_upto_seq"),
        sa.ForeignKeyConstraint(["card"], ["card.id"], name="fk_attempt_card"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.UniqueConstraint("key", name="uq_attempt_key"),
    )
    op.create_index("ix_attempt_card", "attempt", ["card"])
    _partial_index("ix_attempt_next_search_at", "attempt", ["next_search_at"], "next_search_at IS NOT NULL")
    _partial_index("ix_attempt_state", "attempt", ["state"], "state IN ('in_flight', 'waiting', 'in_doubt')")
    _partial_index("uq_attempt_open", "attempt", ["card"], "state IN ('in_flight', 'waiting', 'in_doubt')", unique=True)


def _call() -> None:
    op.create_table(
        "call",
        sa.Column("id", ID, nullable=False),
        sa.Column("card", ID, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["card"], ["card.id"], name="fk_call_card"),
        sa.PrimaryKeyConstraint("id", name="pk_call"),
    )
    op.create_index("ix_call_at", "call", ["at"])
    op.create_index("ix_call_card", "call", ["card"])


def _dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", ID, nullable=False),
        sa.Column("card", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double()),
        sa.Column("after_seq", sa.BigInteger()),
        sa.Column("upto_seq", sa.BigInteger()),
        sa.ForeignKeyConstraint(["card"], ["card.id"], name="fk_dead_letter_card"),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letter"),
    )
    op.create_index("ix_dead_letter_card", "dead_letter", ["card"])
    _partial_index("uq_dead_letter_open", "dead_letter", ["card"], "closed_at IS NULL", unique=True)
