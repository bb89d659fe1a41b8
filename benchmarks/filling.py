"""Databases with many incidents in them: filled by relay's own store, and multiplied and aged in SQL."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.measure import shares
from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.model import Plan
from relay.cards.plan import plan
from relay.routes.parser.parse import parse_rulebook
from relay.store.store import Store
from relay.store.types import PlanContext

CHANNEL = "C0ALL00001"
ROUTES = f"version: 1\nstorm: off\nroutes: [{{name: all, post: [{CHANNEL}]}}]\n"
GROUP = 200

_COPIED = {
    "incident": {"id": "id || ?1"},
    "share": {"id": "NULL", "incident": "incident || ?1", "hash": "lower(hex(randomblob(16)))"},
    "card": {"id": "NULL", "incident": "incident || ?1"},
}
"""The columns of each table that differ in a copy."""


async def fill(file: Path, count: int) -> None:
    """Store one share of each of `count` incidents with waiting cards, as the server does but without HTTP."""
    rulebook = parse_rulebook(ROUTES)

    def decide(context: PlanContext) -> Plan:
        return plan(rulebook, context.incident_state, context.cards, context.share, context.canonical_refs)

    store = await Store.open(f"sqlite:///{file}")
    try:
        await store.add_channels(rulebook.channel_refs)
        parsed = _parsed(count)
        while group := list(islice(parsed, GROUP)):
            await store.accept(group, decide)
    finally:
        await store.close()


def multiply(file: Path, times: int) -> None:
    """Add copies of all incidents with their shares and cards, until there are `times` as many."""
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA synchronous = OFF")  # the file is large and need not survive a power cut
        statements = [_copying(database, table, changed) for table, changed in _COPIED.items()]
        for copy in range(1, times):
            with database:
                for statement in statements:
                    database.execute(statement, (f"~{copy}",))


def _copying(database: sqlite3.Connection, table: str, changed: Mapping[str, str]) -> str:
    columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    values = [changed.get(column, column) for column in columns]
    incident_column = "id" if table == "incident" else "incident"
    return f"INSERT INTO {table} SELECT {', '.join(values)} FROM {table} WHERE {incident_column} NOT LIKE '%~%'"  # noqa: S608  all of it stands above


def show_all_but(file: Path, due: int) -> None:
    """Mark the channel as found and the cards as posted, except the cards of the last `due` incidents."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE channel SET slack_id = ref, state = 'open', retry_at = ? WHERE ref = ?",
            (time.time() + 3600, CHANNEL),
        )
        database.execute(
            "UPDATE card SET state = 'posted', ts = printf('%d.%06d', 1600000000 + id, id % 1000000),"
            " slack_channel = ?, pending_since = NULL, post_due = NULL, post_deadline = NULL, post_since = NULL,"
            " post_urgent = 0"
            " WHERE id <= (SELECT max(id) FROM card) - ?",
            (CHANNEL, due),
        )


def _parsed(count: int) -> Iterator[Share]:
    for body in shares("open-", count, per_incident=1):
        yield parse_share(body, {}, time.time())
