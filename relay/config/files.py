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
from relay.model.errors import ConfigurationError, Fault
from relay.rendering.library import TemplateLibrary
from relay.routes.parser import load as load_rulebook
from relay.config.template_files import load_packaged, load_templates

USUAL = "templates"
"""How the folder of templates is called unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What operators wrote, as it was read and before anybody has checked it; equal where nothing has changed.

    `file` and `above` are the file of the routes and the folder of the templates, as faults name them. `templates` are
    texts by name (`incident/card.j2`), and `folder` says whether there is a folder of them at all. `unread` says what
    could not be read, and why.
    """

    file: str
    routes: str
    templates: Mapping[str, str] = field(default_factory=dict)
    above: str = ""
    folder: bool = True
    unread: tuple[Fault, ...] = ()

    def placed(self, fault: Fault) -> Fault:
        """A fault of a template, in the file that an operator would open."""
        return replace(fault, file=str(Path(self.above, fault.file)))

    @property
    def digest(self) -> str:
        """A name for just this content, wherever it stands."""
        unread = [fault.message for fault in self.unread]
        return _digest(self.routes, self.templates, [*unread, self.folder])


def load(routes: Path, templates: Path) -> Configuration:
    """Read and check `routes.yaml` and the folder of templates.

    Raises:
        ConfigurationError: every fault of both, where it stands.
    """
    return check(read(routes, templates))


def read(routes: Path, templates: Path | None) -> Written:
    """Read both, or the routes alone; what cannot be read is a fault of what is returned."""
    text, unread = _routes(routes)
    own, unread_templates = _templates(templates) if templates else (None, ())
    return Written(
        file=str(routes),
        routes=text,
        templates=own or {},
        above=str(templates or ""),
        folder=own is not None,
        unread=(*unread, *unread_templates),
    )


def check(written: Written, before: Configuration | None = None) -> Configuration:
    """Make a configuration of it. `before` lends its compiled templates, where they are the same.

    Raises:
        ConfigurationError: every fault, where it stands.
    """
    if before is not None and before.templates == written.templates:
        library, faults = before.library, list(written.unread)
    else:
        library = TemplateLibrary(written.templates, packaged=load_packaged())
        faults = [*written.unread, *(written.placed(fault) for fault in library.faults() if not fault.warning)]
    if any(fault.file == written.file for fault in written.unread):
        raise ConfigurationError(faults)
    # Where templates cannot be read, nobody knows which are missing.
    folders = None if written.unread else library.folders
    try:
        rulebook = load_rulebook(written.routes, file=written.file, templates=folders)
    except ConfigurationError as error:
        raise ConfigurationError([*error.faults, *faults]) from error
    if faults:
        raise ConfigurationError(faults)
    return Configuration(
        rulebook=rulebook,
        library=library,
        templates=written.templates,
        hash=_digest(written.routes, written.templates)[:16],
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
    return folder.name == USUAL and folder.parent.is_dir() and not (folder.exists() or folder.is_symlink())


def _no_folder(folder: Path) -> Fault:
    what = "this is no folder" if folder.exists() else "there is no such folder"
    message = f"{what}; set RELAY_TEMPLATES, or make it, and leave it empty where relay's own templates are wanted"
    return Fault(file=str(folder), message=message)


def _digest(routes: str, templates: Mapping[str, str], more: list[str | bool] | None = None) -> str:
    told = orjson.dumps([routes, dict(templates), *([more] if more else [])], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told).hexdigest()
