"""Builds the files of a release from a commit: the same commit gives the same bytes."""

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a program, and return what it prints.

    Raises subprocess.CalledProcessError: it failed. What it said stands on the standard error.
    """
    process = subprocess.run(  # noqa: S603  the commands stand in this package
        [str(each) for each in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return process.stdout


def export(repository: Path, commit: str, folder: Path) -> None:
    """Write the files of a commit into a new folder: nothing that is only in the work tree gets into a release."""
    archive = folder.with_suffix(".tar")
    run("git", "archive", "--format=tar", f"--output={archive}", commit, folder=repository)
    _unpack(archive, folder)
    archive.unlink()


def build(source: Path, into: Path, epoch: int) -> tuple[Path, Path]:
    """Build the sdist, and from it alone the wheel; return both files. `epoch` is the time in them (Unix seconds).

    The tools are those of this environment, at the versions in constraints.txt.
    """
    [sdist] = _hatchling(source, "sdist", into, epoch)
    unpacked = into / "unpacked"
    _unpack(sdist, unpacked)
    [wheel] = _hatchling(next(unpacked.iterdir()), "wheel", into, epoch)
    return sdist, wheel


def _hatchling(source: Path, target: str, into: Path, epoch: int) -> list[Path]:
    into.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", into)
    run(*command, folder=source, SOURCE_DATE_EPOCH=str(epoch))
    return list(into.glob({"sdist": "*.tar.gz", "wheel": "*.whl"}[target]))


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")


def digests(files: Iterable[Path]) -> Mapping[str, str]:
    """Return the SHA-256 of each file, by its name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def write_checksums(folder: Path) -> None:
    """Write the file that `sha256sum --check` reads, about all files of a folder."""
    files = sorted(file for file in folder.iterdir() if file.name != CHECKSUMS)
    lines = [f"{digest}  {name}\n" for name, digest in digests(files).items()]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="ascii")
