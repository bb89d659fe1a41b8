"""The tables reject impossible rows, and the migrations create exactly these tables."""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, inspect, text

from relay.cards.model import AttemptState, CardUpdate
from relay.cards.mutes import Mute
from relay.model.errors import StoreError
from relay.store import migration, schema
from tests.support.bulletin_samples import hold
from tests.support.store_samples import (
    NOW,
    a_card,
    a_share,
    an_attempt,
    due,
    one_entry,
    open_channel,
    posted,
    run,
    save,
)

DUE = "post_due = 1, post_deadline = 2, post_since = 1"


def columns(table, *left_out):
    return ", ".join(column.name for column in table.c if column.name not in left_out)


CARD_COLUMNS, BULLETIN_COLUMNS = columns(schema.card, "id"), columns(schema.bulletin, "id")
LINE_COLUMNS = columns(schema.bulletin_line, "bulletin", "seq", "key")
SHARE_COLUMNS = ", ".join(column.name for column in schema.share.c if column.name != "id")

VIOLATIONS = {
    "uq_share_hash_incident": f"INSERT INTO share SELECT 99, {SHARE_COLUMNS} FROM share",
    "ck_share_times_seen": "UPDATE share SET times_seen = 0",
    "ck_share_outcome": "UPDATE share SET outcome = 'unknown'",
    "ck_summary_outcome": "UPDATE summary SET outcome = 'unknown'",
    "ck_incident_state": "UPDATE incident SET state = 'purple'",
    "ck_share_plan_starts": "UPDATE share SET plan_starts = -1",
    "ck_share_plan_tries": "UPDATE share SET plan_tries = -1",
    "ck_share_planned": "UPDATE share SET planned_at = NULL",
    "ck_share_planned_is_not_due": "UPDATE share SET plan_due = 1",
    "ck_incident_version": "UPDATE incident SET version = -1",
    "ck_incident_episode": "UPDATE incident SET episode = 0",
    "ck_incident_next_seq": "UPDATE incident SET next_seq = 0",
    "fk_entry_incident": "UPDATE entry SET incident = 'nobody'",
    "pk_entry": "INSERT INTO entry SELECT incident, seq, 'another', kind, at, data FROM entry",
    "uq_entry_incident_key": "INSERT INTO entry SELECT incident, seq + 1, key, kind, at, data FROM entry",
    "ck_entry_seq": "UPDATE entry SET seq = 0",
    "ck_entry_kind": "UPDATE entry SET kind = 'unknown'",
    "pk_channel": "INSERT INTO channel (ref, facts, state, reason) VALUES ('#noc', '{}', 'new', '')",
    "ck_channel_state": "UPDATE channel SET state = 'unknown'",
    "ck_channel_open_has_slack_id": "UPDATE channel SET slack_id = NULL",
    "ck_channel_canonical_ref_is_another": "UPDATE channel SET canonical_ref = ref",
    "fk_channel_canonical_ref": "UPDATE channel SET canonical_ref = '#nowhere'",
    "uq_channel_slack_id": "INSERT INTO channel (ref, slack_id, facts, state, reason) "
    "VALUES ('#other', 'C1', '{}', 'new', '')",
    "uq_card_incident_channel_episode": "UPDATE card SET episode = 1",
    "uq_card_channel_ts": "UPDATE card SET ts = '1.1', slack_channel = 'C1', state = 'posted'",
    "fk_card_incident": "UPDATE card SET incident = 'nobody' WHERE incident IS NOT NULL",
    "fk_card_channel": "UPDATE card SET channel = '#nowhere'",
    "ck_card_episode": "UPDATE card SET episode = 0 WHERE episode = 1",
    "ck_card_generation": "UPDATE card SET generation = -1",
    "ck_card_root_seq": "UPDATE card SET root_seq = -1",
    "ck_card_reported_seq": "UPDATE card SET reported_seq = -1",
    "ck_card_tries": "UPDATE card SET tries = -1",
    "ck_card_state": "UPDATE card SET state = 'unknown' WHERE episode = 1",
    "ck_card_worst": "UPDATE card SET worst = 'purple'",
    "ck_card_episode_worst": "UPDATE card SET episode_worst = 'purple'",
    "ck_card_posted_has_ts": "UPDATE card SET ts = NULL WHERE state = 'posted'",
    "ck_card_unposted_has_no_ts": "UPDATE card SET state = 'pending' WHERE state = 'posted'",
    "ck_card_ts_has_slack_channel": "UPDATE card SET slack_channel = NULL WHERE state = 'posted'",
    "ck_card_superseded_has_no_work": f"UPDATE card SET state = 'superseded', {DUE} WHERE episode = 1",
    "ck_card_post_due": "UPDATE card SET post_due = 1, post_deadline = NULL WHERE episode = 1",
    "ck_card_edit_due": "UPDATE card SET edit_urgent = true WHERE episode = 1",
    "uq_card_bulletin_channel_episode": f"INSERT INTO card SELECT 99, {CARD_COLUMNS} FROM card "
    "WHERE bulletin IS NOT NULL",
    "fk_card_bulletin": "UPDATE card SET bulletin = 99 WHERE bulletin IS NOT NULL",
    "ck_card_one_topic": "UPDATE card SET incident = 'i1' WHERE bulletin IS NOT NULL",
    "uq_bulletin_kind_channel_key_episode": f"INSERT INTO bulletin SELECT 99, {BULLETIN_COLUMNS} FROM bulletin",
    "fk_bulletin_channel": "UPDATE bulletin SET channel = '#nowhere'",
    "ck_bulletin_kind": "UPDATE bulletin SET kind = 'unknown'",
    "ck_bulletin_episode": "UPDATE bulletin SET episode = 0",
    "ck_bulletin_version": "UPDATE bulletin SET version = 0",
    "ck_bulletin_next_seq": "UPDATE bulletin SET next_seq = 0",
    "pk_bulletin_line": f"INSERT INTO bulletin_line SELECT bulletin, seq, 'another', {LINE_COLUMNS} FROM bulletin_line",
    "uq_bulletin_line_bulletin_key": f"INSERT INTO bulletin_line SELECT bulletin, 9, key, {LINE_COLUMNS} "
    "FROM bulletin_line",
    "fk_bulletin_line_bulletin": "UPDATE bulletin_line SET bulletin = 99",
    "fk_bulletin_line_card": "UPDATE bulletin_line SET card = 99, ts = '1.1'",
    "ck_bulletin_line_seq": "UPDATE bulletin_line SET seq = 0",
    "ck_bulletin_line_episode": "UPDATE bulletin_line SET episode = 0",
    "ck_bulletin_line_changed_in": "UPDATE bulletin_line SET changed_in = 0",
    "ck_bulletin_line_shown_in": "UPDATE bulletin_line SET shown_in = -1",
    "ck_bulletin_line_state": "UPDATE bulletin_line SET state = 'purple'",
    "ck_bulletin_line_ended": "UPDATE bulletin_line SET ended = 'unknown', ended_at = 1",
    "ck_bulletin_line_ended_has_time": "UPDATE bulletin_line SET ended = 'resolved'",
    "ck_bulletin_line_in_reply": "UPDATE bulletin_line SET ts = '1.1'",
    "fk_attempt_card": "UPDATE attempt SET card = 99",
    "uq_attempt_key": "UPDATE attempt SET key = 'k'",
    "uq_attempt_open": "UPDATE attempt SET state = 'in_doubt'",
    "ck_attempt_kind": "UPDATE attempt SET kind = 'unknown'",
    "ck_attempt_state": "UPDATE attempt SET state = 'unknown'",
    "ck_attempt_generation": "UPDATE attempt SET generation = -1",
    "ck_attempt_upto_seq": "UPDATE attempt SET upto_seq = -1",
    "ck_attempt_tries": "UPDATE attempt SET tries = -1",
    "ck_attempt_searches": "UPDATE attempt SET searches = -1",
    "fk_call_card": "INSERT INTO call (card, method, at, answer) VALUES (99, 'm', 1, '{}')",
    "fk_dead_letter_card": "INSERT INTO dead_letter (card, reason, remedy, since) VALUES (99, 'r', 'r', 1)",
    "uq_dead_letter_open": "INSERT INTO dead_letter (card, reason, remedy, since) "
    "SELECT card, reason, remedy, since FROM dead_letter WHERE closed_at IS NULL",
    "pk_lease": "INSERT INTO lease VALUES ('delivery', 'b', 1, 1)",
    "ck_lease_epoch": "UPDATE lease SET epoch = 0",
    "uq_bigpanda_task_key": "UPDATE bigpanda_task SET key = 'k'",
    "fk_bigpanda_task_incident": "UPDATE bigpanda_task SET incident = 'nobody'",
    "ck_bigpanda_task_kind": "UPDATE bigpanda_task SET kind = 'unknown'",
    "ck_bigpanda_task_closed_is_not_due": "UPDATE bigpanda_task SET state = 'done', due_at = 1",
    "ck_bigpanda_task_state": "UPDATE bigpanda_task SET state = 'unknown'",
    "ck_bigpanda_task_tries": "UPDATE bigpanda_task SET tries = -1",
    "ck_mute_unless": "UPDATE mute SET unless = 'purple'",
    "uq_mute_key": "INSERT INTO mute (match_text, incident, routes, start_at, end_at, reason, author, origin, created, "
    "ended_by, applied, key) SELECT match_text, incident, routes, start_at, end_at, reason, author, origin, created, "
    "ended_by, applied, key FROM mute",
    "uq_configuration_hash": "INSERT INTO configuration (hash, saved_at, routes, templates) VALUES ('c', 1, '', '{}')",
    "pk_notice": "INSERT INTO notice VALUES ('database', 'd', '', '', 1)",
    "pk_tag_definition": "INSERT INTO tag_definition VALUES ('d', '{}', 1)",
    "ck_installation_single_row": "INSERT INTO installation (id, marker_secret) VALUES (2, 'x')",
    "ck_health_probe_single_row": "UPDATE health_probe SET id = 2",
}
"""By constraint: a statement that it must reject, given the rows of `filled`."""

PLAIN_KEYS = {f"pk_{name}" for name in schema.metadata.tables} - {
    "pk_entry",
    "pk_bulletin_line",
    "pk_channel",
    "pk_lease",
    "pk_tag_definition",
    "pk_notice",
}


@pytest.fixture
async def filled(store):
    """A row or two in every table."""
    await store.accept([a_share()], one_entry)
    await save(store, posted(a_card(episode=2), post=due()), digest="h2")
    await open_channel(store)
    [first, _] = (await store.incident_history("i1")).cards
    await store.update_card(first.id, lambda _: CardUpdate(attempt=an_attempt("a", state=AttemptState.DONE)))
    await store.update_card(first.id, lambda _: CardUpdate(attempt=an_attempt("b")))
    await store.change_bulletins([hold("i1", channel="#noc")])
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.save_configuration("c", "", {}, NOW)
    await store.claim_notice("database", "f", NOW)
    letter = "INSERT INTO dead_letter (card, reason, remedy, since, closed_at) VALUES (:card, 'r', 'r', 1, :closed)"
    await run(store, letter, card=first.id, closed=2.0)
    await run(store, letter, card=first.id, closed=None)
    task = (
        "INSERT INTO bigpanda_task (key, kind, incident, payload, state, reason, tries, created) "
        "VALUES (:key, 'callback', 'i1', '{}', 'waiting', '', 0, 1)"
    )
    for key in "ab":
        await run(store, task, key=key)
    await store.add_mute(Mute(match="m", start=1.0, end=2.0, reason="r", author="a", origin="cli"), "k")
    await run(store, "INSERT INTO summary VALUES ('noc', 'Morning', '09:00', 1, 'posted', 1)")
    await run(store, "INSERT INTO tag_definition VALUES ('d', '{}', 1)")
    await run(store, "UPDATE channel SET state = 'open'")
    return store


async def test_every_violation_is_rejected(filled):
    for constraint, statement in VIOLATIONS.items():
        try:
            await run(filled, statement)
        except StoreError as rejected:
            sentence = str(rejected)
        else:
            sentence = "it was accepted"
        assert "violates the constraint" in sentence, (constraint, sentence)
        assert _names(sentence, constraint), (constraint, sentence)


def _names(sentence, constraint):
    """SQLite names only CHECK constraints; for the others it names the kind."""
    kind = {"pk": "UNIQUE", "uq": "UNIQUE", "fk": "FOREIGN KEY", "ck": "CHECK"}[constraint[:2]]
    return constraint in sentence or (kind != "CHECK" and f"{kind} constraint failed" in sentence)


def test_every_constraint_has_a_violation():
    rules = {constraint.name for table in schema.metadata.tables.values() for constraint in table.constraints}
    rules |= {index.name for table in schema.metadata.tables.values() for index in table.indexes if index.unique}
    assert rules - PLAIN_KEYS == VIOLATIONS.keys()


async def test_the_migrations_create_the_tables_of_the_schema(store):
    def drift(connection):
        context = MigrationContext.configure(connection, opts={"version_table": migration.VERSION_TABLE})
        return compare_metadata(context, schema.metadata)

    await _migrate_from_nothing(store)
    assert await store.database.read(drift) == []


async def test_an_empty_database_gets_every_constraint_and_index_that_the_migrations_create(store):
    """A comparison by reflection leaves out CHECKs and the conditions of partial indexes."""
    made_at_once = await store.database.read(_definitions)
    await _migrate_from_nothing(store)
    migrated = await store.database.read(_definitions)
    differing = {name for name in {*made_at_once, *migrated} if made_at_once.get(name) != migrated.get(name)}
    assert differing == set(), "relay/store/schema.py and the migrations differ here; add a migration"
    assert len(made_at_once) > 15


async def _migrate_from_nothing(store):
    """Make the tables again, step by step, as in a database that the first relay has made."""
    await store.database.write(_drop_all)
    await store.database.write(migration.upgrade)
    assert await run(store, f"SELECT version_num FROM {migration.VERSION_TABLE}") == [(migration.NEWEST,)]


def test_the_newest_version_is_the_last_migration():
    assert migration.versions()[0] == migration.NEWEST


def _drop_all(connection):
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)


def _definitions(connection):
    """The database's own definitions of its tables."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: _clauses(sql) for name, sql in rows}
    rules = connection.execute(
        text(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = current_schema()::regnamespace"
        )
    )
    indexes = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"))
    found = {name: definition for rows in (rules, indexes) for name, definition in rows}
    columns = {
        f"column {table}": [
            (column["name"], str(column["type"]), column["nullable"]) for column in _columns(connection, table)
        ]
        for table in (*schema.metadata.tables, migration.VERSION_TABLE)
    }
    return found | columns


def _columns(connection, table):
    return inspect(connection).get_columns(table)


def _clauses(sql):
    """The clauses of a CREATE statement, in whatever order and white space."""
    sql = re.sub(r"\s+", " ", sql).replace("( ", "(").replace(" )", ")")
    return sorted(re.split(r', (?=CONSTRAINT |"?\w+"? (?:TEXT|DOUBLE|INTEGER|BIGINT|BOOLEAN|BLOB)\b)', sql))
