"""Cards of bulletins: a card shows an incident or a bulletin, which has lines."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE bulletin (
    id {id} NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL, "key" TEXT NOT NULL, episode INTEGER NOT NULL,
    version BIGINT NOT NULL, next_seq INTEGER NOT NULL, opened_at {double} NOT NULL, closed_at {double},
    data TEXT NOT NULL,
    CONSTRAINT pk_bulletin PRIMARY KEY (id),
    CONSTRAINT uq_bulletin_kind_channel_key_episode UNIQUE (kind, channel, "key", episode),
    CONSTRAINT ck_bulletin_episode CHECK (episode >= 1),
    CONSTRAINT ck_bulletin_version CHECK (version >= 1),
    CONSTRAINT ck_bulletin_next_seq CHECK (next_seq >= 1),
    CONSTRAINT ck_bulletin_kind CHECK (kind IN ('held', 'catch_up')),
    CONSTRAINT fk_bulletin_channel FOREIGN KEY(channel) REFERENCES channel (ref)
);
CREATE INDEX ix_bulletin_closed_at ON bulletin (closed_at) WHERE closed_at IS NOT NULL;
CREATE TABLE bulletin_line (
    bulletin {reference} NOT NULL, seq INTEGER NOT NULL, "key" TEXT NOT NULL, at {double} NOT NULL,
    incident TEXT NOT NULL, episode INTEGER NOT NULL, state TEXT NOT NULL, data TEXT NOT NULL, ended TEXT,
    ended_at {double}, card {reference}, ts TEXT, changed_in BIGINT NOT NULL, shown_in BIGINT NOT NULL,
    CONSTRAINT pk_bulletin_line PRIMARY KEY (bulletin, seq),
    CONSTRAINT uq_bulletin_line_bulletin_key UNIQUE (bulletin, "key"),
    CONSTRAINT ck_bulletin_line_seq CHECK (seq >= 1),
    CONSTRAINT ck_bulletin_line_episode CHECK (episode >= 1),
    CONSTRAINT ck_bulletin_line_changed_in CHECK (changed_in >= 1),
    CONSTRAINT ck_bulletin_line_shown_in CHECK (shown_in >= 0),
    CONSTRAINT ck_bulletin_line_state CHECK (state IN ('resolved', 'unknown', 'acknowledged', 'warning', 'critical')),
    CONSTRAINT ck_bulletin_line_ended CHECK (ended IN ('resolved', 'posted', 'unmatched')),
    CONSTRAINT ck_bulletin_line_ended_has_time CHECK ((ended IS NULL) = (ended_at IS NULL)),
    CONSTRAINT ck_bulletin_line_in_reply CHECK ((card IS NULL) = (ts IS NULL)),
    CONSTRAINT fk_bulletin_line_bulletin FOREIGN KEY(bulletin) REFERENCES bulletin (id),
    CONSTRAINT fk_bulletin_line_card FOREIGN KEY(card) REFERENCES card (id)
);
CREATE INDEX ix_bulletin_line_ended ON bulletin_line (bulletin, ended);
CREATE INDEX ix_bulletin_line_reply ON bulletin_line (card, ts) WHERE ts IS NOT NULL;
CREATE INDEX ix_bulletin_line_open ON bulletin_line (incident) WHERE ended IS NULL;
CREATE INDEX ix_bulletin_line_outdated ON bulletin_line (card, ts) WHERE ts IS NOT NULL AND changed_in > shown_in;
"""

TYPES = {
    "sqlite": {"id": "INTEGER", "reference": "INTEGER", "double": "DOUBLE"},
    "postgresql": {"id": "BIGSERIAL", "reference": "BIGINT", "double": "DOUBLE PRECISION"},
}


def upgrade() -> None:
    """Make the tables of bulletins, and let cards show one."""
    dialect = op.get_bind().dialect.name
    bulletins, lines = TABLES.format(**TYPES[dialect]).split("CREATE TABLE bulletin_line", 1)
    _run(bulletins)
    if dialect == "sqlite":
        _rebuild_cards()
    else:
        op.alter_column("card", "incident", nullable=True)
        op.add_column("card", sa.Column("bulletin", sa.BigInteger))
        op.create_foreign_key("fk_card_bulletin", "card", "bulletin", ["bulletin"], ["id"])
        op.create_unique_constraint("uq_card_bulletin_channel_episode", "card", ["bulletin", "channel", "episode"])
        op.create_check_constraint("ck_card_one_topic", "card", "(incident IS NULL) <> (bulletin IS NULL)")
    _run("CREATE TABLE bulletin_line" + lines)


_CHANGED = (
    ("incident TEXT NOT NULL,", "incident TEXT,"),
    (
        "CONSTRAINT pk_card",
        (
            "bulletin INTEGER, CONSTRAINT uq_card_bulletin_channel_episode UNIQUE (bulletin, channel, episode), "
            "CONSTRAINT ck_card_one_topic CHECK ((incident IS NULL) <> (bulletin IS NULL)), CONSTRAINT pk_card"
        ),
    ),
    (
        "REFERENCES channel (ref)",
        "REFERENCES channel (ref), CONSTRAINT fk_card_bulletin FOREIGN KEY(bulletin) REFERENCES bulletin (id)",
    ),
)


def _rebuild_cards() -> None:
    """SQLite changes no constraint: the table is made again. What refers to it is checked when the step ends."""
    connection = op.get_bind()
    made = connection.execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = 'card' AND sql IS NOT NULL")
    )
    statements = sorted((kind == "index", sql) for kind, sql in made)
    table = statements.pop(0)[1]
    columns = ", ".join(column["name"] for column in sa.inspect(connection).get_columns("card"))
    op.execute("PRAGMA defer_foreign_keys = ON")
    op.execute("CREATE TABLE card_before AS SELECT * FROM card")
    op.execute("DROP TABLE card")
    for before, after in _CHANGED:
        table = table.replace(before, after)
    op.execute(table)
    op.execute(f"INSERT INTO card ({columns}) SELECT {columns} FROM card_before")  # noqa: S608  names of columns
    op.execute("DROP TABLE card_before")
    for _, index in statements:
        op.execute(index)


def _run(statements: str) -> None:
    for statement in statements.split(";"):
        if statement.strip():
            op.execute(statement)
