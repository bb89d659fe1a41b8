"""Reads what operators wrote, from disk, and gives it as one checked configuration.

Reading and checking are two steps, so that who reloads can read twice, see whether the files have kept still, and check
in a thread what takes long (half a second for a thousand routes).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from relay.config.configuration import Configuration
from relay.config.template_files import load_packaged, load_templates
from relay.model.errors import ConfigurationError, Fault
from relay.rendering.library import TemplateLibrary
from relay.routes.parser.parse import parse_rulebook as load_rulebook

DEFAULT_TEMPLATES_FOLDER = "templates"
"""How the folder of templates is called unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFiles:
    """What operators wrote, as it was read and before anybody has checked it; equal where nothing has changed.

    `file` and `above` are the file of the routes and the folder of the templates, as faults name them. `templates` are
    texts by name (`incident/card.j2`), and `folder` says whether there is a folder of them at all. `unread` says what
    could not be read, and why.
    """

    routes_file: str
    routes_text: str
    templates: Mapping[str, str] = field(default_factory=dict)
    templates_folder: str = ""
    has_templates_folder: bool = True
    read_faults: tuple[Fault, ...] = ()

    def with_path(self, fault: Fault) -> Fault:
        """A fault of a template, in the file that an operator would open."""
        return replace(fault, file=str(Path(self.templates_folder, fault.file)))

    @property
    def digest(self) -> str:
        """A name for just this content, wherever it stands."""
        unread = [fault.message for fault in self.read_faults]
        return _digest(self.routes_text, self.templates, [*unread, self.has_templates_folder])


def load_configuration(routes: Path, templates: Path) -> Configuration:
    """Read and check `routes.yaml` and the folder of templates.

    Raises:
        ConfigurationError: every fault of both, where it stands.
    """
    return build_configuration(read_files(routes, templates))


def read_files(routes: Path, templates: Path | None) -> ConfigurationFiles:
    """Read both, or the routes alone; what cannot be read is a fault of what is returned."""
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


def build_configuration(files: ConfigurationFiles, previous: Configuration | None = None) -> Configuration:
    """Make a configuration of it. `before` lends its compiled templates, where they are the same.

    Raises:
        ConfigurationError: every fault, where it stands.
    """
    if previous is not None and previous.templates == files.templates:
        library, faults = previous.library, list(files.read_faults)
    else:
        library = TemplateLibrary(files.templates, packaged=load_packaged())
        faults = [*files.read_faults, *(files.with_path(fault) for fault in library.faults() if not fault.warning)]
    if any(fault.file == files.routes_file for fault in files.read_faults):
        raise ConfigurationError(faults)
    # Where templates cannot be read, nobody knows which are missing.
    folders = None if files.read_faults else library.folders
    try:
        rulebook = load_rulebook(files.routes_text, file=files.routes_file, templates=folders)
    except ConfigurationError as error:
        raise ConfigurationError([*error.faults, *faults]) from error
    if faults:
        raise ConfigurationError(faults)
    return Configuration(
        rulebook=rulebook,
        library=library,
        templates=files.templates,
        hash=_digest(files.routes_text, files.templates)[:16],
    )


def _routes(path: Path) -> tuple[str, list[Fault]]:
    try:
        return path.read_text(encoding="utf-8"), []
    except FileNotFoundError:
        return "", [Fault(file=str(path), message="there is no such file; set RELAY_ROUTES")]
    except (OSError, UnicodeDecodeError) as error:
        return "", [Fault(file=str(path), message=f"it cannot be read: {error}")]


def _templates(folder: Path) -> tuple[Mapping[str, str] | None, tuple[Fault, ...]]:
    """The templates; None where there is no folder of them, and need not be."""
    try:
        if folder.is_dir():
            return load_templates(folder), ()
        return (None, ()) if _need_not_be(folder) else ({}, (_no_folder(folder),))
    except ConfigurationError as error:
        return {}, tuple(replace(fault, file=str(folder / fault.file)) for fault in error.faults)
    except (OSError, RuntimeError) as error:  # no permission; a link that leads to itself
        return {}, (Fault(file=str(folder), message=f"it cannot be read: {error}"),)


def _need_not_be(folder: Path) -> bool:
    """Relay's own templates serve where nobody made a folder; another name than the usual was written by somebody.

    The image names /etc/relay/templates, whether there are any or not.
    """
    return (
        folder.name == DEFAULT_TEMPLATES_FOLDER
        and folder.parent.is_dir()
        and not (folder.exists() or folder.is_symlink())
    )


def _no_folder(folder: Path) -> Fault:
    what = "this is no folder" if folder.exists() else "there is no such folder"
    message = f"{what}; set RELAY_TEMPLATES, or make it, and leave it empty where relay's own templates are wanted"
    return Fault(file=str(folder), message=message)


def _digest(routes: str, templates: Mapping[str, str], more: list[str | bool] | None = None) -> str:
    told = orjson.dumps([routes, dict(templates), *([more] if more else [])], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told).hexdigest()
