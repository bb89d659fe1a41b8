"""Runs the work of a command on the database of a running relay."""

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from relay.cli.loop import run
from relay.config.settings import Settings

if TYPE_CHECKING:
    from relay.store.store import Store

T = TypeVar("T")


def run_on_live_store(work: "Callable[[Store], Awaitable[T]]") -> T:
    """Open the database of the environment's settings, run `work` on it, and return its result."""
    from relay.tools.live_store import open_live_store

    async def run_work() -> T:
        async with open_live_store(Settings.from_env(os.environ)) as store:
            return await work(store)

    return run(run_work())
