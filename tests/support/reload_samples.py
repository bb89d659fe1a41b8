"""Routes and templates in a folder, and a reloader over them with a clock that the test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from relay.reload.reloader import Reloader
from relay.store.store import Store
from tests.support.clocks import ManualClock

T = TypeVar("T")

GOOD = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [C0ALL00001]
"""
BETTER = GOOD.replace("name: all", "name: everything").replace("C0ALL00001", "C0DB000001")
BAD = GOOD.replace("post:", "pots:")


@dataclass
class ConfigFolder:
    """A folder with routes and templates that a test edits."""

    path: Path
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def routes(self) -> Path:
        return self.path / "routes.yaml"

    @property
    def templates(self) -> Path:
        return self.path / "templates"

    def write(self, text: str) -> None:
        self.routes.write_text(text)

    def template(self, text: str, name: str = "incident/card.j2") -> None:
        path = self.templates / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def reloader(self, store: Store) -> Reloader:
        return Reloader(store, self.routes, self.templates, self.clock)

    async def run_with_time(self, work: Awaitable[T], meanwhile: Callable[[], None] | None = None) -> T:
        """Let time pass while the work waits; call `meanwhile` once, when it waits for the first time."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0.002)
            moment = self.clock.next_timer()
            if moment is not None and not task.done():
                if meanwhile is not None:
                    meanwhile()
                    meanwhile = None
                self.clock.advance(max(0.0, moment - self.clock.now()))
        return task.result()
