"""Summaries: which of their slots are done; and bulletins of their kind."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TABLE = """
CREATE TABLE summary (
    channel TEXT NOT NULL, title TEXT NOT NULL, times TEXT NOT NULL, decided {double} NOT NULL, outcome TEXT,
    posted_as_of {double},
    CONSTRAINT pk_summary PRIMARY KEY (channel, title),
    CONSTRAINT ck_summary_outcome CHECK (outcome IN ('begun', 'posted', 'nothing_to_say', 'skipped'))
)
"""
KIND = "kind IN ('held', 'storm', 'catch_up', 'summary')"


def upgrade() -> None:
    """Make the table, and let a bulletin be a summary."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(TABLE.format(double="DOUBLE" if is_sqlite else "DOUBLE PRECISION"))
    if is_sqlite:
        _rebuild_bulletins()
    else:
        op.drop_constraint("ck_bulletin_kind", "bulletin")
        op.create_check_constraint("ck_bulletin_kind", "bulletin", KIND)


def _rebuild_bulletins() -> None:
    """SQLite changes no constraint: the table is made again. What refers to it is checked when the step ends."""
    made = op.get_bind().execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = 'bulletin' AND sql IS NOT NULL")
    )
    (_, table), *indexes = sorted((kind == "index", sql) for kind, sql in made)
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TABLE bulletin_before AS SELECT * FROM bulletin")
    op.execute("DROP TABLE bulletin")
    op.execute(re.sub(r"kind IN \([^)]*\)", KIND, table))
    op.execute("INSERT INTO bulletin SELECT * FROM bulletin_before")
    op.execute("DROP TABLE bulletin_before")
    for _, index in indexes:
        op.execute(index)
