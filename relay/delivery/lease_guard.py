"""How long this relay may go on calling Slack without asking the database again.

A lease runs out by itself, and then another relay delivers. A process that was stopped, starved or cut off from the
database does not notice that time has passed; so each call is preceded by a look at the clock, which needs nobody.
"""

from relay.model.errors import LeaseLost
from relay.runtime.clock import Clock


class LeaseGuard:
    """The time for which the lease was given, counted from before it was asked for: never longer than it holds."""

    def __init__(self, clock: Clock) -> None:
        """Begin without an end: where no lease is needed, none runs out."""
        self._clock = clock
        self._until: float | None = None

    def extend(self, asked: float, seconds: float) -> None:
        """The lease that was asked for at `asked` (by the steady clock) holds so long from then on."""
        self._until = asked + seconds

    def check(self) -> None:
        """Make sure that nobody else may deliver yet.

        Raises:
            LeaseLost: the lease has run out; whether another relay has it by now, the database knows.
        """
        if self._until is not None and self._clock.monotonic() >= self._until:
            late = self._clock.monotonic() - self._until
            raise LeaseLost(f"The lease ran out {late:.1f} s ago, before it was extended: nothing is sent under it.")
