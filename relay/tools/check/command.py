"""Check routes.yaml and the templates, and report everything that is wrong at once.

Errors are what a start or a reload rejects: `relay.config.files.judge` decides that for all of them. Warnings are what
relay accepts, but is probably not intended.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from relay.cards.reminding import has_reminders
from relay.config.files import judge, read_files
from relay.config.template_files import load_packaged
from relay.model.errors import ConfigurationError, Fault
from relay.model.struct import replace
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.parse import ParsedRoutes, parse_routes, parse_rulebook
from relay.routes.rulebook import Rulebook
from relay.tools.check.lint import impossible_comparisons, lint, unused_templates
from relay.tools.check.report import CheckReport
from relay.tools.check.template_trial import failures_of, without_buttons
from relay.tools.check.trial_simulation import Trial

REMINDERS: Final = (
    "note: `remind` needs to know who has an incident: set BIGPANDA_API_KEY, or let shares say so (addAssignments). "
    "Otherwise nobody is reminded; `relay doctor` says which."
)


def run_checks(routes: Path, templates: Path) -> CheckReport:
    """Check the file `routes` and the folder `templates` (the default folder may be missing).

    Raises ConfigurationError: routes.yaml cannot be read at all.
    """
    files = read_files(routes, templates)
    if unreadable := [fault for fault in files.read_faults if fault.file == files.routes_file]:
        raise ConfigurationError(unreadable)
    library = TemplateLibrary(files.templates, packaged=load_packaged())
    template_findings = [*library.faults(strict=True)]
    parsed, rejected = judge(files, library, library.faults())
    rulebook, route_findings = parsed.rulebook, _route_findings(parsed, files.routes_file)
    posts = []
    if rulebook:
        template_findings += unused_templates(rulebook, files.templates)
        posts = [post for route in rulebook.routes.flatten() for post in route.posts]
    if not files.read_faults and all(fault.warning for fault in template_findings):
        trial = Trial(files.templates, library)
        template_findings += failures_of(trial)
        with_buttons = {post.options.template for post in posts if post.options.actions}
        template_findings += without_buttons(trial, with_buttons)
    elif not files.read_faults:
        template_findings += _trial_of_the_rest(library, template_findings)
    found = {*files.read_faults, *map(files.with_path, template_findings), *route_findings, *rejected}
    return CheckReport(
        findings=_in_order({replace(each, warning=each not in rejected) for each in found}, files.routes_file),
        routes=sum(1 for _ in rulebook.routes.flatten()) if rulebook else 0,
        templates=len(files.templates),
        notes=(REMINDERS,) if rulebook and has_reminders(rulebook) else (),
    )


def _in_order(findings: Iterable[Fault], routes_file: str) -> tuple[Fault, ...]:
    """Those of routes.yaml first, each file from its top."""
    return tuple(sorted(findings, key=lambda each: (each.file != routes_file, each)))


def _trial_of_the_rest(library: TemplateLibrary, known: Sequence[Fault]) -> list[Fault]:
    """What fails when rendered in files with faults, without the faulty tags."""
    faulty = {(fault.file, fault.line) for fault in known}
    found = failures_of(Trial(library.without_faulty_tags()))
    return [each for each in found if each.line and not each.warning and (each.file, each.line) not in faulty]


def read_rulebook(path: Path) -> Rulebook:
    """Read and parse the routes alone, whatever the templates are.

    Raises ConfigurationError: the file cannot be read, or has faults.
    """
    files = read_files(path, templates=None)
    if files.read_faults:
        raise ConfigurationError(files.read_faults)
    return parse_rulebook(files.routes_text, file=files.routes_file)


def check_routes(text: str, file: str, folders: Iterable[str] | None) -> tuple[Rulebook | None, list[Fault]]:
    """Parse routes.yaml: the rulebook with its findings, or no rulebook and its faults.

    `folders` are the known template folders, or None.
    """
    known = None if folders is None else frozenset(folders)
    parsed = parse_routes(text, file=file, templates=known)
    return parsed.rulebook, _route_findings(parsed, file)


def _route_findings(parsed: ParsedRoutes, file: str) -> list[Fault]:
    if parsed.top is None:
        return [*parsed.faults]
    if parsed.rulebook is None:
        return sorted({*parsed.faults, *impossible_comparisons(parsed.top, file)})
    return lint(parsed.rulebook, parsed.top, file)
