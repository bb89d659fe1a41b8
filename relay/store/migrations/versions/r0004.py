"""A card knows when its thread last told a reopening by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """None is known of the cards that are there: their next reopening is told by itself."""
    op.add_column("card", sa.Column("reopen_told", sa.Double()))
