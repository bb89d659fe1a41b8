"""Mutes made in Slack: the key by which a submission that Slack sends twice is known."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; mutes of the command line and of the board have none."""
    op.execute('ALTER TABLE mute ADD COLUMN "key" TEXT')
    op.execute('CREATE UNIQUE INDEX uq_mute_key ON mute ("key")')
