"""Every error that relay raises on purpose.

    RelayError ........................ a sentence that an operator can act on
      ShareError ...................... a body that is not a share (400)
        NotJson                         it is not JSON
        NoIncident                      it has no usable incident.id
        TooCostly                       to parse it takes too long, or too much memory
      SettingsError                     the environment does not allow the requested action
      ConfigurationError                routes.yaml or templates have faults (all of them, with their places)
      ConfigurationUnreadable           they cannot be read now, for a reason that is not theirs
      QueryError ...................... a question about the database that cannot be answered as it is asked
      StoreError ...................... the database
        StoreUnusable                   it cannot be opened, or is damaged
          StoreNotMigrated              its tables are missing or of an older relay
        StoreTooNew                     a newer relay has migrated it
        StoreInUse                      another relay holds it
        LeaseLost                       another relay is the leader now
        CardFailure                     an unexpected error that concerns one card alone

Each message is one sentence that says what is wrong and what to do. An error carries what happened as data too, where
a caller decides by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


class RelayError(Exception):
    """The root: `str(error)` may be shown to an operator."""


class ShareError(RelayError):
    """A body that is not a share; `reason` names the error in metrics and logs."""

    reason = "share"


class NotJson(ShareError):
    """The body is not JSON."""

    reason = "not_json"


class NoIncident(ShareError):
    """The body is JSON, but nothing in it names an incident."""

    reason = "no_incident"


class TooCostly(ShareError):
    """To parse the body takes too long, or too much memory."""

    reason = "too_costly"


class SettingsError(RelayError):
    """The environment does not allow the requested action."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One fault of the configuration and its place. Line and column count from 1; 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """As compilers print it: `file:line:column: message`, without the numbers that are not known."""
        return ":".join(map(str, filter(None, (self.file, self.line, self.column)))) + f": {self.message}"


MAX_FAULTS = 200
"""The most faults of a configuration that are reported at a time: in the log, in `/readyz` and by commands."""


class ConfigurationError(RelayError):
    """routes.yaml or a template has faults; `faults` holds the first `MAX_FAULTS`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults[:MAX_FAULTS])
        if len(faults) > MAX_FAULTS:
            self.faults += (Fault(file=faults[MAX_FAULTS].file, message="there are more faults; correct these first"),)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ConfigurationUnreadable(RelayError):
    """routes.yaml or a template cannot be read now: the machine, or this process, is out of files or memory."""


class QueryError(RelayError):
    """A question about the database that cannot be answered as it is asked: it names something unknown."""


class StoreError(RelayError):
    """The database failed."""


class StoreUnusable(StoreError):
    """The database cannot be opened, or is damaged."""


class StoreNotMigrated(StoreUnusable):
    """The tables are missing or of an older relay; `relay serve` brings them up to date."""


class StoreTooNew(StoreError):
    """A newer relay has migrated the database."""


class StoreInUse(StoreError):
    """Another relay has the database open."""


class CardFailure(StoreError):
    """One card cannot be picked because of an unexpected error (`__cause__`). Nothing of it was written."""

    def __init__(self, card: int, details: Mapping[str, str], error: Exception) -> None:
        """Name the card by its number; `details` holds its `incident`, `route` and `channel` where they are known."""
        self.card = card
        self.details = dict(details)
        super().__init__(f"Card {card} failed because of an unexpected {type(error).__name__}.")


class LeaseLost(StoreError):
    """Another relay is the leader now. This one must not write the results of its calls."""


def errors_of(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group, and in the groups inside it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from errors_of(inner)
    else:
        yield error
