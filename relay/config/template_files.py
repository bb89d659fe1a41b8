"""Read templates from disk: the operator's folder, and the folder of relay's built-in templates."""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from relay.model.errors import ConfigurationError, ConfigurationUnreadable, Fault

MAX_TEMPLATE_BYTES: Final = 256 * 1024
"""The size of one template: far more than anybody writes, and too little to slow down a reload."""

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
    for path in sorted(_template_paths(folder)):
        name = path.relative_to(folder).as_posix()
        try:
            sources[name] = _read(path)
        except (OSError, ValueError) as error:
            raise_if_exhausted(error)
            faults.append(Fault(file=name, message=str(error)))
    if faults:
        raise ConfigurationError(faults)
    return sources


def raise_if_exhausted(error: Exception) -> None:
    """Raise ConfigurationUnreadable if the error says nothing about the file: nothing at all can be opened now."""
    if isinstance(error, OSError) and error.errno in _EXHAUSTED:
        raise ConfigurationUnreadable(f"relay cannot open files now: {error}") from error


def _fail(error: OSError) -> None:
    """A folder that cannot be read is not an empty one, but a folder that is gone is."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _template_paths(folder: Path) -> Iterator[Path]:
    """Find template files, also in linked folders, but not in hidden ones.

    Kubernetes mounts a volume as links to its hidden folder `..data`, and editors leave files such as `.#card.j2`.
    """
    for place, folders, files in os.walk(folder, onerror=_fail, followlinks=True):
        here = Path(place).resolve()
        parents = {here, *here.parents}  # following a link to one of these would never end
        folders[:] = [each for each in folders if each[0] != "." and Path(place, each).resolve() not in parents]
        yield from (Path(place, name) for name in files if name.endswith(".j2") and not name.startswith("."))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"larger than {MAX_TEMPLATE_BYTES // 1024} KiB, the limit for a template")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
