"""Installs the files of a release into empty environments, as a user does, and plays the demo with each."""

import sys
import venv
from pathlib import Path

from release.files import run


class InstallationFailed(Exception):
    """What is installed does not work; the message says how."""


def install(file: Path, folder: Path, constraints: Path) -> Path:
    """Install a wheel or an sdist into a new environment at the pinned versions; return its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--constraint", constraints, file, folder=folder)
    return python


def try_out(python: Path, version: str) -> None:
    """Play the demo with what is installed there, in a folder in which no checkout is.

    Raises InstallationFailed: it is another version, or its demo does not end as it should.
    """
    relay = python.with_name("relay")
    folder = python.parents[1]
    printed = run(relay, "--version", folder=folder).strip()
    if printed != f"relay {version}":
        raise InstallationFailed(f"{relay} --version prints {printed!r}, not version {version}.")
    played = run(relay, "demo", "--once", folder=folder)
    if "Resolved after" not in played:
        raise InstallationFailed(f"{relay} demo --once does not show a resolved incident.")


def write_sbom(python: Path, pyproject: Path, version: str, into: Path, epoch: int) -> None:
    """List every package of an environment, with version and licence, as CycloneDX JSON.

    `pyproject` describes relay; the tool does not read a version that hatchling finds elsewhere.
    """
    described = into.with_suffix(".toml")
    text = pyproject.read_text(encoding="utf-8").replace('dynamic = ["version"]', f'version = "{version}"')
    described.write_text(text, encoding="utf-8")
    options = ("--output-reproducible", "--output-format", "JSON", "--spec-version", "1.6", "--pyproject", described)
    tool = (sys.executable, "-m", "cyclonedx_py", "environment", *options, "--output-file", into, python)
    run(*tool, folder=into.parent, SOURCE_DATE_EPOCH=str(epoch))
    described.unlink()
