"""The templates of one configuration, compiled once: the operator's files at once, others when they are first needed.

A template is a folder. If it lacks a file, `incident/` provides it, and if that lacks it, relay's package; so
`payments/status.j2` always exists. A bare name (`{% include "alert.j2" %}`) is a file beside the template, by the same
rule. `relay/card.j2` is the packaged file, for templates that extend it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from jinja2 import BaseLoader, Environment, TemplateNotFound

from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.errors import Fault
from relay.rendering.context import without_marks
from relay.rendering.engine.budget import start_run
from relay.rendering.engine.failures import failure_of
from relay.rendering.engine.sandbox import TemplateSandbox
from relay.rendering.lint.checks import (
    Finding,
    TemplateRole,
    as_faults,
    file_findings,
    unused_files,
    without_faulty_tags,
)
from relay.rendering.lint.recovery import recovered
from relay.rendering.request import TemplateFailure

DEFAULT_FOLDER: Final = "incident"
"""The folder of a route that names none; it also provides the files that other folders lack."""

CARD: Final = "card"
BULLETIN_FOLDER: Final = "bulletin"
"""The folder of the messages that are about no single incident."""

BULLETINS: Final = ("held", "storm", "catch_up", "reminders", "summary")
"""The files of that folder that make a message, without their suffix; those below make one paragraph in its thread."""

LINE: Final = "line"
PING: Final = "ping"
BATCH: Final = "batch"
_ROLES: Final[Mapping[str, TemplateRole]] = {
    f"{CARD}.j2": "card",
    **{f"{kind}.j2": "entry" for kind in ENTRY_TEMPLATES},
}
"""The files that relay renders by their names, and what each makes; the other folder has its own."""

_BULLETIN_ROLES: Final[Mapping[str, TemplateRole]] = {
    **{f"{kind}.j2": "bulletin" for kind in BULLETINS},
    f"{LINE}.j2": "line",
    f"{PING}.j2": "line",
    f"{BATCH}.j2": "line",
}


def _roles(name: str) -> Mapping[str, TemplateRole]:
    """The files that relay renders of the folder of a template."""
    return _BULLETIN_ROLES if name.startswith(f"{BULLETIN_FOLDER}/") else _ROLES


def _role(name: str) -> TemplateRole | None:
    return _roles(name).get(name.rpartition("/")[2])


def is_bulletin_file(name: str) -> bool:
    """Whether a file is one of those that make the messages about several incidents."""
    return _roles(name) is _BULLETIN_ROLES and _role(name) is not None


_PACKAGED: Final = "relay"


class TemplateFailed(Exception):
    """A template failed as a whole. The last of `failures` ended it."""

    def __init__(self, *failures: TemplateFailure) -> None:
        super().__init__(str(failures[-1]))
        self.failures = failures


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateOutput:
    """What a template printed, with relay's marks in it, and the tags in it that failed."""

    text: str
    failures: tuple[TemplateFailure, ...] = ()


class TemplateLibrary:
    """All templates: the operator's, and the packaged ones behind them. A route can name one of `folders`.

    `has_own_templates` is False if the operator has none, or only copies of the packaged ones.

    Names are `folder/file.j2`. A broken file breaks no other: only running it raises `TemplateFailed`.
    """

    def __init__(self, sources: Mapping[str, str], packaged: Mapping[str, str] | None = None) -> None:
        """Compile every file of the operator, under its own name. The packaged ones are known to compile."""
        self._loader = _Loader(sources, packaged or {})
        self._environment = TemplateSandbox(loader=self._loader, cache_size=-1, auto_reload=False)
        self.folders = self._loader.folders - {_PACKAGED}
        self.has_own_templates = self._loader.has_own
        self._broken: set[str] = set()
        for name in sorted(self._loader.own):
            try:
                self._environment.get_template(name)
            except Exception:  # noqa: BLE001  whatever the compiler rejects breaks this file and no other
                self._broken.add(name)

    def compile_default(self) -> None:
        """Compile the templates of a card of the default folder, before a card needs them; it may run in a thread."""
        for name in self._loader.list_templates():
            if name.startswith(f"{DEFAULT_FOLDER}/"):
                with suppress(Exception):  # running it says what is wrong with it
                    self._environment.get_template(name)

    def faults(self, *, strict: bool = False) -> tuple[Fault, ...]:
        """Find all faults of the operator's files, and warnings.

        An unknown name is a warning, or with `strict` a fault.
        """
        return tuple(sorted(as_faults(self._findings, strict=strict)))

    @cached_property
    def _findings(self) -> Sequence[Finding]:
        files = {name: recovered(self._environment, name, source) for name, source in self._loader.own.items()}
        findings: list[Finding] = [(fault, False) for fault in unused_files(self._environment, files, _roles)]
        for name, readable in files.items():
            folder = name.rpartition("/")[0]
            if folder == _PACKAGED:
                message = f'the folder name "{_PACKAGED}" is reserved for the packaged templates; rename the folder'
                findings.append((Fault(file=name, message=message), False))
            compiles = folder != _PACKAGED and name not in self._broken
            findings += file_findings(self._environment, name, readable, role=_role(name), compiles=compiles)
        return findings

    def without_faulty_tags(self) -> dict[str, str]:
        """Return the operator's files without the tags that have faults, to see what else is wrong with them."""
        readable = {
            name: without_faulty_tags(self._environment, name, source, role=_role(name))
            for name, source in self._loader.own.items()
        }
        return {name: source for name, source in readable.items() if source is not None}

    def run(self, name: str, variables: Mapping[str, Any]) -> TemplateOutput:
        """Run a template; raises `TemplateFailed`. An unknown folder is treated as one without files."""
        if name.partition("/")[0] not in self.folders:
            name = f"{DEFAULT_FOLDER}/{name.partition('/')[2]}"
        try:
            template = self._environment.get_template(name)
        except TemplateNotFound as error:
            missing = TemplateFailure(file=name, line=0, message="there is no such template")
            raise TemplateFailed(missing) from error
        except Exception as error:
            raise TemplateFailed(failure_of(error)) from error
        with start_run() as run:
            try:
                text = "".join(template.root_render_func(template.new_context(dict(variables))))
            except Exception as error:
                raise TemplateFailed(*run.failures, failure_of(error)) from error
        return TemplateOutput(text=text, failures=tuple(run.failures))


class _Loader(BaseLoader):
    """Finds the source of a template by the rule in this module's docstring."""

    def __init__(self, own: Mapping[str, str], packaged: Mapping[str, str]) -> None:
        self._own_folders = _folders(own)
        self.folders = frozenset({DEFAULT_FOLDER, _PACKAGED, *self._own_folders, *_folders(packaged)})
        self.own = {name: without_marks(source) for name, source in own.items()}
        self._packaged = {name: without_marks(source) for name, source in packaged.items()}
        self.has_own = any(packaged.get(name) != source for name, source in own.items())

    def list_templates(self) -> list[str]:
        """The names of all files."""
        return sorted({*self.own, *self._packaged})

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:  # noqa: ARG002  Jinja's
        """Return the source and the name of the file that holds it."""
        folder, _, file = template.rpartition("/")
        default = f"{DEFAULT_FOLDER}/{file}" if folder in self.folders else template
        if folder == _PACKAGED and default in self._packaged:
            return self._packaged[default], template, None
        # An operator's folder replaces the packaged one of its name, but nothing else has the files for bulletins.
        packaged = {} if folder in self._own_folders - {BULLETIN_FOLDER} else self._packaged
        places = ((self.own, template), (packaged, template), (self.own, default), (self._packaged, default))
        for sources, name in places:
            if name in sources:
                return sources[name], name, None
        raise TemplateNotFound(template)


def _folders(sources: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.partition("/")[0] for name in sources if "/" in name)
