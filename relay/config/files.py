"""Read routes.yaml and the template folder from disk, and build a configuration from them.

These are two steps. The reloader reads twice to see whether the files have stopped changing. It builds in a thread,
which takes half a second for a thousand routes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from relay.config.configuration import Configuration
from relay.config.regular_file import read_regular_file
from relay.config.template_files import load_packaged, load_templates, raise_if_exhausted
from relay.model.errors import ConfigurationError, Fault
from relay.model.struct import replace
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.parse import ParsedRoutes, parse_routes

MAX_ROUTES_BYTES: Final = 4 * 1024 * 1024
"""The size of routes.yaml: some ten thousand routes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFiles:
    """The unchecked content of the files; equal if nothing has changed.

    Faults name `routes_file` and `templates_folder`. `templates` are sources by name (`incident/card.j2`).
    `has_templates_folder` says whether the folder exists. `read_faults` are the files that could not be read.
    """

    routes_file: str
    routes_text: str
    templates: Mapping[str, str] = field(default_factory=dict)
    templates_folder: str = ""
    has_templates_folder: bool = True
    read_faults: tuple[Fault, ...] = ()

    def with_path(self, fault: Fault) -> Fault:
        """Return a fault of a template with the path that an operator would open."""
        return replace(fault, file=str(Path(self.templates_folder, fault.file)))


def load_configuration(routes: Path, templates: Path) -> Configuration:
    """Read and check `routes.yaml` and the template folder. Raises ConfigurationError: every fault of both."""
    return build_configuration(read_files(routes, templates))


def read_files(routes: Path, templates: Path | None) -> ConfigurationFiles:
    """Read both, or only the routes. What cannot be read is in `read_faults`.

    Raises:
        ConfigurationUnreadable: this process cannot open any file now.
    """
    text, unread = _routes(routes)
    own, unread_templates = _templates(templates) if templates else (None, ())
    return ConfigurationFiles(
        routes_file=str(routes),
        routes_text=text,
        templates=own or {},
        templates_folder=str(templates or ""),
        has_templates_folder=own is not None,
        read_faults=(*unread, *unread_templates),
    )


def build_configuration(
    files: ConfigurationFiles, previous: Configuration | None = None, *, had_templates: bool = False
) -> Configuration:
    """Build a configuration. If the templates have not changed, the compiled ones of `previous` are reused.

    A folder of templates that disappears is usually an accident, and would change every card. So it is a fault if
    `previous` (or the configuration before, if `had_templates`) had templates.

    Raises ConfigurationError: every fault.
    """
    if previous is not None and previous.templates == files.templates:
        library, template_faults = previous.library, []
    else:
        library = TemplateLibrary(files.templates, packaged=load_packaged())
        template_faults = list(library.faults())
    if not files.has_templates_folder and (had_templates or (previous is not None and previous.templates)):
        message = "the folder of templates is missing; to use the built-in templates, leave the folder there, empty"
        template_faults.append(Fault(file="", message=message))
    routes, faults = judge(files, library, template_faults)
    if routes.rulebook is None or faults:
        raise ConfigurationError(faults)
    return Configuration(
        rulebook=routes.rulebook,
        library=library,
        templates=files.templates,
        hash=_digest(files.routes_text, files.templates)[:16],
    )


def judge(
    files: ConfigurationFiles, library: TemplateLibrary, template_faults: Iterable[Fault]
) -> tuple[ParsedRoutes, list[Fault]]:
    """Decide whether relay may use these files: the routes, and every fault for which it may not.

    It is the one judgement of a start, a reload and `relay check`. `template_faults` are those of the `library`;
    warnings among them do not count.
    """
    faults = [*files.read_faults, *(files.with_path(fault) for fault in template_faults if not fault.warning)]
    if any(fault.file == files.routes_file for fault in files.read_faults):
        return ParsedRoutes(), faults
    # If templates cannot be read, relay does not know which are missing.
    folders = None if files.read_faults else library.folders
    routes = parse_routes(files.routes_text, file=files.routes_file, templates=folders)
    return routes, [*routes.faults, *faults]


def _routes(path: Path) -> tuple[str, list[Fault]]:
    try:
        text = read_regular_file(path, MAX_ROUTES_BYTES).decode()
        return text.replace("\r\n", "\n").replace("\r", "\n"), []
    except FileNotFoundError:
        return "", [Fault(file=str(path), message="file not found; set --routes or RELAY_ROUTES")]
    except (OSError, UnicodeDecodeError) as error:
        raise_if_exhausted(error)
        return "", [Fault(file=str(path), message=f"cannot be read: {error}")]


def _templates(folder: Path) -> tuple[Mapping[str, str] | None, tuple[Fault, ...]]:
    """The templates; None if there is no folder and none is needed."""
    try:
        if folder.is_dir():
            return load_templates(folder), ()
        # The default folder may be missing, because relay has built-in templates; any other was set. The container
        # image sets /etc/relay/templates, whether it exists or not.
        missing = folder.parent.is_dir() and not (folder.exists() or folder.is_symlink())
        if missing and folder.name == "templates":
            return None, ()
        problem = "not a folder" if folder.exists() else "folder not found"
        message = f"{problem}; set --templates or RELAY_TEMPLATES, or create it (empty, to use the built-in templates)"
        return {}, (Fault(file=str(folder), message=message),)
    except ConfigurationError as error:
        return {}, tuple(replace(fault, file=str(folder / fault.file)) for fault in error.faults)
    except (OSError, RuntimeError) as error:  # no permission; a link that leads to itself
        raise_if_exhausted(error)
        return {}, (Fault(file=str(folder), message=f"cannot be read: {error}"),)


def _digest(routes: str, templates: Mapping[str, str]) -> str:
    content = orjson.dumps([routes, dict(templates)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
