"""Renders in a process that can be abandoned, so that no template blocks relay.

The sandbox of templates bounds what they cost, and this is the last resort: whatever it does not foresee costs its own
card and no other. relay's built-in templates are rendered in relay's own process.
"""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from relay.cards.draw import PermalinkBuilder, render_step
from relay.cards.model import CardContext
from relay.cards.send import SlackStep
from relay.config.configuration import Configuration
from relay.delivery.render_worker import LENGTH_BYTES, LOAD_SECONDS, RENDER_SECONDS, WorkerAnswer, WorkerRequest
from relay.model.buttons import Clicks
from relay.rendering.request import RenderedMessage

_WAIT_SECONDS: Final = 15.0
"""How long relay waits for a rendering: longer than `RENDER_SECONDS` of processor time take on a busy machine."""

_MOST_ABANDONED: Final = 3
"""So many cards are tried with a template that has to be abandoned; then relay waits for the next configuration."""

_COMMAND: Final = (sys.executable, "-m", "relay.delivery.render_worker")

_SECRETS: Final = ("RELAY_", "SLACK_", "BIGPANDA_")
"""How the names of the settings begin; the process gets none of them."""


class TemplateAbandoned(Exception):
    """A template took too long or too much memory, or its process could not run."""


class RenderProcess:
    """A process that is started when it is needed, and kept."""

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        """Start nothing yet; `command` runs `relay.delivery.render_worker`."""
        self._command = command
        self._process: Process | None = None
        self._loaded: Configuration | None = None
        self._hash = ""
        self._abandoned: Counter[str] = Counter()
        self._turn = asyncio.Lock()

    async def render(
        self, configuration: Configuration, context: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
    ) -> RenderedMessage:
        """Render a step; `now` is in Unix seconds.

        Raises:
            TemplateAbandoned: use the built-in templates.
            ValueError: the rendering failed in a way that no template should cause.
        """
        if not configuration.library.has_own_templates:
            return render_step(configuration, context, step, link, now)
        async with self._turn:
            answer = await self._ask(configuration, context, step, link, now)
        if isinstance(answer, str):
            raise ValueError(answer)  # noqa: TRY004  it says what was raised in the other process
        return answer

    async def close(self) -> None:
        """End the process; the next rendering starts another."""
        process, self._process, self._loaded = self._process, None, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()  # which also closes its pipes

    async def _ask(
        self, configuration: Configuration, context: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
    ) -> WorkerAnswer:
        folder = context.card.options.template
        if configuration.hash != self._hash:
            self._hash = configuration.hash
            self._abandoned.clear()
        if self._abandoned[folder] >= _MOST_ABANDONED:
            raise TemplateAbandoned(
                f"it was abandoned {_MOST_ABANDONED} times; change it, or restart relay to try again"
            )
        try:
            is_loaded = self._loaded is configuration
            settings = None if is_loaded else _settings(configuration)
            request = WorkerRequest(settings, context, step, _links(context, link), now)
            async with asyncio.timeout(_WAIT_SECONDS + (0 if is_loaded else LOAD_SECONDS)):
                answer = await self._exchange(pickle.dumps(tuple(request)))
            self._loaded = None if isinstance(answer, str) else configuration
        except (OSError, EOFError, TimeoutError) as error:
            await self.close()
            if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
                raise TemplateAbandoned(f"the process that renders it cannot be started: {error}") from error
            self._abandoned[folder] += 1
            message = (
                f"it took more than {RENDER_SECONDS:g} s of processor time or too much memory, so relay abandoned it"
            )
            raise TemplateAbandoned(message) from error
        except BaseException:
            await self.close()  # an answer that nobody reads must not be the next one's
            raise
        return answer

    async def _exchange(self, content: bytes) -> WorkerAnswer:
        if self._process is None:
            environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)}
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, env=environment
            )
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            raise EOFError
        requests.write(len(content).to_bytes(LENGTH_BYTES, "big") + content)
        await requests.drain()
        length = int.from_bytes(await answers.readexactly(LENGTH_BYTES), "big")
        answer: WorkerAnswer = pickle.loads(await answers.readexactly(length))  # noqa: S301  relay's own process
        return answer


def _settings(configuration: Configuration) -> tuple[str, dict[str, str], dict[str, object], Clicks]:
    rulebook = configuration.rulebook
    return rulebook.text, dict(configuration.templates), dict(rulebook.tag_definitions), configuration.clicks


def _links(context: CardContext, link: PermalinkBuilder) -> dict[tuple[str, str], str]:
    """The addresses that a rendering may need: of the other cards, and of the card of the episode before."""
    places = {(each.slack_channel or "", each.ts or "") for each in context.cards}
    if before := context.card.previous:
        places.add((before.channel, before.ts))
    return {place: link(*place) for place in places}
