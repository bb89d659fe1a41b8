"""What one run of a template may still spend, and what failed in it.

Every turn of a loop, every call of a macro, every character that is made, read or printed is paid from one purse, so
that a run ends soon whatever the template does. No clock is asked: what a card reads like does not depend on how busy
the machine is. An empty purse ends the run as a whole; any other failure costs the part in which it happened.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from jinja2 import Template, TemplateSyntaxError

from relay.rendering.engine.weight import weight
from relay.rendering.request import TemplateFailure

PURSE: Final = 300_000
"""What a run may spend, in characters that it makes: enough to list 300 alerts with twenty tags each, though no message
has room for them."""

READING: Final = 8
"""How many characters may be read or printed for the price of one that is made. The slowest filter needs half a
microsecond for each that it reads, so that a whole purse is gone in about a second."""

TURN: Final = 20
"""What a turn of a loop or a call of a macro costs beside what is printed in it."""

_FAILURES: Final = 20

_OWN_CLASS: Final = re.compile(r"'relay\.[\w.]+ object'")
"""How Python calls a value of relay's own, of which operators need not know."""


class Spent(Exception):
    """The run has cost too much."""


class Watch:
    """Keeps the purse and the failures of one run."""

    def __init__(self) -> None:
        """Begin with a full purse."""
        self.left = PURSE
        self.failures: list[TemplateFailure] = []
        self.listing = False

    def spend(self, amount: int) -> None:
        """Pay; raises `Spent` where there is not so much left."""
        self.left -= amount
        if self.left < 0:
            raise Spent(f"the template loops or prints too much (its limit is {PURSE:,} steps)")

    def read(self, *values: Any) -> None:
        """Pay for reading, comparing or printing these values, with all that is in them."""
        self.glance(sum(weight(value, self.left * READING) for value in values))

    def glance(self, length: int) -> None:
        """Pay for so many characters or entries that are read as they stand."""
        self.spend(-(-length // READING))

    def failed(self, error: Exception) -> None:
        """Remember what failed; of many failures the first few are enough."""
        if len(self.failures) < _FAILURES:
            self.failures.append(failure(error))


_WATCH: ContextVar[Watch | None] = ContextVar("relay_rendering_watch", default=None)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the run of a template."""
    watch = Watch()
    token = _WATCH.set(watch)
    try:
        yield watch
    finally:
        _WATCH.reset(token)


def watch() -> Watch:
    """The watch over the run under way; a fresh one where a template is only being compiled."""
    return _WATCH.get() or Watch()


def failure(error: Exception) -> TemplateFailure:
    """Where in which template it happened, and what."""
    if isinstance(error, TemplateSyntaxError):
        return TemplateFailure(file=error.name or "", line=error.lineno, message=error.message or "")
    file, line = _place(error.__traceback__)
    told = _OWN_CLASS.sub("what stands there", str(error))
    return TemplateFailure(file=file, line=line, message=f"{type(error).__name__}: {told}"[:300])


def _place(traceback: TracebackType | None) -> tuple[str, int]:
    """The deepest place in a template that the traceback passes through."""
    place = ("", 0)
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            place = (template.filename or template.name or "", template.get_corresponding_lineno(traceback.tb_lineno))
        traceback = traceback.tb_next
    return place
