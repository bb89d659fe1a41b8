"""Holds the configuration that is live, and replaces it as a whole once everything that can fail is behind it.

A bad edit changes nothing, not even across a restart: what worked last is in the store, and relay starts on it, loudly,
where what is on disk does not work. On PostgreSQL the newest good one is everybody's, whichever relay has read it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from relay.config.configuration import Configuration, ReloadState
from relay.config.files import ConfigurationFiles, build_configuration, read_files
from relay.model.errors import ConfigurationError, Fault, StoreError
from relay.reload.notifier import Notifier
from relay.reload.watcher import watch
from relay.runtime.clock import Clock
from relay.store.store import Store
from relay.store.types import StoredConfiguration

log = structlog.get_logger("relay.reload")

CHECK_EVERY = 2.0
"""Seconds after which the files (and on PostgreSQL the store) are looked at even if no bell has rung."""

QUIET_SECONDS, QUIET_SECONDS_IF_FAULTY = 0.15, 1.0
"""Seconds for which files must have kept still: half of a file may look whole, and a faulty one may be half of one."""

_KEPT = "the last good configuration"


class Reloader:
    """What is live, and how the last reading went. `begin` comes first."""

    def __init__(self, store: Store, routes: Path, templates: Path, clock: Clock) -> None:
        """Take where things are; nothing is read yet."""
        self.wakeup = asyncio.Event()
        self._store = store
        self._routes = routes
        self._templates = templates
        self._clock = clock
        self._live: Configuration
        self._state: ReloadState
        self._judged: ConfigurationFiles | None = None
        self._asked = False
        self._declined = ""

    @property
    def live(self) -> Configuration:
        """The configuration of the moment: one immutable value, so that who takes it has all of it."""
        return self._live

    @property
    def state(self) -> ReloadState:
        """How the last reading went."""
        return self._state

    def request(self) -> None:
        """Read again, even if nothing has changed (SIGHUP)."""
        self._asked = True
        self.wakeup.set()

    async def start(self) -> None:
        """Start on what is on disk; where that is faulty, on the last good one.

        Raises:
            ConfigurationError: it is faulty, and there is no good one; with every fault.
            StoreError: the store cannot be read or written.
        """
        kept = await self._store.latest_configuration()
        written = await self._read()
        found = await self._checked(written, None, had_templates=bool(kept and kept.templates))
        self._judged = written
        if isinstance(found, Configuration):
            await self._adopt(found)
            return
        if kept is None:
            raise ConfigurationError(found)
        self._live = await _revived(kept, found)
        await self._store.add_channels(self._live.rulebook.channel_refs)
        self._state = ReloadState(
            hash=kept.hash, last_success_at=kept.saved_at, checked_at=self._clock.now(), faults=found
        )
        log.error("started_on_last_good", configuration=self._live.hash, faults=[str(fault) for fault in found])

    async def run(self, ring: Callable[[], None], teller: Notifier) -> None:
        """Watch, and take what works, until cancelled. `ring` is called when something new is live."""
        self._say(teller)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch(self._routes, self._templates, self.wakeup.set), name="watch")
            tasks.create_task(teller.run(), name="teller")
            while True:
                await self._clock.wait(self.wakeup, self._clock.now() + CHECK_EVERY)
                await self._turn(ring, teller)

    async def _turn(self, ring: Callable[[], None], teller: Notifier) -> None:
        before = self._live
        try:
            if await self.check_files():
                self._say(teller)
            await self.adopt_stored()
        except StoreError as error:
            # Nothing was taken, and nothing is forgotten: the next turn does it again.
            log.error("reload_not_kept", detail=str(error))  # noqa: TRY400  the sentence says it
        except Exception:
            log.exception("reload_broke")  # what works goes on working, whatever is wrong with relay here
        if self._live is not before:
            ring()

    async def check_files(self) -> bool:
        """Judge what is on disk, if it has changed (or somebody asked); whether it was judged.

        Raises:
            StoreError: it works but could not be kept, so it is not live.
        """
        written = await self._read()
        if written == self._judged and not self._asked:
            return False
        written, found = await self._settled(written)
        if isinstance(found, Configuration):
            await self._adopt(found)
        else:
            self._refuse(found)
        self._judged, self._asked = written, False
        return True

    async def adopt_stored(self) -> None:
        """Where several relays share a store: take the newest configuration that works, whichever relay has read it."""
        if not self._store.shared or await self._store.latest_configuration_hash() in (
            None,
            self._state.hash,
            self._declined,
        ):
            return
        kept = await self._store.latest_configuration()
        if kept is None:
            return
        try:
            configuration = await _revived(kept)
        except ConfigurationError as error:
            self._declined = kept.hash
            log.error("newest_not_taken", configuration=kept.hash, detail=str(error))  # noqa: TRY400  the sentence says it
            return
        await self._store.add_channels(configuration.rulebook.channel_refs)
        # What another relay has read says nothing about the disk of this one, so whatever is wrong there stays wrong.
        self._live, self._state = configuration, replace(self._state, hash=kept.hash, last_success_at=kept.saved_at)
        log.info("configuration_followed", configuration=kept.hash)

    async def _read(self) -> ConfigurationFiles:
        return await asyncio.to_thread(read_files, self._routes, self._templates)

    async def _settled(
        self, written: ConfigurationFiles
    ) -> tuple[ConfigurationFiles, Configuration | tuple[Fault, ...]]:
        """What was written and what it comes to, once the files keep still: an editor may be in the middle of it."""
        while True:
            found, _ = await asyncio.gather(self._checked(written, self._live), self._clock.sleep(QUIET_SECONDS))
            if not isinstance(found, Configuration):
                await self._clock.sleep(QUIET_SECONDS_IF_FAULTY)
            again = await self._read()
            if again == written:
                return written, found
            written = again

    async def _checked(
        self, written: ConfigurationFiles, before: Configuration | None, *, had_templates: bool = False
    ) -> Configuration | tuple[Fault, ...]:
        """Checked in a thread: it may take half a second, and shares keep coming."""
        had_templates = had_templates or bool(before and before.templates)
        gone = () if written.has_templates_folder or not had_templates else (self._folder_gone(),)
        try:
            found = await asyncio.to_thread(build_configuration, written, before)
        except ConfigurationError as error:
            return (*error.faults, *gone)
        except Exception as error:
            log.exception("check_broke")
            return (Fault(file=written.routes_file, message=f"relay broke off reading this, report it: {error!r}"),)
        return gone or found

    def _folder_gone(self) -> Fault:
        """A folder that vanishes is an accident more often than a wish, and would change every card in silence."""
        message = "the folder of templates is gone; where relay's own are wanted, leave it there and empty"
        return Fault(file=str(self._templates), message=message)

    async def _adopt(self, configuration: Configuration) -> None:
        """Make it live. Everything that can fail comes first; channels that are new are looked up after that."""
        now, rulebook = self._clock.now(), configuration.rulebook
        await self._store.add_channels(rulebook.channel_refs)
        await self._store.save_configuration(configuration.hash, rulebook.text, configuration.templates, now)
        self._live, self._state = (
            configuration,
            ReloadState(hash=configuration.hash, last_success_at=now, checked_at=now),
        )
        log.info("configuration_live", configuration=configuration.hash)

    def _refuse(self, faults: tuple[Fault, ...]) -> None:
        self._state = replace(self._state, checked_at=self._clock.now(), faults=faults)
        log.error("reload_failed", configuration=self._live.hash, faults=[str(fault) for fault in faults])

    def _say(self, teller: Notifier) -> None:
        """Let the fallback channel know, where it does not yet."""
        if self._state.successful:
            teller.report_fixed(self._live.hash)
        elif self._judged is not None:
            teller.report_faults(self._judged.digest, self._state.faults)


async def _revived(kept: StoredConfiguration, faults: tuple[Fault, ...] = ()) -> Configuration:
    """What the store has kept, made a configuration again; `faults` are why that is needed.

    Raises:
        ConfigurationError: with those faults, and why the kept one does not help either.
    """
    try:
        return await asyncio.to_thread(
            build_configuration,
            ConfigurationFiles(routes_file=_KEPT, routes_text=kept.routes, templates=kept.templates),
        )
    except ConfigurationError as error:
        useless = Fault(file=_KEPT, message=f"this relay cannot use what the database has kept: {error.faults[0]}")
        raise ConfigurationError([*faults, useless]) from error
