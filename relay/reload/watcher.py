"""Calls a function when routes or templates may have changed; the function reads the files and compares them.

Folders are watched, not files. Editors save by renaming a new file over the old one, and Kubernetes swaps the link
`..data` of a mounted volume. In the database's folder only routes.yaml itself is watched: each commit is several
changes of that folder, and each would wake a thread. Watching only makes a reload faster: relay reads the files every
few seconds anyway.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from relay.config.template_files import MAX_ENTRIES, is_folder

log = structlog.get_logger("relay.reload")

STEP_MS, DEBOUNCE_MS = 200, 200
"""Milliseconds without changes after which they are reported, and the most milliseconds until they are reported.

A thread wakes at each step, also while nothing changes.
"""

REWATCH_MS = 2_000
"""Milliseconds after which relay checks whether it still watches the right folders."""

RETRY_PAUSE = 5.0
"""Seconds until a failed watch is started again."""

MAX_WATCHED = 100
"""How many subfolders are watched. Edits in others are found when relay reads the files anyway."""

_KUBERNETES = ".."

_Identity = tuple[Path, int, int]


async def watch(routes: Path, templates: Path, on_change: Callable[[], None], *, database: Path | None = None) -> None:
    """Call `on_change` when these files may have changed, until cancelled; `database` is relay's, if it is a file."""
    logged = False
    while True:
        try:
            await _watch_these(routes, templates, database, on_change)
        except Exception as error:  # noqa: BLE001  watching only makes reloads faster, and has many ways to fail
            if not logged:
                detail = f"The system reports no changes of files ({error}); relay reads them every few seconds."
                log.warning("watch_failed", detail=detail)
            logged = True
            await asyncio.sleep(RETRY_PAUSE)


async def _watch_these(routes: Path, templates: Path, database: Path | None, on_change: Callable[[], None]) -> None:
    """Watch the folders of these files; return once they are other folders, as after one was replaced as a whole."""
    routes, templates = routes.absolute(), templates.absolute()  # noqa: ASYNC240  it reads only the working directory
    identities = partial(_identities, routes, templates, database)
    # In a thread: the disk may be slow, or a network file system may not answer.
    watched = await asyncio.to_thread(identities)
    names = {routes.name, (await asyncio.to_thread(routes.resolve)).name, templates.name}

    def concerns(_change: Change, changed: str) -> bool:
        path = Path(changed)
        return path.name in names or path.name.startswith(_KUBERNETES) or templates in path.parents

    async for changes in awatch(
        *{path for path, _, _ in watched},
        watch_filter=concerns,
        recursive=False,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        rust_timeout=REWATCH_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        if changes:
            on_change()
        if await asyncio.to_thread(identities) != watched:
            on_change()
            return


def _identities(routes: Path, templates: Path, database: Path | None) -> set[_Identity]:
    """What to watch, with device and inode: a folder that was replaced has the same name and another inode."""
    folders = (routes.parent, routes.resolve().parent, templates.parent, templates, *_subfolders(templates))
    identities = set(_existing(folders))
    busy = {each[1:] for each in _existing([database.resolve().parent])} if database else set()
    quiet = {each for each in identities if each[1:] not in busy}
    return identities if len(quiet) == len(identities) else quiet | set(_existing([routes]))


def _existing(paths: Iterable[Path]) -> Iterator[_Identity]:
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            yield path, status.st_dev, status.st_ino


def _subfolders(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        folders = (Path(entry) for entry in islice(entries, MAX_ENTRIES) if is_folder(entry))
        yield from islice(folders, MAX_WATCHED)
