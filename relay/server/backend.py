"""The functions behind the endpoints: one protocol, and the values that it returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReceipt:
    """A stored share: its number, its incident's id, and the names of the routes that matched.

    `routes` is None while the share is not planned.
    """

    share: str | int
    incident: str
    routes: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether relay can store a share now; `detail` is what else `/readyz` shows, as JSON."""

    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """What the endpoints need from relay."""

    async def accept(self, body: bytes, headers: Mapping[str, str], sender: int = 0) -> ShareReceipt:
        """Store a share, and return after it is on disk. `headers` are the request's, without those that carry a key.

        `sender` is the number of the key: holders of different keys have their turn one after the other.

        Raises ShareError if the body is not a share; it is in quarantine by then. Any other exception means that the
        share was not stored. StoreError: the database failed, and the log already says so.
        """

    async def readiness(self) -> Readiness:
        """Check whether relay could store a share now."""

    async def incident(self, incident: str) -> bytes | None:
        """Return what relay knows about an incident, as a JSON document; None if it was never shared."""

    async def shares(self, incident: str) -> bytes | None:
        """Return an incident's newest shares as they were sent, and which routes match each; None without shares."""

    async def incidents(self, parameters: Iterable[tuple[str, str]]) -> bytes:
        """Return a page of the incidents that these query parameters ask for, as a JSON document.

        Raises QueryError: a parameter is unknown or invalid.
        """

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics, and their content type."""

    async def on_interaction(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Store an interaction payload from Slack; return the JSON to answer with, None for an empty answer.

        Return after it is on disk. Slack may send the same payload again. An exception means that it was not stored.
        """

    async def on_command(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do what a slash command says; return the message for the person, in the same way."""

    async def on_event(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Store an event of Slack's Events API, in the same way."""
