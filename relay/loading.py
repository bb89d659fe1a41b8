"""Reads what operators wrote, from disk, and gives it as one checked configuration.

Reading and checking are two steps, so that who reloads can read twice, see whether the files have kept still, and check
in a thread what takes long (half a second for a thousand routes).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from relay.configuration import Configuration
from relay.errors import ConfigurationError, Fault
from relay.rendering import TemplateLibrary
from relay.rulebook import load as load_rulebook
from relay.templates_on_disk import load_packaged, load_templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What operators wrote, as it was read and before anybody has checked it; equal where nothing has changed.

    `file` is what faults of the routes are said to stand in. `templates` are texts by name (`incident/card.j2`), and
    `folder` says whether there is a folder of them at all. `unread` says what could not be read, and why.
    """

    file: str
    routes: str
    templates: Mapping[str, str] = field(default_factory=dict)
    folder: bool = True
    unread: tuple[Fault, ...] = ()

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


def read(routes: Path, templates: Path) -> Written:
    """Read both; what cannot be read is a fault of what is returned."""
    text, unread = _routes(routes)
    own, unread_templates = _templates(templates)
    return Written(
        file=str(routes),
        routes=text,
        templates=own or {},
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
        faults = [*written.unread, *(fault for fault in library.faults() if not fault.warning)]
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
    """The templates; None where there is no folder of them."""
    try:
        return (load_templates(folder) if folder.is_dir() else None), ()
    except ConfigurationError as error:
        return {}, error.faults
    except (OSError, RuntimeError) as error:  # no permission; a link that leads to itself
        return {}, (Fault(file=str(folder), message=f"it cannot be read: {error}"),)


def _digest(routes: str, templates: Mapping[str, str], more: list[str | bool] | None = None) -> str:
    told = orjson.dumps([routes, dict(templates), *([more] if more else [])], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told).hexdigest()
