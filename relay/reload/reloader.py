"""Holds the live configuration, and replaces it as a whole, after everything that can fail.

An invalid edit changes nothing, not even after a restart. The last valid configuration is in the store, and relay
starts with it if the files are invalid. On PostgreSQL all relays use the newest valid configuration that any of them
has read.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from relay.config.configuration import Configuration, ReloadState
from relay.config.files import ConfigurationFiles, build_configuration, read_files
from relay.model.buttons import Clicks
from relay.model.errors import ConfigurationError, ConfigurationUnreadable, Fault, StoreError
from relay.model.struct import replace
from relay.model.tag_labels import TagDefinition
from relay.reload.messages import NoticeTopic
from relay.reload.notifier import Notifier
from relay.reload.watcher import watch
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT, LastingProblem, utc
from relay.store.store import Store
from relay.store.types import StoredConfiguration

log = structlog.get_logger("relay.reload")

CHECK_EVERY = 2.0
"""Seconds after which the files (on PostgreSQL also the store) are checked without a notification."""

QUIET_SECONDS, QUIET_SECONDS_IF_FAULTY = 0.15, 1.0
"""Seconds for which files must not change: half of a file may look valid, and an invalid one may be half of one."""

READ_TIMEOUT = 10.0
"""Seconds of real time in which the files must be read. A network file system may never answer."""

MAX_CHANGES = 30
"""How often the files may change while relay checks them, before relay reports that."""

_STORED = "the last valid configuration"


class Reloader:
    """The live configuration, and how the last reading of the files went. `start` comes first."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        routes: Path,
        templates: Path,
        clock: Clock,
        *,
        clicks: Clicks = Clicks.CARRIED_OUT,
        board: str = "",
    ) -> None:
        """Nothing is read yet. `clicks` says which buttons work, whatever the routes say; `board` is its address."""
        self.wakeup = asyncio.Event()
        self._store = store
        self._routes = routes
        self._templates = templates
        self._clock = clock
        self._clicks = clicks
        self._board = board
        self._tag_definitions: Mapping[str, TagDefinition] = {}
        self._loaded: Configuration
        self._live: Configuration
        self._state: ReloadState
        self._reading: asyncio.Future[ConfigurationFiles] | None = None
        self._checked_files: ConfigurationFiles | None = None
        self._requested = False
        self._unanswered = False
        self._unusable_hash = ""
        self._problem = LastingProblem(log)

    @property
    def live(self) -> Configuration:
        """The live configuration, with BigPanda's definitions of tags: one immutable value."""
        return self._live

    @property
    def state(self) -> ReloadState:
        """How the last reading of the files went."""
        return self._state

    def request(self) -> None:
        """Read the files again, even if nothing has changed (SIGHUP)."""
        self._requested = self._unanswered = True
        self.wakeup.set()

    def set_tag_definitions(self, definitions: Mapping[str, TagDefinition]) -> None:
        """Apply BigPanda's definitions of tags (by id, casefolded) to this and all later configurations."""
        self._tag_definitions = definitions
        self._set_live(self._loaded)

    async def start(self) -> None:
        """Make the configuration on disk live; where that is invalid, the last valid one.

        Raises:
            ConfigurationError: it is invalid, and there is no valid one; with every fault.
            StoreError: the store cannot be read or written.
        """
        stored = await self._store.latest_configuration()
        files = await self._read()
        result = await self._check(files, None, had_templates=bool(stored and stored.templates))
        self._checked_files = files
        if isinstance(result, Configuration):
            await self._adopt(result)
            return
        if stored is None:
            raise ConfigurationError(result)
        self._set_live(await _restore(stored, result))
        await self._store.add_channels(self._live.rulebook.channel_refs)
        faults = [str(fault) for fault in result]
        self._state = ReloadState(hash=stored.hash, last_success_at=stored.saved_at, faults=result)
        detail = f"routes.yaml or a template is invalid; relay uses the last valid version, of {utc(stored.saved_at)}."
        log.error("started_with_last_valid_configuration", configuration=self._live.hash, faults=faults, detail=detail)

    async def run(
        self, on_change: Callable[[], None], notifier: Notifier, on_answer: Callable[[], None] = lambda: None
    ) -> None:
        """Watch the files, and make valid edits live, until cancelled.

        `on_change` is called after each change, `on_answer` after each try that somebody requested.
        """
        self._notify(notifier)
        notifier.check_channels()
        async with asyncio.TaskGroup() as tasks:
            database = self._store.file
            tasks.create_task(watch(self._routes, self._templates, self.wakeup.set, database=database), name="watch")
            tasks.create_task(notifier.run(), name="notifier")
            while True:
                await self._clock.wait(self.wakeup, self._clock.now() + CHECK_EVERY)
                requested, self._unanswered = self._unanswered, False
                await self._turn(on_change, notifier)
                if requested:
                    on_answer()

    async def _turn(self, on_change: Callable[[], None], notifier: Notifier) -> None:
        before = self._loaded
        try:
            if await self.check_files():
                self._notify(notifier)
            await self.adopt_stored()
            self._problem.over()
        except StoreError as error:
            # Nothing was adopted, and nothing is forgotten: the next turn does it again.
            self._problem.report("warning", "configuration_not_saved", detail=str(error))
        except ConfigurationUnreadable as error:
            self._problem.report("warning", "configuration_unreadable", detail=str(error))  # no fault of an edit
        except Exception:
            detail = f"Unexpected error while reading an edit; the live configuration stays. {REPORT_IT}"
            log.exception("reload_crashed", detail=detail)
        if self._loaded is not before:
            on_change()
            notifier.check_channels()

    async def check_files(self) -> bool:
        """Check the files, if they have changed or somebody asked for it; return whether they were checked.

        Raises StoreError: they are valid but could not be stored, so they are not live.
        """
        files = await self._read()
        if files == self._checked_files and not self._requested:
            return False
        files, result = await self._check_when_quiet(files)
        if isinstance(result, Configuration):
            await self._adopt(result)
        else:
            self._state = replace(self._state, faults=result)
            faults = [str(fault) for fault in result]
            detail = "The edit is invalid and changes nothing; the previous configuration stays live."
            log.error("configuration_invalid", configuration=self._live.hash, faults=faults, detail=detail)
        self._checked_files, self._requested = files, False
        return True

    async def adopt_stored(self) -> None:
        """If several relays share a store: adopt the newest valid configuration that any of them has read."""
        current = (None, self._state.hash, self._unusable_hash)
        if not self._store.shared or await self._store.latest_configuration_hash() in current:
            return
        stored = await self._store.latest_configuration()
        if stored is None:
            return
        try:
            configuration = await _restore(stored)
        except ConfigurationError as error:
            self._unusable_hash = stored.hash
            log.error("stored_configuration_unusable", configuration=stored.hash, detail=str(error))  # noqa: TRY400  the message says it all
            return
        await self._store.add_channels(configuration.rulebook.channel_refs)
        self._set_live(configuration)
        # What another relay has read says nothing about the disk of this one: faults there stay.
        self._state = replace(self._state, hash=stored.hash, last_success_at=stored.saved_at)
        detail = "The routes and templates that another relay loaded are live here too."
        log.info("configuration_adopted", configuration=stored.hash, detail=detail)

    def _set_live(self, configuration: Configuration) -> None:
        self._loaded = configuration
        self._live = configuration.with_tag_definitions(self._tag_definitions, clicks=self._clicks, board=self._board)

    async def _read(self) -> ConfigurationFiles:
        """Read the files; a fault says so if that takes too long. Until a slow reader returns, no other is started."""
        limit = 0.0
        if self._reading is None:
            limit = READ_TIMEOUT
            reading = asyncio.to_thread(read_files, self._routes, self._templates)
            self._reading = asyncio.create_task(reading, name="read configuration")
        done, _ = await asyncio.wait([self._reading], timeout=limit)
        if not done:
            message = f"not read within {READ_TIMEOUT:g} s: check the file system of this file and of the templates"
            return ConfigurationFiles(
                routes_file=str(self._routes),
                routes_text="",
                templates_folder=str(self._templates),
                read_faults=(Fault(file=str(self._routes), message=message),),
            )
        reader, self._reading = self._reading, None
        return reader.result()

    async def _check_when_quiet(
        self, files: ConfigurationFiles
    ) -> tuple[ConfigurationFiles, Configuration | tuple[Fault, ...]]:
        """Check the files, until they have not changed meanwhile: an editor may be in the middle of saving."""
        for _ in range(MAX_CHANGES):
            result, _ = await asyncio.gather(self._check(files, self._loaded), self._clock.sleep(QUIET_SECONDS))
            if not isinstance(result, Configuration):
                await self._clock.sleep(QUIET_SECONDS_IF_FAULTY)
            again = await self._read()
            if again == files:
                return files, result
            files = again
        message = "it or a template changes all the time; relay needs a second without a change"
        return files, (Fault(file=files.routes_file, message=message),)

    async def _check(
        self, files: ConfigurationFiles, before: Configuration | None, *, had_templates: bool = False
    ) -> Configuration | tuple[Fault, ...]:
        """Check files in a thread: it may take half a second, and shares keep coming."""
        try:
            return await asyncio.to_thread(build_configuration, files, before, had_templates=had_templates)
        except ConfigurationError as error:
            return error.faults
        except ConfigurationUnreadable:
            raise
        except Exception as error:
            detail = f"Unexpected error while checking an edit; the live configuration stays. {REPORT_IT}"
            log.exception("check_crashed", detail=detail)
            return (Fault(file=files.routes_file, message=f"relay failed to read this, please report it: {error!r}"),)

    async def _adopt(self, configuration: Configuration) -> None:
        """Make a configuration live, after everything that can fail; new channels are looked up afterwards."""
        now, rulebook = self._clock.now(), configuration.rulebook
        await self._store.add_channels(rulebook.channel_refs)
        await self._store.save_configuration(configuration.hash, rulebook.text, configuration.templates, now)
        self._set_live(configuration)
        self._state = ReloadState(hash=configuration.hash, last_success_at=now)
        log.info("configuration_live", configuration=configuration.hash, detail="Routes and templates are live.")

    def _notify(self, notifier: Notifier) -> None:
        notifier.report(NoticeTopic.CONFIGURATION, [str(fault) for fault in self._state.faults])


async def _restore(stored: StoredConfiguration, faults: tuple[Fault, ...] = ()) -> Configuration:
    """Make a configuration of what is stored; `faults` are why that is needed.

    Raises ConfigurationError: with those faults, and why the stored one cannot be used either.
    """
    files = ConfigurationFiles(routes_file=_STORED, routes_text=stored.routes, templates=stored.templates)
    try:
        return await asyncio.to_thread(build_configuration, files)
    except ConfigurationError as error:
        unusable = Fault(file=_STORED, message=f"this relay cannot use what the database has stored: {error.faults[0]}")
        raise ConfigurationError([*faults, unusable]) from error
