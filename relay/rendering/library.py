"""The templates of one configuration: compiled once, then only read.

A template is a folder. Where it lacks a file, `incident/` stands in, and behind that what relay is packaged with; so
`payments/status.j2` always exists. Files next to a template are found by their bare name (`{% include "alert.j2" %}`),
under the same rule; `relay/card.j2` is the packaged file, for those who want to extend it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import BaseLoader, Environment, Template, TemplateNotFound

from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.errors import Fault
from relay.rendering.context import without_marks
from relay.rendering.engine.budget import failure, watching
from relay.rendering.engine.sandbox import Sandbox
from relay.rendering.lint.lint import Made, faults_of, unused
from relay.rendering.request import TemplateFailure

DEFAULT_FOLDER: Final = "incident"
"""The folder that a route uses where it names none, and that stands in for what others lack."""

CARD: Final = "card"

_MADE: Final[Mapping[str, Made]] = {f"{CARD}.j2": "card", **{f"{kind}.j2": "entry" for kind in ENTRY_TEMPLATES}}
"""The files that relay asks for by their names, and what they make."""
_PACKAGED: Final = "relay"


class TemplateFailed(Exception):
    """A template failed as a whole; `failures` says where and why."""

    def __init__(self, *failures: TemplateFailure) -> None:
        """Take what failed, the reason for the end last."""
        super().__init__(str(failures[-1]))
        self.failures = failures


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateOutput:
    """What a template printed, with relay's marks in it, and the parts of it that failed."""

    text: str
    failures: tuple[TemplateFailure, ...] = ()


class TemplateLibrary:
    """All templates: those of the operator, and the packaged ones behind them.

    Names are `folder/file.j2`. A broken file takes nothing else with it: who asks for it gets `TemplateFailed`.
    """

    def __init__(self, sources: Mapping[str, str], packaged: Mapping[str, str] | None = None) -> None:
        """Compile every template that a route can name."""
        self._finder = _Finder(sources, packaged or {})
        self._environment = Sandbox(loader=self._finder, cache_size=-1, auto_reload=False)
        self._folders = self._finder.folders - {_PACKAGED}
        self._broken: dict[str, TemplateFailure] = {}
        self._ready = dict(self._compiled())

    @property
    def folders(self) -> frozenset[str]:
        """The templates that a route can name."""
        return self._folders

    def faults(self, *, strict: bool = False) -> tuple[Fault, ...]:
        """Everything that is wrong with the operator's files, and what looks wrong (as warnings).

        Names of which nothing is known are among the warnings; with `strict`, among the faults.
        """
        own = self._finder.own
        found = list(unused(self._environment, own, _MADE))
        for name, source in own.items():
            folder, _, file = name.rpartition("/")
            if folder == _PACKAGED:
                found.append(
                    Fault(file=name, message=f'the folder name "{_PACKAGED}" stands for the packaged templates')
                )
            found += faults_of(self._environment, name, source, makes=_MADE.get(file), strict=strict)
        return tuple(sorted(found))

    def run(self, name: str, variables: Mapping[str, Any]) -> TemplateOutput:
        """What the template prints; raises `TemplateFailed`. A folder that is not there lacks every file."""
        if name.partition("/")[0] not in self._folders:
            name = f"{DEFAULT_FOLDER}/{name.partition('/')[2]}"
        if name in self._broken:
            raise TemplateFailed(self._broken[name])
        template = self._ready.get(name)
        if template is None:
            raise TemplateFailed(TemplateFailure(file=name, line=0, message="there is no such template"))
        with watching() as watch:
            try:
                text = "".join(template.root_render_func(template.new_context(dict(variables))))
            except Exception as error:
                raise TemplateFailed(*watch.failures, failure(error)) from error
        return TemplateOutput(text=text, failures=tuple(watch.failures))

    def _compiled(self) -> Iterator[tuple[str, Template]]:
        for name in sorted({*self._finder.names(self._folders)}):
            try:
                yield name, self._environment.get_template(name)
            except TemplateNotFound:
                continue
            except Exception as error:  # noqa: BLE001  whatever the compiler dislikes makes this file broken, no other
                self._broken[name] = failure(error)


class _Finder(BaseLoader):
    """Finds the source of a template by the rule on top of this module."""

    def __init__(self, own: Mapping[str, str], packaged: Mapping[str, str]) -> None:
        self._given = _folders(own)
        self.folders = frozenset({DEFAULT_FOLDER, _PACKAGED, *self._given, *_folders(packaged)})
        self.own = {name: without_marks(source) for name, source in own.items()}
        self._packaged = {name: without_marks(source) for name, source in packaged.items()}

    def names(self, folders: Iterable[str]) -> Iterator[str]:
        """Every name under which a template can be asked for."""
        defaults = {
            name.rpartition("/")[2] for name in (*self.own, *self._packaged) if name.startswith(f"{DEFAULT_FOLDER}/")
        }
        yield from self.own
        yield from (name for name in self._packaged if name.partition("/")[0] not in self._given)
        yield from (f"{folder}/{file}" for folder in folders for file in defaults)

    def list_templates(self) -> list[str]:
        """The names of all files."""
        return sorted({*self.own, *self._packaged})

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:  # noqa: ARG002  Jinja's
        """The source and the file in which it stands."""
        folder, _, file = template.rpartition("/")
        default = f"{DEFAULT_FOLDER}/{file}" if folder in self.folders else template
        if folder == _PACKAGED and default in self._packaged:
            return self._packaged[default], template, None
        whole = self._packaged if folder not in self._given else {}  # an operator's folder replaces the packaged one
        for sources, name in (
            (self.own, template),
            (whole, template),
            (self.own, default),
            (self._packaged, default),
        ):
            if name in sources:
                return sources[name], name, None
        raise TemplateNotFound(template)


def _folders(sources: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.partition("/")[0] for name in sources if "/" in name)
