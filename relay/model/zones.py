"""Time zones, from the package `tzdata` alone: every machine and every replica then agrees about every hour.

Python's own `zoneinfo.ZoneInfo(name)` prefers the data of the operating system, which may be older, or missing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

TZDATA_REMEDY: Final = "Install a newer relay, or the newest package with `pip install --upgrade tzdata`, and restart."
_NO_PLACE: Final = frozenset({"Factory"})
_UTC: Final = frozenset({"UTC", "Etc/UTC"})
_FIXED: Final = ("Etc/GMT", "GMT")


@cache
def tzdata_version() -> str:
    """The version of the data, such as `2026f`: the year, and a letter for each release of the year."""
    with resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi").open(encoding="utf-8") as file:
        return file.readline().rpartition(" ")[2].strip()


def find_zone(name: str) -> ZoneInfo | None:
    """The zone with this name, in exactly this case; None if there is none."""
    return _zone(name) if name in zone_names() else None


def tzdata_is_old(now: float) -> bool:
    """Whether the data is certainly older than a year at a moment (Unix seconds).

    Its version names only the year of its release, so this is from the second new year after it.
    """
    return datetime.fromtimestamp(now, UTC).year - int(tzdata_version()[:4]) > 1


@cache
def zone_names() -> frozenset[str]:
    """Every name that is a zone."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split()) - _NO_PLACE


def current_name(name: str) -> str:
    """The name that replaces the old name of a zone; itself if it is a place or UTC; empty if nothing replaces it.

    Old names are those that the IANA lists for no place, such as `US/Eastern`, `CET` and `Etc/GMT+2` (which is two
    hours behind UTC): https://data.iana.org/time-zones/theory.html#naming
    """
    if name in _places() | _UTC:
        return name
    target = _links().get(name, name)
    if target in _places():
        return target
    is_utc = target in (*_UTC, *_FIXED)
    return "UTC" if is_utc else ""


@cache
def _zone(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _places() -> frozenset[str]:
    """The zones of places, one or more for each country."""
    lines = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    return frozenset(line.split("\t")[2] for line in lines if line and not line.startswith("#"))


@cache
def _links() -> Mapping[str, str]:
    """Old name to the zone that it is a link to (https://man7.org/linux/man-pages/man8/zic.8.html#FILES)."""
    lines = resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text("utf-8").splitlines()
    return {link: target for _, target, link in (line.split() for line in lines if line.startswith("L "))}
