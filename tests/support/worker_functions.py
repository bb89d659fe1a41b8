"""What relay's own functions should never do in a worker process."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from relay.runtime import worker_process

kept: list[bytearray] = []


def compare_for_years(*_: Any) -> None:
    """Run one endless step of Python's own code."""
    one: list[Any] = []
    other: list[Any] = []
    for _level in range(60):
        one, other = [one, one], [other, other]
    assert one == other


def let_templates_hang(seconds: float, prepare: Callable[[], object]) -> None:
    """In a relay: prepare it, and let each rendering hang in its worker, which may take so many seconds."""
    from relay.delivery import render_process  # noqa: PLC0415  it is most of relay, which no other worker needs

    prepare()
    render_process.RENDER_SECONDS, render_process.render_loaded = seconds, compare_for_years  # type: ignore[assignment,misc]


def fill_memory(*_: Any) -> list[int]:
    """Ask for more memory than there is."""
    return [0] * (1 << 40)


def die(*_: Any) -> None:
    """End the process."""
    os._exit(1)


def keep_bytes(number: int) -> None:
    """Grow by so much memory."""
    kept.append(bytearray(b"x") * number)


def may_grow(number: int) -> None:
    """Let this worker be replaced when it has grown by so much memory, which takes less time to fill than `GROWN`."""
    worker_process.GROWN = worker_process._memory() + number  # type: ignore[misc]


def kill_once(marker: Path) -> str:
    """Be killed by another, the first time."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"
