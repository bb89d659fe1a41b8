"""Storms: which cards count as new ones in their channel, and the groups of incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_KINDS = "kind IN ('held', 'catch_up')"
_MORE_KINDS = "kind IN ('held', 'storm', 'catch_up')"


def upgrade() -> None:
    """Add the columns, which are empty in older rows: cards posted before count for no storm."""
    op.add_column("card", sa.Column("first_posted_at", sa.Double))
    for table in ("card", "bulletin_line"):
        op.add_column(table, sa.Column("storm_group", sa.Text))
    for name, column, condition in (
        ("ix_card_first_posted_at", "first_posted_at", "first_posted_at IS NOT NULL"),
        ("ix_card_in_storm", "held_until", "held_by = 'storm'"),
    ):
        where = sa.text(condition)
        op.create_index(name, "card", ["channel", column], postgresql_where=where, sqlite_where=where)
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_bulletins()
    else:
        op.drop_constraint("ck_bulletin_kind", "bulletin")
        op.create_check_constraint("ck_bulletin_kind", "bulletin", _MORE_KINDS)


def _rebuild_bulletins() -> None:
    """SQLite changes no constraint: the table is made again. What refers to it is checked when the step ends."""
    connection = op.get_bind()
    made = connection.execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = 'bulletin' AND sql IS NOT NULL")
    )
    (_, table), *indexes = sorted(((kind == "index", sql) for kind, sql in made), key=lambda each: each[0])
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TABLE bulletin_before AS SELECT * FROM bulletin")
    op.execute("DROP TABLE bulletin")
    op.execute(table.replace(_KINDS, _MORE_KINDS))
    op.execute("INSERT INTO bulletin SELECT * FROM bulletin_before")
    op.execute("DROP TABLE bulletin_before")
    for _, index in indexes:
        op.execute(index)
