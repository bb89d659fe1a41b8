"""Renders in a process that can be abandoned, so that no template blocks relay.

The sandbox bounds the cost of templates, and this process is the last resort: a case that the sandbox does not cover
affects only its own card. relay's built-in templates are rendered in relay's own process.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from relay.cards.draw import PermalinkBuilder, render_step
from relay.cards.model import CardContext
from relay.cards.steps import SlackStep
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.buttons import Clicks
from relay.rendering.request import RenderedMessage
from relay.runtime.memory import give_back_memory
from relay.runtime.worker_process import WorkerFailed, WorkerProcess, keep_memory

RENDER_SECONDS: Final = 1.0
"""Processor time of one rendering; a usual one takes two milliseconds."""

LOAD_SECONDS: Final = 30.0
"""Processor time in which a configuration is compiled."""

_MOST_ABANDONED: Final = 3
"""After so many abandoned renderings an incident gets the built-in templates, until the configuration changes.

After as many in a row, of any incidents, a template folder rests, so that others' cards do not wait for each attempt.
"""

_REST_SECONDS: Final = 60.0
"""How long a template folder rests; the next rendering shows whether it works again."""


class TemplateAbandoned(Exception):
    """A template took too long or too much memory, or its process could not run."""


class NotLoaded(Exception):
    """The process does not have the configuration yet."""


class RenderProcess:
    """A process that is started when it is needed, and kept."""

    def __init__(self) -> None:
        self._worker = WorkerProcess()
        self._configuration: Configuration | None = None
        self._number = 0
        self._hash = ""
        self._abandoned: Counter[tuple[str, str]] = Counter()  # by template folder and incident
        self._in_a_row: Counter[str] = Counter()  # by template folder, since the last success
        self._rests_since: dict[str, float] = {}
        self._turn = asyncio.Lock()

    async def warm_up(self, configuration: Configuration) -> None:
        """Start the process and load the configuration, if it is needed: the first card need not wait for it then.

        Without own templates, the packaged ones are compiled in a thread, so that the first card does not block relay.
        """
        if not configuration.library.has_own_templates:
            await asyncio.to_thread(configuration.library.compile_default)
            await asyncio.to_thread(give_back_memory)  # to compile takes 2 MB more than what is compiled
        else:
            async with self._turn:
                with suppress(WorkerFailed, OSError):  # then the first card says it
                    await self._load(configuration)

    async def render(
        self, configuration: Configuration, context: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
    ) -> RenderedMessage:
        """Render a step; `now` is in Unix seconds.

        Raises:
            TemplateAbandoned: use the built-in templates.
            Exception: the rendering failed in a way that no template should cause.
        """
        if not configuration.library.has_own_templates:
            return render_step(configuration, context, step, link, now)
        async with self._turn:
            return await self._try(configuration, context, step, _links(context, link), now)

    async def close(self) -> None:
        """End the process; the next rendering starts another."""
        await self._worker.close()

    async def _try(
        self,
        configuration: Configuration,
        context: CardContext,
        step: SlackStep,
        links: Mapping[tuple[str, str], str],
        now: float,
    ) -> RenderedMessage:
        if configuration.hash != self._hash:
            self._hash = configuration.hash
            for counts in (self._abandoned, self._in_a_row, self._rests_since):
                counts.clear()
        folder = context.card.options.template
        incident = context.card.incident
        self._check_rest(folder, incident, now)
        try:
            message = await self._render(configuration, context, step, links, now)
        except WorkerFailed as error:
            self._abandoned[folder, incident] += 1
            self._in_a_row[folder] += 1
            if self._in_a_row[folder] >= _MOST_ABANDONED:
                self._rests_since[folder] = now
            raise TemplateAbandoned(f"relay abandoned it, since {error}") from error
        except OSError as error:
            raise TemplateAbandoned(f"the process that renders it cannot be started: {error}") from error
        del self._in_a_row[folder]
        return message

    def _check_rest(self, folder: str, incident: str, now: float) -> None:
        if self._abandoned[folder, incident] >= _MOST_ABANDONED:
            raise TemplateAbandoned(
                f"it was abandoned {_MOST_ABANDONED} times for this incident; change it, or restart relay to try again"
            )
        if 0 <= now - self._rests_since.get(folder, -_REST_SECONDS) < _REST_SECONDS:
            raise TemplateAbandoned(
                f"it was abandoned {_MOST_ABANDONED} times in a row; relay tries it again after a minute"
            )

    async def _render(self, configuration: Configuration, *request: Any) -> RenderedMessage:
        number = self._number_of(configuration)
        try:
            return await self._worker.call(RENDER_SECONDS, render_loaded, number, *request)
        except NotLoaded:  # the process is a new one, or the configuration is
            await self._load(configuration)
            return await self._worker.call(RENDER_SECONDS, render_loaded, number, *request)

    async def _load(self, configuration: Configuration) -> None:
        rulebook, templates = configuration.rulebook, dict(configuration.templates)
        files = ConfigurationFiles(routes_file="routes.yaml", routes_text=rulebook.text, templates=templates)
        tags, clicks, board = dict(rulebook.tag_definitions), configuration.clicks, configuration.board
        await self._worker.call(LOAD_SECONDS, load, self._number_of(configuration), files, tags, clicks, board)

    def _number_of(self, configuration: Configuration) -> int:
        """The number by which the process knows a configuration: each one that relay uses gets the next."""
        if self._configuration is not configuration:
            self._configuration = configuration
            self._number += 1
        return self._number


_loaded: dict[int, Configuration] = {}
"""In the worker: the newest configuration by its number."""


def load(number: int, files: ConfigurationFiles, tags: Mapping[str, Any], clicks: Clicks, board: str = "") -> None:
    """Compile a configuration, in the worker, with BigPanda's definitions of tags."""
    _loaded.clear()
    _loaded[number] = build_configuration(files).with_tag_definitions(tags, clicks=clicks, board=board)
    keep_memory()


def render_loaded(
    number: int, context: CardContext, step: SlackStep, links: Mapping[tuple[str, str], str], now: float
) -> RenderedMessage:
    """Render a step, in the worker; `links` are the addresses of messages by channel id and ts.

    Raises NotLoaded: call `load` first.
    """
    if number not in _loaded:
        raise NotLoaded
    return render_step(_loaded[number], context, step, lambda channel, ts: links.get((channel, ts), ""), now)


def _links(context: CardContext, link: PermalinkBuilder) -> dict[tuple[str, str], str]:
    """The addresses that a rendering may need: of the other cards, and of the card of the episode before."""
    places = {(each.slack_channel or "", each.ts or "") for each in context.cards}
    if before := context.card.previous:
        places.add((before.channel, before.ts))
    return {place: link(*place) for place in places}
