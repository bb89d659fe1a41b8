"""Read templates from disk: the operator's folder, and the folder of relay's built-in templates."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from relay.config.regular_file import read_regular_file
from relay.model.errors import ConfigurationError, ConfigurationUnreadable, Fault

MAX_TEMPLATE_BYTES: Final = 256 * 1024
"""The size of one template: far more than anybody writes, and too little to slow down a reload."""

MAX_TEMPLATES: Final = 1000
MAX_TOTAL_BYTES: Final = 8 * 1024 * 1024
"""How many templates a folder may have with all its subfolders, and their size together."""

MAX_ENTRIES: Final = 10_000
MAX_DEPTH: Final = 8
"""How many entries (files, folders, links) relay looks at, and how deep folders may be nested.

Folders that link to each other have endlessly many paths, though each path ends.
"""

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_HERE: Final = Path(__file__).resolve().parents[1]


def packaged_folder() -> Path:
    """The folder of the built-in templates: in the package if relay is installed, else at the top of the checkout."""
    installed = _HERE / "templates"
    return installed if installed.is_dir() else _HERE.parent / "templates"


def load_packaged() -> Mapping[str, str]:
    """Read the built-in templates, by name (`incident/card.j2`)."""
    return load_templates(packaged_folder())


def load_templates(folder: Path) -> Mapping[str, str]:
    """Read every template of a folder, by name (`payments/card.j2`); none if there is no such folder.

    Raises ConfigurationError: every file that cannot be read, is not UTF-8, or is too large; ConfigurationUnreadable:
    this process cannot open a file now; OSError: a folder cannot be read.
    """
    sources: dict[str, str] = {}
    faults: list[Fault] = []
    left = MAX_TOTAL_BYTES
    for path in sorted(_template_paths(folder)):
        name = path.relative_to(folder).as_posix()
        try:
            sources[name] = _read(path)
        except (OSError, ValueError) as error:
            raise_if_exhausted(error)
            faults.append(Fault(file=name, message=str(error)))
            continue
        left -= len(sources[name])
        if left < 0:
            limit = f"with this template all together are larger than {MAX_TOTAL_BYTES // 2**20} MiB, the limit"
            raise ConfigurationError([*faults, Fault(file=name, message=limit)])
    if faults:
        raise ConfigurationError(faults)
    return sources


def raise_if_exhausted(error: Exception) -> None:
    """Raise ConfigurationUnreadable if the error says nothing about the file: nothing at all can be opened now."""
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        raise ConfigurationUnreadable(f"relay cannot open files now: {error}") from error


def _template_paths(folder: Path) -> list[Path]:
    """Find template files, also in linked folders, but not in hidden ones.

    Kubernetes mounts a volume as links to its hidden folder `..data`, and editors leave files such as `.#card.j2`.

    Raises:
        ConfigurationError: there are too many, or they are nested too deep.
    """
    found: list[Path] = []
    entries = 0
    folders = [(folder, 0)]
    while folders:
        place, depth = folders.pop()
        here = place.resolve()
        parents = {here, *here.parents}  # following a link to one of these would never end
        for entry in _entries(place):
            entries += 1
            path = Path(entry)
            if entry.name.startswith("."):
                pass
            elif is_folder(entry):
                if path.resolve() not in parents:
                    folders.append((path, depth + 1))
            elif entry.name.endswith(".j2"):
                found.append(path)
            _check_bounds(path.relative_to(folder), entries, len(found), depth)
    return found


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder contains. One that cannot be read is not an empty one, but one that is gone is."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from entries


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one; not if the link leads to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _check_bounds(name: Path, entries: int, templates: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        problem = f"more than {MAX_DEPTH} folders deep"
    elif templates > MAX_TEMPLATES:
        problem = f"there are more than {MAX_TEMPLATES} templates"
    elif entries > MAX_ENTRIES:
        problem = f"there are more than {MAX_ENTRIES} files, folders and links"
    else:
        return
    raise ConfigurationError([Fault(file=name.as_posix(), message=f"{problem}; does a link lead to a wrong folder?")])


def _read(path: Path) -> str:
    content = read_regular_file(path, MAX_TEMPLATE_BYTES)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
