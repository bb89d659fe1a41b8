"""`python -m release check` and `python -m release make`; `make release` runs both, and the tests between them."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from relay import __version__
from release.conditions import Checkout, newest_release, notes, obstacles
from release.files import build, digests, export, run, write_checksums
from release.installation import install, try_out, write_sbom

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = "relay/store/migrations/versions"


def main(arguments: list[str] | None = None) -> int:
    """Check a checkout, or make its release; return the exit code. Nothing is pushed."""
    parser = argparse.ArgumentParser(prog="python -m release", description=main.__doc__)
    parser.add_argument("action", choices=("check", "make"))
    parser.add_argument("--contact", default="", help="where vulnerabilities are reported; default: git's user.email")
    parser.add_argument("--repository", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    checkout = look(options.repository, options.contact)
    if reasons := obstacles(checkout):
        print(*(f"Not released: {each}" for each in reasons), sep="\n", file=sys.stderr)
        return 1
    if options.action == "make":
        make(options.repository, checkout)
    return 0


def look(repository: Path, contact: str) -> Checkout:
    """Read from the repository what the conditions ask for."""

    def lines(*command: str) -> tuple[str, ...]:
        return tuple(run("git", *command, folder=repository).splitlines())

    tags = lines("tag", "--list")
    newest = newest_release(tags)
    return Checkout(
        version=__version__,
        changelog=(repository / "CHANGELOG.md").read_text(encoding="utf-8"),
        uncommitted=tuple(line[3:] for line in lines("status", "--porcelain")),
        tags=tags,
        migrated=lines("diff", "--name-only", "--diff-filter=a", newest, "--", MIGRATIONS) if newest else (),
        contact=contact or "".join(lines("config", "--get", "--default", "", "user.email")),
    )


def make(repository: Path, checkout: Checkout) -> None:
    """Build the files, install and try them, and only then tag the commit. A failure leaves no tag."""
    commit = run("git", "rev-parse", "HEAD", folder=repository).strip()
    epoch = int(run("git", "log", "-1", "--format=%ct", commit, folder=repository))
    into = repository / "dist" / checkout.tag
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        finished = _files(repository, commit, epoch, folder, checkout.version)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(finished, into)
    message = f"relay {checkout.version}\n\nSecurity contact: {checkout.contact}\n\n{notes(checkout.changelog)}\n"
    run(
        "git",
        "tag",
        "--annotate",
        "--cleanup=verbatim",
        f"--message={message}",
        checkout.tag,
        commit,
        folder=repository,
    )
    print(f"Tagged {checkout.tag}. The files are in {into}.")
    print(f"Nothing is pushed. To publish it: git push REMOTE {checkout.tag}, then upload the files.")


def _files(repository: Path, commit: str, epoch: int, folder: Path, version: str) -> Path:
    """Make all files of a release in a folder, and return that folder. Each part says when it begins."""
    source, finished = folder / "source", folder / "finished"
    print("Building the sdist, and the wheel from it, twice ...", flush=True)
    export(repository, commit, source)
    first = build(source, folder / "first", epoch)
    second = build(source, folder / "second", epoch)
    if digests(first) != digests(second):
        raise SystemExit(f"Not released: two builds of {commit} differ: {digests(first)}, {digests(second)}.")
    finished.mkdir()
    constraints = source / "constraints.txt"
    pythons = [_tried(file, folder / f"try-{file.suffix[1:]}", constraints, version) for file in first]
    for file in first:
        shutil.copy(file, finished)
    shutil.copy(constraints, finished / f"relay-{version}-constraints.txt")
    print("Listing its packages ...", flush=True)
    write_sbom(pythons[-1], source / "pyproject.toml", version, finished / f"relay-{version}.cdx.json", epoch)
    write_checksums(finished)
    return finished


def _tried(file: Path, folder: Path, constraints: Path, version: str) -> Path:
    print(f"Installing {file.name} into an empty environment, and playing the demo ...", flush=True)
    python = install(file, folder, constraints)
    try_out(python, version)
    return python


if __name__ == "__main__":
    raise SystemExit(main())
