"""What is held: what holds a card that is not posted yet, and the pings of a card that were not sent yet."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; nothing is held in rows that an older relay wrote."""
    for name, kind in (
        ("held_by", sa.Text),
        ("held_until", sa.Double),
        ("held_pings", sa.Text),
        ("catch_up_due", sa.Double),
    ):
        op.add_column("card", sa.Column(name, kind()))
    condition = sa.text("catch_up_due IS NOT NULL")
    op.create_index(
        "ix_card_catch_up_due", "card", ["catch_up_due"], postgresql_where=condition, sqlite_where=condition
    )
