"""Everything that is wrong with routes.yaml and the templates, at once.

Faults are what `relay serve` refuses, and comparisons that can never hold; warnings are what works but is hardly meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from relay.config.files import read_files
from relay.config.template_files import load_packaged
from relay.model.errors import ConfigurationError, Fault
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.context import ParseContext
from relay.routes.parser.parse import parse_rulebook
from relay.routes.parser.yaml_nodes import MappingNode
from relay.routes.parser.yaml_parser import parse_yaml
from relay.routes.rulebook import Rulebook
from relay.tools.check.lint import lint, never_holding, unused_folders
from relay.tools.check.report import CheckReport
from relay.tools.check.template_trial import trial, without_buttons


def run_checks(routes: Path, templates: Path) -> CheckReport:
    """Look at everything that there is in `routes` (a file) and `templates` (a folder; the usual one may be missing).

    Raises:
        ConfigurationError: routes.yaml cannot be read at all.
    """
    written = read_files(routes, templates)
    if refused := [fault for fault in written.read_faults if fault.file == written.routes_file]:
        raise ConfigurationError(refused)
    library = TemplateLibrary(written.templates, packaged=load_packaged())
    # Where templates cannot be read, nobody knows which are missing.
    rulebook, found = check_routes(
        written.routes_text, written.routes_file, None if written.read_faults else library.folders
    )
    of_templates = [*library.faults(strict=True), *(_idle(rulebook, written.templates) if rulebook else ())]
    if not written.read_faults and all(fault.warning for fault in of_templates):
        of_templates += trial(written.templates)
        of_templates += without_buttons(written.templates, _with_buttons(rulebook) if rulebook else ())
    return CheckReport(
        findings=(*found, *sorted([*written.read_faults, *map(written.with_path, of_templates)])),
        routes=sum(1 for _ in rulebook.routes.flatten()) if rulebook else 0,
        templates=len(written.templates),
    )


def read_rulebook(path: Path) -> Rulebook:
    """The routes of a file alone, whatever the templates are.

    Raises:
        ConfigurationError: it cannot be read, or has faults.
    """
    written = read_files(path, templates=None)
    if written.read_faults:
        raise ConfigurationError(written.read_faults)
    return parse_rulebook(written.routes_text, file=written.routes_file)


def check_routes(text: str, file: str, folders: Iterable[str] | None) -> tuple[Rulebook | None, list[Fault]]:
    """The rulebook and what is found in it, or its faults; `folders` are the templates that there are, if known."""
    top = parse_yaml(text, ParseContext(file=file))
    try:
        rulebook = parse_rulebook(text, file=file, templates=None if folders is None else frozenset(folders))
    except ConfigurationError as error:
        more = never_holding(top, file) if isinstance(top, MappingNode) else []
        return None, sorted({*error.faults, *more})
    return rulebook, lint(rulebook, top, file) if isinstance(top, MappingNode) else []


def _idle(rulebook: Rulebook, sources: Mapping[str, str]) -> Iterator[Fault]:
    for folder in unused_folders(rulebook, sources):
        yield Fault(file=folder, message="no route names this template, and no other template uses it", warning=True)


def _with_buttons(rulebook: Rulebook) -> set[str]:
    """The templates of cards that have actions."""
    posts = (post for route in rulebook.routes.flatten() for post in route.posts)
    return {post.options.template for post in posts if post.options.actions}
