"""Decides whether a checkout may be released. Pure: it gets what is there, and returns what is wrong."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TAG = re.compile(r"v\d+\.\d+\.\d+")
_SECTION = re.compile(r"^## (?P<version>\S+)(?: \((?P<date>[^)]*)\))?$", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
UPGRADE = "### Upgrade"
"""Each version says what to do before and after the upgrade, even if that is nothing."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What is to be released.

    `version` is the code's. `uncommitted` are the changed and unknown files, as `git status --porcelain` names them.
    `tags` are the names of all tags. `migrated` are the migrations that were released and have been changed since.
    `contact` is the e-mail address to which vulnerabilities are reported.
    """

    version: str
    changelog: str
    uncommitted: tuple[str, ...]
    tags: tuple[str, ...]
    migrated: tuple[str, ...]
    contact: str

    @property
    def tag(self) -> str:
        """The name of the release's tag."""
        return f"v{self.version}"


def obstacles(checkout: Checkout) -> list[str]:
    """Return every reason not to release, each with what to do."""
    return [
        *_version(checkout),
        *_files(checkout),
        *_migrations(checkout),
        *_changelog(checkout),
        *_contact(checkout.contact),
    ]


def newest_release(tags: Iterable[str]) -> str | None:
    """Return the tag of the highest version that is released."""
    return max(filter(_TAG.fullmatch, tags), key=_number, default=None)


def notes(changelog: str) -> str:
    """Return what the newest section of the changelog says, without its heading."""
    sections = _SECTION.split(changelog, maxsplit=2)
    return sections[3].strip() if len(sections) > 3 else ""  # noqa: PLR2004  text, version, date, and the section


def _version(checkout: Checkout) -> Iterable[str]:
    newest = newest_release(checkout.tags)
    if not _TAG.fullmatch(checkout.tag):
        yield f"The version is {checkout.version}. Write three numbers (https://semver.org) into relay/__init__.py."
    elif checkout.tag in checkout.tags:
        yield f"The tag {checkout.tag} exists. A release never changes: raise __version__ in relay/__init__.py."
    elif newest is not None and _number(newest) > _number(checkout.tag):
        yield f"{newest} is released, and {checkout.version} is older: raise __version__ in relay/__init__.py."


def _number(tag: str) -> tuple[int, ...]:
    return tuple(int(part) for part in tag.removeprefix("v").split("."))


def _files(checkout: Checkout) -> Iterable[str]:
    if checkout.uncommitted:
        listed = ", ".join(checkout.uncommitted[:5])
        yield f"{len(checkout.uncommitted)} files are not committed ({listed}). Commit or remove them."


def _migrations(checkout: Checkout) -> Iterable[str]:
    if checkout.migrated:
        listed = ", ".join(checkout.migrated)
        yield f"{listed}: databases of users have run this migration already. Restore it, and add a new one."


def _changelog(checkout: Checkout) -> Iterable[str]:
    newest = _SECTION.search(checkout.changelog)
    if newest is None or newest["version"] != checkout.version:
        found = "has no version" if newest is None else f"begins with {newest['version']}"
        yield f"CHANGELOG.md {found}. Write the section `## {checkout.version} (date)`."
        return
    if not _DATE.fullmatch(newest["date"] or ""):
        yield f"CHANGELOG.md gives {checkout.version} no date. Write `## {checkout.version} (YYYY-MM-DD)`."
    if UPGRADE not in notes(checkout.changelog).splitlines():
        yield f"CHANGELOG.md has no `{UPGRADE}` in {checkout.version}. Say what to do before and after the upgrade."


def _contact(contact: str) -> Iterable[str]:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", contact) or re.search(r"no-?reply", contact, re.IGNORECASE):
        found = f"{contact} reaches nobody" if contact else "There is no address to which vulnerabilities are reported"
        yield f"{found}. Say `make release CONTACT=security@your.domain`: the tag names it (SECURITY.md)."
