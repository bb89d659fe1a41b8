"""A letter about a reply says which entries it was to tell."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Letters that are open already are about cards: what a reply was to tell was not written down before."""
    op.add_column("letter", sa.Column("after_seq", sa.BigInteger()))
    op.add_column("letter", sa.Column("upto_seq", sa.BigInteger()))
