"""The tables as relay began with them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, those first that others refer to."""
    _channel()
    _configuration()
    _definition()
    _fault()
    _incident()
    _lease()
    _pulse()
    _quarantine()
    _card()
    _entry()
    _errand()
    _share()
    _attempt()
    _call()
    _letter()


def _channel() -> None:
    op.create_table(
        "channel",
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("slack_id", sa.Text()),
        sa.Column("same_as", sa.Text()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("retry_at", sa.Double()),
        sa.CheckConstraint("state <> 'open' OR slack_id IS NOT NULL", name="ck_channel_open_is_found"),
        sa.CheckConstraint("state IN ('new', 'open', 'paused', 'refused')", name="ck_channel_state"),
        sa.CheckConstraint("same_as IS NULL OR same_as <> ref", name="ck_channel_same_as_another"),
        sa.ForeignKeyConstraint(["same_as"], ["channel.ref"], name="fk_channel_same_as"),
        sa.PrimaryKeyConstraint("ref", name="pk_channel"),
    )
    op.create_index(
        "ix_channel_same_as",
        "channel",
        ["same_as"],
        unique=False,
        sqlite_where=sa.text("same_as IS NOT NULL"),
        postgresql_where=sa.text("same_as IS NOT NULL"),
    )
    op.create_index(
        "uq_channel_slack_id",
        "channel",
        ["slack_id"],
        unique=True,
        sqlite_where=sa.text("same_as IS NULL"),
        postgresql_where=sa.text("same_as IS NULL"),
    )


def _configuration() -> None:
    op.create_table(
        "configuration",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.Double(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("templates", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_configuration"),
        sa.UniqueConstraint("hash", name="uq_configuration_hash"),
    )


def _definition() -> None:
    op.create_table(
        "definition",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_definition"),
    )


def _fault() -> None:
    op.create_table(
        "fault",
        sa.Column("id", ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("told_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fault"),
        sa.UniqueConstraint("hash", name="uq_fault_hash"),
    )


def _incident() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("next_seq", sa.Integer(), nullable=False),
        sa.Column("last_share", sa.Double(), nullable=False),
        sa.Column("stub", sa.Boolean(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.CheckConstraint("episode >= 1", name="ck_incident_episode"),
        sa.CheckConstraint("next_seq >= 1", name="ck_incident_next_seq"),
        sa.CheckConstraint("version >= 0", name="ck_incident_version"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
    )
    op.create_index(
        "ix_incident_ended_at",
        "incident",
        ["ended_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL AND NOT stub"),
        postgresql_where=sa.text("ended_at IS NOT NULL AND NOT stub"),
    )


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


def _pulse() -> None:
    op.create_table(
        "pulse",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_pulse_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_pulse"),
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
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("first_taken", sa.Double(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ts", sa.Text()),
        sa.Column("slack_channel", sa.Text()),
        sa.Column("shown_hash", sa.Text(), nullable=False),
        sa.Column("told_seq", sa.Integer(), nullable=False),
        sa.Column("worst", sa.Text()),
        sa.Column("episode_worst", sa.Text()),
        sa.Column("ended_shown", sa.Double()),
        sa.Column("pinged", sa.Text(), nullable=False),
        sa.Column("reopen_pinged", sa.Double()),
        sa.Column("previous", sa.Text()),
        sa.Column("notices", sa.Text(), nullable=False),
        sa.Column("renewed", sa.Text(), nullable=False),
        sa.Column("face_seq", sa.Integer(), nullable=False),
        sa.Column("edited_at", sa.Double()),
        sa.Column("unsure_until", sa.Double()),
        sa.Column("wanted_since", sa.Double()),
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
        sa.CheckConstraint(
            "episode_worst IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')",
            name="ck_card_episode_worst",
        ),
        sa.CheckConstraint(
            "state <> 'left' OR (post_due IS NULL AND edit_due IS NULL)", name="ck_card_left_has_no_work"
        ),
        sa.CheckConstraint("state <> 'shown' OR ts IS NOT NULL", name="ck_card_shown_has_ts"),
        sa.CheckConstraint(
            "state IN ('wanted', 'trying', 'shown', 'in_doubt', 'refused', 'lapsed', 'left')", name="ck_card_state"
        ),
        sa.CheckConstraint(
            "ts IS NULL OR state NOT IN ('wanted', 'trying', 'in_doubt', 'lapsed')", name="ck_card_unsent_has_no_ts"
        ),
        sa.CheckConstraint(
            "worst IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')", name="ck_card_worst"
        ),
        sa.CheckConstraint(
            "(edit_due IS NULL) = (edit_deadline IS NULL) AND (edit_due IS NULL) = (edit_since IS NULL) AND (edit_due IS NOT NULL OR NOT edit_urgent)",  # noqa: E501  one rule, one line
            name="ck_card_edit_due",
        ),
        sa.CheckConstraint(
            "(post_due IS NULL) = (post_deadline IS NULL) AND (post_due IS NULL) = (post_since IS NULL) AND (post_due IS NOT NULL OR NOT post_urgent)",  # noqa: E501  one rule, one line
            name="ck_card_post_due",
        ),
        sa.CheckConstraint("episode >= 1", name="ck_card_episode"),
        sa.CheckConstraint("face_seq >= 0", name="ck_card_face_seq"),
        sa.CheckConstraint("generation >= 0", name="ck_card_generation"),
        sa.CheckConstraint("told_seq >= 0", name="ck_card_told_seq"),
        sa.CheckConstraint("tries >= 0", name="ck_card_tries"),
        sa.CheckConstraint("ts IS NULL OR slack_channel IS NOT NULL", name="ck_card_ts_has_slack_channel"),
        sa.ForeignKeyConstraint(["channel"], ["channel.ref"], name="fk_card_channel"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_card_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_card"),
        sa.UniqueConstraint("channel", "ts", name="uq_card_channel_ts"),
        sa.UniqueConstraint("incident", "channel", "episode", name="uq_card_incident_channel_episode"),
    )
    op.create_index(
        "ix_card_edit_due",
        "card",
        ["edit_due"],
        unique=False,
        sqlite_where=sa.text("edit_due IS NOT NULL"),
        postgresql_where=sa.text("edit_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_edit_lane",
        "card",
        ["channel", sa.literal_column("edit_urgent DESC"), "edit_deadline", "id"],
        unique=False,
        sqlite_where=sa.text("edit_due IS NOT NULL"),
        postgresql_where=sa.text("edit_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_edit_order",
        "card",
        [sa.literal_column("edit_urgent DESC"), "edit_deadline", "id"],
        unique=False,
        sqlite_where=sa.text("edit_due IS NOT NULL"),
        postgresql_where=sa.text("edit_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_edit_since",
        "card",
        ["edit_since", "id"],
        unique=False,
        sqlite_where=sa.text("edit_due IS NOT NULL"),
        postgresql_where=sa.text("edit_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_post_due",
        "card",
        ["post_due"],
        unique=False,
        sqlite_where=sa.text("post_due IS NOT NULL"),
        postgresql_where=sa.text("post_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_post_lane",
        "card",
        ["channel", sa.literal_column("post_urgent DESC"), "post_deadline", "id"],
        unique=False,
        sqlite_where=sa.text("post_due IS NOT NULL"),
        postgresql_where=sa.text("post_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_post_order",
        "card",
        [sa.literal_column("post_urgent DESC"), "post_deadline", "id"],
        unique=False,
        sqlite_where=sa.text("post_due IS NOT NULL"),
        postgresql_where=sa.text("post_due IS NOT NULL"),
    )
    op.create_index(
        "ix_card_post_since",
        "card",
        ["post_since", "id"],
        unique=False,
        sqlite_where=sa.text("post_due IS NOT NULL"),
        postgresql_where=sa.text("post_due IS NOT NULL"),
    )


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
            "kind IN ('status', 'comment', 'assignment', 'snooze', 'tags', 'alerts', 'changes', 'resolved', 'reopened', 'other')",  # noqa: E501  one rule, one line
            name="ck_entry_kind",
        ),
        sa.CheckConstraint("seq >= 1", name="ck_entry_seq"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_entry_incident"),
        sa.PrimaryKeyConstraint("incident", "seq", name="pk_entry"),
        sa.UniqueConstraint("incident", "key", name="uq_entry_incident_key"),
    )


def _errand() -> None:
    op.create_table(
        "errand",
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
            "state IN ('trying', 'waiting', 'in_doubt', 'done', 'dropped', 'refused')", name="ck_errand_state"
        ),
        sa.CheckConstraint("tries >= 0", name="ck_errand_tries"),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name="fk_errand_incident"),
        sa.PrimaryKeyConstraint("id", name="pk_errand"),
        sa.UniqueConstraint("key", name="uq_errand_key"),
    )
    op.create_index(
        "ix_errand_due_at",
        "errand",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_errand_incident", "errand", ["incident"], unique=False)


def _share() -> None:
    op.create_table(
        "share",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("news", sa.Double(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("times_seen", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("routes", sa.Text(), nullable=False),
        sa.Column("decided", sa.Text(), nullable=False),
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
    op.create_index("ix_share_incident", "share", ["incident"], unique=False)
    op.create_index("ix_share_received", "share", ["received"], unique=False)


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("card", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("upto_seq", sa.Integer(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("next_look", sa.Double()),
        sa.CheckConstraint(
            "state IN ('trying', 'waiting', 'in_doubt', 'done', 'dropped', 'refused')", name="ck_attempt_state"
        ),
        sa.CheckConstraint("what IN ('root', 'reply')", name="ck_attempt_what"),
        sa.CheckConstraint("epoch >= 0", name="ck_attempt_epoch"),
        sa.CheckConstraint("generation >= 0", name="ck_attempt_generation"),
        sa.CheckConstraint("looks >= 0", name="ck_attempt_looks"),
        sa.CheckConstraint("tries >= 0", name="ck_attempt_tries"),
        sa.CheckConstraint("upto_seq >= 0", name="ck_attempt_upto_seq"),
        sa.ForeignKeyConstraint(["card"], ["card.id"], name="fk_attempt_card"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sa.UniqueConstraint("key", name="uq_attempt_key"),
    )
    op.create_index("ix_attempt_card", "attempt", ["card"], unique=False)
    op.create_index(
        "ix_attempt_next_look",
        "attempt",
        ["next_look"],
        unique=False,
        sqlite_where=sa.text("next_look IS NOT NULL"),
        postgresql_where=sa.text("next_look IS NOT NULL"),
    )
    op.create_index(
        "ix_attempt_state",
        "attempt",
        ["state"],
        unique=False,
        sqlite_where=sa.text("state IN ('trying', 'waiting', 'in_doubt')"),
        postgresql_where=sa.text("state IN ('trying', 'waiting', 'in_doubt')"),
    )
    op.create_index(
        "uq_attempt_open",
        "attempt",
        ["card"],
        unique=True,
        sqlite_where=sa.text("state IN ('trying', 'waiting', 'in_doubt')"),
        postgresql_where=sa.text("state IN ('trying', 'waiting', 'in_doubt')"),
    )


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
    op.create_index("ix_call_at", "call", ["at"], unique=False)
    op.create_index("ix_call_card", "call", ["card"], unique=False)


def _letter() -> None:
    op.create_table(
        "letter",
        sa.Column("id", ID, nullable=False),
        sa.Column("card", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double()),
        sa.ForeignKeyConstraint(["card"], ["card.id"], name="fk_letter_card"),
        sa.PrimaryKeyConstraint("id", name="pk_letter"),
    )
    op.create_index("ix_letter_card", "letter", ["card"], unique=False)
    op.create_index(
        "uq_letter_open",
        "letter",
        ["card"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
