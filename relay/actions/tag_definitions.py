"""BigPanda's definitions of tags: read from BigPanda, kept in the store, and applied to the live configuration.

Every relay reads what the store has; the leader asks BigPanda.
"""

from collections.abc import Callable, Mapping

import structlog

from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import TaskDone
from relay.bigpanda.responses import tag_definitions_of
from relay.model.counting import counted
from relay.model.errors import StoreError
from relay.model.tag_labels import TagDefinition
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock
from relay.runtime.logging import LastingProblem
from relay.store.store import Store

log = structlog.get_logger("relay.tag_definitions")

REFRESH_EVERY = 3600.0
READ_EVERY = 60.0
"""Seconds after which the leader asks BigPanda again, and every relay reads the store again."""


class TagDefinitions:
    """What tags are called, and what their ranks mean; none until BigPanda has answered."""

    def __init__(
        self,
        store: Store,
        bigpanda: BigPandaGateway | None,
        clock: Clock,
        on_change: Callable[[Mapping[str, TagDefinition]], None],
    ) -> None:
        """`on_change` gets all definitions (by id, casefolded) whenever they change."""
        self._store = store
        self._bigpanda = bigpanda
        self._clock = clock
        self._on_change = on_change
        self._definitions: dict[str, TagDefinition] = {}
        self._asked_at = 0.0
        self._retry_at = 0.0
        self._tries = 0
        self._unread = LastingProblem(log)
        self._failed = LastingProblem(log)

    async def load(self) -> None:
        """Read the store. Raises StoreError: it cannot be read."""
        definitions, self._asked_at = await self._store.tag_definitions()
        by_id = {definition.id.casefold(): definition for definition in definitions}
        if by_id != self._definitions:
            self._definitions = by_id
            self._on_change(by_id)

    async def poll(self) -> None:
        """Read the store again and again, until cancelled: another relay may have asked BigPanda."""
        while True:
            await self._clock.sleep(READ_EVERY)
            try:
                await self.load()
            except StoreError as error:
                self._unread.report("warning", "tag_definitions_not_read", detail=str(error))
            else:
                self._unread.over()

    @property
    def refresh_at(self) -> float | None:
        """When BigPanda is to be asked; None without access to BigPanda."""
        if self._bigpanda is None:
            return None
        return max(self._asked_at + REFRESH_EVERY, self._clock.time_at(self._retry_at))

    async def refresh(self) -> None:
        """Ask BigPanda, and store its answer; if it does not answer, nothing changes.

        Raises StoreError: the answer is not stored. BigPanda is asked again later, as after any failure.
        """
        if self._bigpanda is None:
            return
        self._tries += 1
        self._retry_at = self._clock.monotonic() + backoff(self._tries, "definitions")
        answer = await self._bigpanda.tag_definitions()
        now = self._clock.now()
        if not isinstance(answer, TaskDone):
            detail = "BigPanda did not return its names for tags; relay asks again, and cards show what is known."
            fields = {"reason": answer.reason, "remedy": answer.remedy}
            self._failed.report("warning", "tag_definitions_failed", **fields, detail=detail)
            return
        self._failed.over()
        await self._store.save_tag_definitions(tag_definitions_of(answer.body), now)
        await self.load()
        # The store has no time where there are no definitions.
        self._tries, self._retry_at = 0, self._clock.monotonic() + REFRESH_EVERY
        number = len(self._definitions)
        log.info("tag_definitions_saved", tags=number, detail=f"BigPanda names {counted(number, 'tag')}.")
