"""A share as it is received, as it is parsed, and as it is recorded in a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.model.bounds import Omitted
from relay.model.incident import Environment, Person
from relay.model.json_types import JSON
from relay.model.struct import Struct

INTEGRATION_HEADER = "x-relay-integration"
"""The custom header by which one relay tells several integrations of BigPanda apart."""


class ShareEvent(Struct, frozen=True, kw_only=True):
    """One of `event_types`: BigPanda's name of what happened, and when (Unix seconds), if the share says so."""

    name: str
    at: float | None = None


class ReceivedShare(Struct, frozen=True, kw_only=True):
    """One POST of BigPanda's Notifications Webhook, of which only the incident is known: enough to store it.

    `received` is Unix seconds. `hash` is the same for repeats. `body` is the normalised JSON, for storing.
    """

    incident: str
    received: float
    hash: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Share(ReceivedShare, frozen=True, kw_only=True):
    """A share that was parsed: what it says.

    `blocks` is what the share says about the incident, by the names and in the shapes of `relay.model.incident`. A
    missing block was not in the share. `as_of` is the time up to which the share knows (Unix seconds).
    `omitted` says what was left out of which block, and how many `events`, since the share has more than relay keeps.
    """

    as_of: float
    blocks: Mapping[str, JSON] = field(default_factory=dict)
    environments: tuple[Environment, ...] = ()
    sender: Person | None = None
    comment: str | None = None
    events: tuple[ShareEvent, ...] = ()
    omitted: Mapping[str, Omitted] = field(default_factory=dict)

    @property
    def environment(self) -> Environment | None:
        """The first of the environments from which it comes."""
        return self.environments[0] if self.environments else None

    @property
    def integration(self) -> str:
        """The integration that sent it."""
        return self.headers.get(INTEGRATION_HEADER) or "default"

    @property
    def carries_assignment(self) -> bool:
        """Whether an integration says in it who has the incident.

        An answer of BigPanda's API says that, too. It has neither a sender nor an environment.
        """
        is_webhook = self.sender is not None or bool(self.environments)
        return is_webhook and bool((self.blocks.get("assignment") or {}).get("assignee"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedShare:
    """What a SHARE.json holds; `received` (Unix seconds) is None if the file does not say."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    received: float | None = None
