"""Reads templates from disk: the operator's folder, and the one that relay is packaged with."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from relay.model.errors import ConfigurationError, Fault

SUFFIX: Final = ".j2"
LARGEST: Final = 256 * 1024
"""Bytes of one template: far more than anybody writes, far less than what would slow down a reload."""

_HERE: Final = Path(__file__).resolve().parents[1]


def packaged_folder() -> Path:
    """Where relay's own templates stand: beside this module where relay is installed, else on top of the checkout."""
    installed = _HERE / "templates"
    return installed if installed.is_dir() else _HERE.parent / "templates"


def load_packaged() -> Mapping[str, str]:
    """Relay's own templates, by name (`incident/card.j2`)."""
    return load_templates(packaged_folder())


def load_templates(folder: Path | None) -> Mapping[str, str]:
    """Every template of a folder, by name (`payments/card.j2`); none where there is no such folder.

    Raises:
        ConfigurationError: for all files that cannot be read, are not UTF-8, or are absurdly large.
    """
    if folder is None or not folder.is_dir():
        return {}
    sources: dict[str, str] = {}
    faults: list[Fault] = []
    for path in sorted(_found(folder)):
        name = path.relative_to(folder).as_posix()
        try:
            sources[name] = _read(path)
        except (OSError, ValueError) as error:
            faults.append(Fault(file=name, message=str(error)))
    if faults:
        raise ConfigurationError(faults)
    return sources


def _found(folder: Path) -> Iterator[Path]:
    """The files of templates. Folders behind links count, as in a volume that Kubernetes mounts; hidden ones never do.

    What Kubernetes keeps in `..data` shows through links beside it, and editors leave `.#card.j2` behind.
    """
    for place, folders, files in os.walk(folder, followlinks=True):
        around = Path(place).resolve()
        folders[:] = [name for name in folders if not name.startswith(".") and not _leads_back(place, name, around)]
        yield from (Path(place, name) for name in files if name.endswith(SUFFIX) and not name.startswith("."))


def _leads_back(place: str, name: str, around: Path) -> bool:
    """Whether a folder is a link to one that it is in: following it would never end."""
    inside = Path(place, name).resolve()
    return inside == around or inside in around.parents


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB, which no template is")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
