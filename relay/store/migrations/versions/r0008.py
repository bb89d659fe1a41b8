"""Reminders: the series of each card, the integrations that share owners, and new kinds of entries and messages."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KINDS = {
    "bulletin": "kind IN ('held', 'storm', 'catch_up', 'reminders', 'summary')",
    "entry": (
        "kind IN ('status', 'comment', 'assignment', 'snooze', 'tags', 'alerts', 'changes', 'resolved', 'reopened', "
        "'reminder', 'other')"
    ),
}


def upgrade() -> None:
    """Add the columns. A card that was posted before counts from its post."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("card", sa.Column("unowned_since", sa.Double))
    op.add_column("card", sa.Column("reminder_base", sa.Double))
    op.add_column("card", sa.Column("reminders_sent", sa.Integer, nullable=False, server_default=sa.text("0")))
    for name in ("reminder_due", "reminder_asked_at", "escalated_at"):
        op.add_column("card", sa.Column(name, sa.Double))
    where = sa.text("reminder_due IS NOT NULL")
    op.create_index("ix_card_reminder_due", "card", ["reminder_due"], postgresql_where=where, sqlite_where=where)
    op.create_table(
        "integration",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("assigned_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_integration"),
    )
    for table, kinds in KINDS.items():
        if is_sqlite:
            _rebuild(table, kinds)
        else:
            op.drop_constraint(f"ck_{table}_kind", table)
            op.create_check_constraint(f"ck_{table}_kind", table, kinds)


def _rebuild(table: str, kinds: str) -> None:
    """SQLite changes no constraint: the table is made again. What refers to it is checked when the step ends."""
    made = op.get_bind().execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"), {"table": table}
    )
    (_, statement), *indexes = sorted((kind == "index", sql) for kind, sql in made)
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")  # noqa: S608  the names are those above
    op.execute(f"DROP TABLE {table}")
    op.execute(re.sub(r"kind IN \([^)]*\)", kinds, statement))
    op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")  # noqa: S608  the names are those above
    op.execute(f"DROP TABLE {table}_before")
    for _, index in indexes:
        op.execute(index)
