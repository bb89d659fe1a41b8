"""Time that stands still until a test moves it."""

from relay.demo.clock import SimulatedClock


class ManualClock(SimulatedClock):
    """A wait for a time lasts until the test has moved time there; events wake at once."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        super().__init__(now)
        self.sleepers = 0

    @property
    def waiting(self) -> bool:
        """Whether a task waits that has not been woken."""
        return any(not each.woken for each in self._waiting)

    @property
    def rousing(self) -> bool:
        """Whether a woken task has not continued yet."""
        return any(each.woken for each in self._waiting)

    def advance(self, seconds: float) -> None:
        self.set_time(self._now + seconds)

    def step(self, seconds: float) -> None:
        """Set the clock, as NTP does: no time passes."""
        before = self._monotonic
        self.set_time(self._now + seconds)
        self._monotonic = before

    async def sleep(self, seconds: float) -> None:
        self.sleepers += 1
        try:
            await super().sleep(seconds)
        finally:
            self.sleepers -= 1


class SkippingClock(ManualClock):
    """A wait for a time moves time there at once."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
