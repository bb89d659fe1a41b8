"""Every error that relay raises on purpose.

    RelayError ........................ a sentence that an operator can act on
      ShareError ...................... a body that cannot be taken (400)
        NotJson                         it is not JSON
        NoIncident                      it has no usable incident.id
      SettingsError                     the environment does not allow what was asked
      ConfigurationError                routes.yaml or templates have faults (all of them, with their places)
      StoreError ...................... the database
        StoreUnusable                   it cannot be opened, or is damaged
          StoreUnready                  its tables are not made yet, or of an older relay
        StoreTooNew                     a newer relay has migrated it
        StoreInUse                      another relay holds it
        LeaseLost                       another relay has taken over the delivery
        CardTrouble                     something unforeseen, which concerns one card alone

The message of each is one sentence that says what is wrong and what to do. What happened is carried as data too, where
a caller may want to decide by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class RelayError(Exception):
    """The root: `str(error)` is fit to be shown to an operator."""


class ShareError(RelayError):
    """A body that BigPanda (or somebody else) sent and relay cannot take; `reason` is its name in metrics and logs."""

    reason = "share"


class NotJson(ShareError):
    """The body is not JSON."""

    reason = "not_json"


class NoIncident(ShareError):
    """The body is JSON, but nothing in it names an incident."""

    reason = "no_incident"


class SettingsError(RelayError):
    """The environment does not allow what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """One fault of the configuration, at its place: line and column count from 1, 0 is a whole file."""

    file: str
    line: int = 0
    column: int = 0
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """Read as compilers print it: `file:line:column: message`."""
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigurationError(RelayError):
    """routes.yaml or a template has faults; `faults` holds all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Take the faults in the order in which they are to be read."""
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class StoreError(RelayError):
    """The database does not do what it should."""


class StoreUnusable(StoreError):
    """The database cannot be opened, or is damaged."""


class StoreNotMigrated(StoreUnusable):
    """The tables are not there yet, or an older relay's: `relay serve` brings them up to date."""


class StoreTooNew(StoreError):
    """The database was migrated by a newer relay."""


class StoreInUse(StoreError):
    """Another relay has the database open."""


class CardFailure(StoreError):
    """One card cannot be picked, for an unforeseen reason (`__cause__`); nothing of it was written."""

    def __init__(self, card: int, details: Mapping[str, str], error: Exception) -> None:
        """Name the card by its number, and by what else is known of it (`incident`, `route`, `channel`)."""
        self.card = card
        self.details = dict(details)
        super().__init__(f"Card {card} cannot be dealt with, because of something unforeseen: {type(error).__name__}.")


class LeaseLost(StoreError):
    """Another relay has taken over the delivery: this one must not write what came of its calls."""
