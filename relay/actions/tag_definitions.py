"""BigPanda's definitions of tags: asked for once, kept in the store, refreshed now and then, and taught to the routes.

Every relay reads what the store has; the one that delivers asks BigPanda.
"""

import structlog

from relay.actions.bigpanda_gateway import BigPandaGateway
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import TaskDone
from relay.bigpanda.responses import tag_definitions_of
from relay.config.configuration import Configuration
from relay.model.errors import StoreError
from relay.model.tag_labels import TagDefinition
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock
from relay.store.store import Store

log = structlog.get_logger("relay.lexicon")

REFRESH_EVERY = 3600.0
READ_EVERY = 60.0
"""Seconds after which BigPanda is asked again, and the store, where another relay may have."""


class TagDefinitions:
    """What tags are called, and what their ranks mean; empty until somebody has told."""

    def __init__(self, store: Store, line: BigPandaGateway | None, clock: Clock, *, acts: bool) -> None:
        """`acts` says whether buttons do anything in this relay."""
        self._store = store
        self._line = line
        self._clock = clock
        self._acts = acts
        self._definitions: dict[str, TagDefinition] = {}
        self._asked_at = 0.0
        self._again_at = 0.0
        self._tries = 0
        self._taught: tuple[Configuration, dict[str, TagDefinition], Configuration] | None = None

    def apply(self, configuration: Configuration) -> Configuration:
        """The configuration as it is lived by here: the same value, for as long as nothing changes."""
        last = self._taught
        if last is not None and last[0] is configuration and last[1] is self._definitions:
            return last[2]
        taught = configuration.with_tag_definitions(self._definitions, buttons_enabled=self._acts)
        self._taught = configuration, self._definitions, taught
        return taught

    async def load(self) -> None:
        """Take what the store has."""
        definitions, self._asked_at = await self._store.tag_definitions()
        known = {definition.id.casefold(): definition for definition in definitions}
        if known != self._definitions:
            self._definitions = known

    async def poll(self) -> None:
        """Take what the store has, again and again, until cancelled: another relay may have asked."""
        while True:
            await self._clock.sleep(READ_EVERY)
            try:
                await self.load()
            except StoreError as error:
                log.warning("definitions_not_read", detail=str(error))

    @property
    def refresh_at(self) -> float | None:
        """When BigPanda is to be asked; None where it cannot be."""
        return None if self._line is None else max(self._asked_at + REFRESH_EVERY, self._again_at)

    async def refresh(self) -> None:
        """Ask BigPanda, and keep what it tells; what it does not tell leaves all as it was.

        Raises:
            StoreError: what it told is not kept. It is asked again later, as after any failure.
        """
        line = self._line
        if line is None:
            return
        self._tries += 1
        self._again_at = self._clock.now() + backoff(self._tries, "definitions")
        ruling = await line.call(BigPandaCall.TAG_DEFINITIONS, line.client.tag_definitions)
        now = self._clock.now()
        if not isinstance(ruling, TaskDone):
            log.warning("definitions_not_told", reason=ruling.reason, remedy=getattr(ruling, "remedy", ""))
            return
        await self._store.save_tag_definitions(tag_definitions_of(ruling.body), now)
        await self.load()
        self._tries, self._again_at = 0, now + REFRESH_EVERY  # the store cannot tell, where there are none
        log.info("definitions_kept", tags=len(self._definitions))
