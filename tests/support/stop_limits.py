"""How long relay may take to stop, and the same with a tenth of its own time limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from relay import app
from relay.server import lifecycle

KILLED_AFTER = 10.0
"""Seconds after which an orchestrator kills a process that does not stop."""

SHORT_STOP = {
    "relay.app.DRAIN_SECONDS": app.DRAIN_SECONDS / 10,
    "relay.app.LAST_CALLS_SECONDS": app.LAST_CALLS_SECONDS / 10,
    "relay.app.CLOSE_SECONDS": app.CLOSE_SECONDS / 10,
    "relay.server.lifecycle.SHUTDOWN_TIMEOUT": lifecycle.SHUTDOWN_TIMEOUT / 10,
}
"""A tenth of relay's own time limits for a stop."""


@dataclass(frozen=True)
class StopLimits:
    """A relay with these intervals (`tests.support.intervals`) has to end within so many `seconds`."""

    seconds: float
    intervals: Mapping[str, float] = field(default_factory=dict)


_SHORT = StopLimits(KILLED_AFTER - app.CLOSE_SECONDS + SHORT_STOP["relay.app.CLOSE_SECONDS"], SHORT_STOP)

with_stop_limits = pytest.mark.parametrize(
    "limits",
    [pytest.param(_SHORT, id="short"), pytest.param(StopLimits(KILLED_AFTER), marks=pytest.mark.soak, id="real")],
)
"""For a test in which relay waits until a time limit ends: it gets `limits`, and gives relay their `intervals`."""
