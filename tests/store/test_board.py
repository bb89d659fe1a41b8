"""What the board and the preview of a mute read comes along an index, on both databases."""

import pytest
from sqlalchemy import text

from relay.model.incident import State
from relay.store import board, mute_preview
from relay.store.board import OpenFilter, OpenPosition
from relay.store.store import Store
from tests.support.postgres import postgresql
from tests.support.store_samples import query_plan

PLACE = OpenPosition(State.CRITICAL, 1_700_000_000.0, "i5")
STATEMENTS = {
    "ix_incident_open": board.open_of_state(State.CRITICAL, OpenFilter(), None).limit(100),
    "ix_incident_open from a place on": board.open_of_state(State.CRITICAL, OpenFilter(route="a"), PLACE).limit(100),
    "ix_incident_open for a new mute": mute_preview.part_of_state(
        State.CRITICAL, 1.7e9, mute_preview.PreviewPlace(State.CRITICAL, 1.7e9, "i5"), ("a", "")
    ).limit(100),
    "ix_incident_ended_at": mute_preview.part_of_state(
        None, 1.7e9, mute_preview.PreviewPlace(None, 1.7e9, "i5"), ("a", "")
    ).limit(100),
    "uq_card_channel_ts": board.LAST_CARDS.params(ref="C1", most=5),
    "uq_bulletin_kind_channel_key_episode": board.OPEN_LISTS.params(most=200),
    "ix_bulletin_line": board.LISTED_OPEN.params(of=1),
    "uq_card_bulletin": board.LIST_CARDS.params(of=1),
    "ix_share_received": board.ROUTE_SETS.params(since=1.7e9),
}


@pytest.mark.parametrize("index", STATEMENTS)
async def test_sqlite_reads_along_an_index_and_sorts_nothing(tmp_path, index):
    store = await Store.open(f"sqlite:///{tmp_path / 'relay.db'}")
    steps = await query_plan(store, STATEMENTS[index])
    await store.close()
    name = index.split()[0]
    assert any(name in step or "sqlite_autoindex_" in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps
    assert not any("ORDER BY" in step and "RIGHT PART" not in step for step in steps), steps  # of equal moments only


async def test_postgresql_reads_along_an_index():
    with postgresql() as url:
        store = await Store.open(url)

        def plans(connection):
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            found = {}
            for index, statement in STATEMENTS.items():
                compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
                rows = connection.exec_driver_sql(f"EXPLAIN {compiled}".replace("%", "%%"))
                found[index] = "\n".join(row[0] for row in rows)
            return found

        found = await store.database.read(plans)
        await store.close()
    for index, plan in found.items():
        assert index.split()[0] in plan, plan
        assert "Seq Scan" not in plan, plan
