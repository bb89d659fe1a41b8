"""Rings when routes or templates may have changed; whoever is rung reads them and sees.

Folders are watched, not files: editors save by renaming a new file over the old one, and Kubernetes swaps the link
`..data` of a mounted volume. A watch only saves waiting: who is never rung looks every few seconds all the same.
"""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from watchfiles import Change, awatch

log = structlog.get_logger("relay.reload")

STEP_MS, DEBOUNCE_MS = 50, 200
"""Milliseconds: of quiet after which changes are told, and after which they are told although there is no quiet."""

REWATCH_MS = 2_000
"""Milliseconds after which it is seen whether the watched folders are still those that matter."""

RETRY_PAUSE = 5.0
"""Seconds until a watch is tried again that could not be set up."""

_KUBERNETES = ".."


async def watch(routes: Path, templates: Path, ring: Callable[[], None]) -> None:
    """Ring whenever something about these may have changed, until cancelled."""
    complained = False
    while True:
        try:
            await _watch_these(*_absolute(routes, templates), ring)
        except Exception as error:  # noqa: BLE001  watching only saves waiting, and has many ways to fail
            if not complained:
                log.warning("watch_failed", detail=str(error), remedy="edits are found by looking every few seconds")
            complained = True
            await asyncio.sleep(RETRY_PAUSE)


async def _watch_these(routes: Path, templates: Path, ring: Callable[[], None]) -> None:
    """Watch the folders that matter now; return once others do, as after one was replaced as a whole."""
    watched = _identities(routes, templates)

    def concerns(_change: Change, path: str) -> bool:
        return _concerns(Path(path), routes, templates)

    async for _ in awatch(
        *{path for path, _, _ in watched},
        watch_filter=concerns,
        recursive=False,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        rust_timeout=REWATCH_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        ring()
        if _identities(routes, templates) != watched:
            return


def _absolute(routes: Path, templates: Path) -> tuple[Path, Path]:
    return routes.absolute(), templates.absolute()


def _concerns(path: Path, routes: Path, templates: Path) -> bool:
    """Whether a change there may be one of ours: a database beside routes.yaml, for one, never rests."""
    names = {routes.name, routes.resolve().name, templates.name}
    return path.name in names or path.name.startswith(_KUBERNETES) or templates in path.parents


def _identities(routes: Path, templates: Path) -> set[tuple[Path, int, int]]:
    """The folders to watch, and which folders they are: one that was replaced is another one by the same name."""
    found = set()
    for path in _folders(routes, templates):
        try:
            status = path.stat()
        except OSError:
            continue
        found.add((path, status.st_dev, status.st_ino))
    return found


def _folders(routes: Path, templates: Path) -> Iterator[Path]:
    yield from (routes.parent, routes.resolve().parent, templates.parent, templates)
    yield from (path for path in templates.glob("*") if path.is_dir())
