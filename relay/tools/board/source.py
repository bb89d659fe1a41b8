"""The sources of the pages: the store, the live configuration, and what only the running relay knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.cards.draw import PermalinkBuilder
from relay.config.configuration import Configuration
from relay.delivery.render_process import RenderProcess
from relay.model.errors import Fault
from relay.runtime.clock import Clock
from relay.store.planning import Decide
from relay.store.store import Store
from relay.tools.message_text import ChannelNames, alias_names, slack_names


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackStatus:
    """What relay knows of Slack now: `ok` or why it makes no calls, the remedy, and the methods that wait (seconds)."""

    status: str
    remedy: str = ""
    pauses: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BoardSource:
    """One running relay, as its pages see it.

    `faults` are those of the files on disk. `decide` plans a share; `wake` lets relay look for due work.
    """

    store: Store
    clock: Clock
    live: Callable[[], Configuration]
    faults: Callable[[], tuple[Fault, ...]]
    slack: Callable[[], SlackStatus]
    link: PermalinkBuilder
    decide: Decide
    wake: Callable[[], None]
    renderer: RenderProcess = field(default_factory=RenderProcess)

    async def names(self) -> ChannelNames:
        """The names of channels by reference: those of Slack, then the aliases of the live routes."""
        return {**alias_names(self.live().rulebook), **slack_names(await self.store.channels())}
