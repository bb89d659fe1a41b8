"""A small language for saying what JSON may look like, with findings in Slack's own words.

A `Check` looks at one value at one place (a JSON pointer) and reports what is wrong with it. Checks are built from
checks, so that a block is a table of its keys. Wordings follow what Slack's `response_metadata.messages` was seen to
hold, for example `must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from relay.slack.limits import is_link

Report = Callable[[str, str], None]
"""Takes what is wrong and the JSON pointer of where."""

Check = Callable[[Any, str, Report], None]
"""Looks at a value at a JSON pointer."""

NOTHING: Mapping[str, Check] = {}


class Findings:
    """A `Report` that keeps what it is told, in order, as Slack writes it."""

    def __init__(self) -> None:
        """Begin with nothing found."""
        self.messages: list[str] = []

    def __call__(self, message: str, at: str) -> None:
        """Keep one finding."""
        self.messages.append(f"{message} [json-pointer:{at}]")


def string(at_most: int, *, at_least: int = 1, blank: bool = True) -> Check:
    """A string of so many characters; one of blanks alone counts as empty unless `blank`."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, str):
            report("must provide a string", at)
        elif len(value) > at_most:
            report(f"must be less than {at_most + 1} characters", at)
        elif len(value if blank else value.strip()) < at_least:
            report(f"must be more than {at_least - 1} characters", at)

    return check


def word(*allowed: str) -> Check:
    """One of a few strings."""

    def check(value: Any, at: str, report: Report) -> None:
        if value not in allowed:
            report(f"must be one of: {', '.join(sorted(allowed))}", at)

    return check


def link(at_most: int) -> Check:
    """An http or https address."""
    sized = string(at_most)

    def check(value: Any, at: str, report: Report) -> None:
        sized(value, at, report)
        if isinstance(value, str) and value and not is_link(value):
            report("invalid url", at)

    return check


def boolean(value: Any, at: str, report: Report) -> None:
    """True or false."""
    if not isinstance(value, bool):
        report("must provide a boolean", at)


def number(value: Any, at: str, report: Report) -> None:
    """A number (and a boolean is none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        report("must provide a number", at)


def between(least: int, most: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, at: str, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            report("must provide a number", at)
        elif not least <= value <= most:
            report(f"must be between {least} and {most}", at)

    return check


def array(of: Check, *, at_most: int, at_least: int = 1) -> Check:
    """A list of so many items, each of which passes."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, list):
            report("must provide an array", at)
            return
        if len(value) > at_most:
            report(f"no more than {at_most} items allowed", at)
        if len(value) < at_least:
            report(f"no less than {at_least} items allowed", at)
        for index, item in enumerate(value):
            of(item, f"{at}/{index}", report)

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check] = NOTHING) -> Check:
    """An object with these keys and no others."""
    known = {**required, **optional}

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report("must provide an object", at)
            return
        for key in required:
            if key not in value:
                report(f"missing required field: {key}", at)
        for key, part in value.items():
            if key in known:
                known[key](part, f"{at}/{key}", report)
            else:
                report(f"invalid additional property: {key}", at)

    return check


def one_or_other(of: Check, first: str, second: str, *, both: bool = False) -> Check:
    """A record that must have one of two keys, and only where `both` says so may have the two of them."""

    def check(value: Any, at: str, report: Report) -> None:
        of(value, at, report)
        if (
            isinstance(value, dict)
            and (present := (first in value) + (second in value)) != 1
            and not (both and present)
        ):
            report(f"must define either `{first}` or `{second}`", at)

    return check


def tagged(kinds: Mapping[str, Check]) -> Check:
    """An object whose `type` names the check that it has to pass."""

    def check(value: Any, at: str, report: Report) -> None:
        if not isinstance(value, dict):
            report("must provide an object", at)
        elif "type" not in value:
            report("missing required field: type", at)
        elif not isinstance(value["type"], str) or value["type"] not in kinds:
            report(f"unsupported type: {value['type']}", f"{at}/type")
        else:
            kinds[value["type"]](value, at, report)

    return check


def alternatives(check_one: Check) -> Check:
    """What several schemas allow: Slack says first that none matched, then why the nearest did not."""

    def check(value: Any, at: str, report: Report) -> None:
        inner: list[tuple[str, str]] = []
        check_one(value, at, lambda message, place: inner.append((message, place)))
        if inner:
            report("failed to match all allowed schemas", at)
        for message, place in inner:
            report(message, place)

    return check


def unchecked(_value: Any, _at: str, _report: Report) -> None:
    """Anything at all: what somebody else has looked at."""


def non_empty(value: Any, at: str, report: Report) -> None:
    """Any JSON that holds something: no null, no empty string, list or object at any depth."""
    if value is None or value in ("", [], {}):
        report("must not be empty", at)
    elif isinstance(value, dict):
        for key, part in value.items():
            non_empty(part, f"{at}/{key}", report)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            non_empty(part, f"{at}/{index}", report)
