"""Both ways: what BigPanda is to be told or asked, when an incident has been silent for too long."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Errands get their kinds; nothing ever wrote one before, so the table is simply made anew.

    An attempt loses its epoch, which nothing ever read: whoever takes the lease doubts all that it finds open.
    """
    with op.batch_alter_table("attempt") as attempt:
        attempt.drop_constraint("ck_attempt_epoch", type_="check")
        attempt.drop_column("epoch")
    op.add_column("incident", sa.Column("stale_at", sa.Double()))
    op.create_index(
        "ix_incident_stale_at",
        "incident",
        ["stale_at"],
        unique=False,
        sqlite_where=sa.text("stale_at IS NOT NULL"),
        postgresql_where=sa.text("stale_at IS NOT NULL"),
    )
    op.create_index(
        "ix_card_ts",
        "card",
        ["ts"],
        unique=False,
        sqlite_where=sa.text("ts IS NOT NULL"),
        postgresql_where=sa.text("ts IS NOT NULL"),
    )
    op.drop_table("errand")
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
            "kind IN ('callback', 'assign', 'comment', 'snooze', 'resolve', 'reply', 'check')", name="ck_errand_kind"
        ),
        sa.CheckConstraint(
            "state IN ('trying', 'waiting', 'in_doubt', 'done', 'dropped', 'refused')", name="ck_errand_state"
        ),
        sa.CheckConstraint(
            "due_at IS NULL OR state IN ('trying', 'waiting', 'in_doubt')", name="ck_errand_over_is_not_due"
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
    op.create_index(
        "ix_errand_trying",
        "errand",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'trying'"),
        postgresql_where=sa.text("state = 'trying'"),
    )
    op.create_index("ix_errand_incident", "errand", ["incident"], unique=False)
