"""Add the table of the workspace that the database belongs to, and of the secret of its markers."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        "CREATE TABLE installation (id INTEGER NOT NULL, marker_secret TEXT NOT NULL, team_id TEXT, team TEXT, "
        "bot_id TEXT, CONSTRAINT pk_installation PRIMARY KEY (id), "
        "CONSTRAINT ck_installation_single_row CHECK (id = 1))"
    )
