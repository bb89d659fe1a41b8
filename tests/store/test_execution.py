"""Statements that run on SQLite's own cursor do what they would do through SQLAlchemy."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, create_engine, insert, select, update

from relay.store import schema
from relay.store.execution import execute

TABLE = Table("strange", MetaData(), Column("id", Integer, primary_key=True), Column("text", schema.Text))
STRANGE, STORED = "a\0b\ud800", "a\ufffdb\ufffd"
ROW = {"id": 1, "text": STRANGE}

_TEXTS = select(TABLE.c.text).order_by(TABLE.c.id)
_SETS = update(TABLE).values(text=bindparam("new"))
FINDS = {
    "a parameter": (_TEXTS.where(TABLE.c.text == bindparam("sought")), {"sought": STRANGE}),
    "a list": (_TEXTS.where(TABLE.c.text.in_(bindparam("sought", expanding=True))), {"sought": ["x", STRANGE]}),
    "a constant": (_TEXTS.where(TABLE.c.text == STRANGE), {}),
    "a list of constants": (_TEXTS.where(TABLE.c.text.in_(["x", STRANGE])), {}),
}


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    TABLE.create(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("rows", [ROW, [ROW, {"id": 2, "text": STRANGE}]], ids=["one row", "two rows"])
def test_text_that_no_database_can_store_is_replaced_where_a_row_is_inserted(connection, rows):
    execute(connection, insert(TABLE), rows)
    assert set(execute(connection, _TEXTS).scalars()) == {STORED}


def test_text_that_no_database_can_store_is_replaced_where_a_row_is_changed(connection):
    execute(connection, insert(TABLE), {"id": 1, "text": "x"})
    execute(connection, _SETS, {"new": STRANGE})
    assert execute(connection, _TEXTS).scalars() == [STORED]


@pytest.mark.parametrize(("statement", "parameters"), FINDS.values(), ids=FINDS)
def test_text_that_no_database_can_store_is_found_as_it_was_stored(connection, statement, parameters):
    execute(connection, insert(TABLE), ROW)
    assert execute(connection, statement, parameters).scalars() == [STORED]
    assert connection.execute(statement, parameters).scalars().all() == [STORED]
