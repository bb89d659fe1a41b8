"""Batches: which tasks one press of a storm card's button started."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column, which is empty in older rows."""
    op.add_column("bigpanda_task", sa.Column("batch", sa.Text))
    where = sa.text("batch IS NOT NULL")
    op.create_index("ix_bigpanda_task_batch", "bigpanda_task", ["batch"], postgresql_where=where, sqlite_where=where)
