"""How long this relay may go on calling Slack without asking the database.

A lease ends by itself, and then another relay delivers. A process that was stopped or cut off from the database does
not notice that time has passed. So relay checks its clock before each call; that needs no database.
"""

from relay.model.errors import LeaseLost
from relay.runtime.clock import Clock


class LeaseGuard:
    """The time for which the lease holds, counted from before it was asked for: never longer than it really holds."""

    def __init__(self, clock: Clock) -> None:
        """Begin without an end: where no lease is needed, none ends."""
        self._clock = clock
        self._until: float | None = None

    def extend(self, asked_at: float, seconds: float) -> None:
        """Set the end of a lease that was asked for at `asked_at` (by the monotonic clock)."""
        self._until = asked_at + seconds

    def check(self) -> None:
        """Make sure that no other relay may deliver yet.

        Raises:
            LeaseLost: the lease has ended; whether another relay has it now, only the database knows.
        """
        if self._until is not None and self._clock.monotonic() >= self._until:
            late = self._clock.monotonic() - self._until
            raise LeaseLost(f"The lease ended {late:.1f} s ago, before it was renewed: nothing is sent under it.")
