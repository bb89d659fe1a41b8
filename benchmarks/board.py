"""How fast each page of the board answers with many stored incidents, letters and mutes."""

import asyncio
import re
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import aiohttp

from benchmarks.filling import CHANNEL, ROUTES, fill, multiply, show_all_but
from benchmarks.measure import SAMPLE, Server, relay
from benchmarks.table import Figure

FILLED = 2_500
"""Incidents that relay stores by itself; the others are copies."""

OPEN_PART = 10
"""One of so many incidents is open."""

LETTERS, MUTES = 5_000, 50
ROUNDS = 7
PAGE_MS = 300.0
OPERATOR_KEY = "operator-key-of-the-benchmarks"
PREVIEW = {"match": "{tags: {host: nobody}}", "for": "1h", "reason": "measured"}
"""A mute that matches nothing is not made: the page only says so."""


async def measure(folder: Path, *, many: int = 100_000) -> list[Figure]:
    """Measure each page over HTTP, one request after the other."""
    await fill(folder / "relay.db", FILLED)
    multiply(folder / "relay.db", many // FILLED)
    _age(folder / "relay.db")
    async with relay(folder, ROUTES, more={"RELAY_OPERATOR_KEY": OPERATOR_KEY}) as server, _signed_in(server) as tab:
        return [await _figure(server, tab, name, address, form, many) for name, address, form in _pages()]


def _pages() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each page by its name, its address under the board's, and the form that is sent (none: it is only read)."""
    yield "Now", "", {}
    yield "Now, of one state", "?state=critical", {}
    yield "Now, of a channel and a route", f"?channel={CHANNEL}&route=all", {}
    yield "Now, of a route without cards", "?route=none", {}
    yield "Now, a search without a result", "?search=nothing+like+it", {}
    yield "Incident", f"/incidents/{quote('open-1~1', safe='')}", {}
    yield "Channels", "/channels", {}
    yield f"Letters, with {LETTERS:,} dead letters", "/letters", {}
    yield f"Mutes and hours, with {MUTES} mutes", "/mutes", {}
    yield "what a new mute would match", "/mutes", PREVIEW
    yield "Routes", "/routes", {}
    yield "the playground", "/routes", {"share": SAMPLE.read_text(encoding="utf-8")}


class _Tab:
    """A browser tab that is signed in."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session, self.base, self.csrf = session, base, ""

    async def ask(self, address: str, form: dict[str, str]) -> str:
        headers = {"Origin": self.base.removesuffix("/board")}
        method, data = ("POST", {"csrf": self.csrf} | form) if form else ("GET", None)
        async with self.session.request(method, self.base + address, data=data, headers=headers) as answer:
            page = await answer.text()
            if answer.status != 200:  # noqa: PLR2004  that it is a page
                raise SystemExit(f"{address} answered {answer.status}: {page}")
            return page


def _signed_in(server: Server) -> "_SignedIn":
    return _SignedIn(f"http://127.0.0.1:{server.port}/board")


class _SignedIn:
    def __init__(self, base: str) -> None:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))  # the host is an address
        self._tab = _Tab(self._session, base)

    async def __aenter__(self) -> _Tab:
        page = await self._tab.ask("/login", {"name": "Benchmark", "key": OPERATOR_KEY})
        token = re.search(r'name="csrf" value="(\w+)"', page)
        if token is None:
            raise SystemExit("the board did not accept the key")
        self._tab.csrf = token[1]
        return self._tab

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def _figure(  # noqa: PLR0913, PLR0917  each is a value of its own
    server: Server, tab: _Tab, name: str, address: str, form: dict[str, str], many: int
) -> Figure:
    took, page, cpu = [], "", server.cpu_seconds
    for _ in range(ROUNDS):
        started = time.perf_counter()
        page = await tab.ask(address, form)
        took.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.05)
    each = (server.cpu_seconds - cpu) / ROUNDS * 1000
    return Figure(
        what=f"board, {name}",
        measured=f"{statistics.median(took):.0f} ms, of which {each:.0f} ms of a processor; "
        f"slowest {max(took):.0f} ms; {len(page) / 1000:.0f} kB",
        wanted=f"at most {PAGE_MS:.0f} ms",
        met=statistics.median(took) <= PAGE_MS,
        note=f"{many:,} stored incidents, of which {many // OPEN_PART:,} are open; median of {ROUNDS}",
        value=statistics.median(took),
    )


def _age(file: Path) -> None:
    """End most incidents, spread all over seven days, and add dead letters and mutes."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            "UPDATE incident SET record ="
            " replace(record, json_quote(substr(id, 1, instr(id, '~') - 1)), json_quote(id)) WHERE id LIKE '%~%'"
        )
        database.execute("UPDATE incident SET last_share_at = last_share_at - rowid * 6")
        database.execute(
            "UPDATE incident SET ended_at = last_share_at, state = 'resolved' WHERE rowid % ? <> 0", (OPEN_PART,)
        )
        database.executemany(
            "INSERT INTO dead_letter (card, reason, remedy, since) SELECT id, 'channel_not_found', 'Make it.', ?"
            " FROM card WHERE id = ?",
            [(time.time(), card) for card in range(1, LETTERS + 1)],
        )
        database.executemany(
            "INSERT INTO mute (match_text, incident, routes, start_at, end_at, reason, author, origin, created,"
            " ended_by, applied) VALUES (?, '', '[]', ?, ?, 'deploy', 'Dana', 'cli', ?, '', '')",
            [
                (f"{{tags: {{host: web-{number}}}}}", time.time(), time.time() + 86400, time.time())
                for number in range(MUTES)
            ],
        )
    show_all_but(file, 0)
