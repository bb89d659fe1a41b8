"""A small language for schemas of JSON, with Slack's own error messages.

A `Check` looks at one value at one place (a JSON pointer) and reports what is wrong with it. Checks are built from
checks, so that a block is a table of its keys. The messages follow what Slack's `response_metadata.messages` was seen
to hold, for example `must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from relay.slack.limits import is_link

Report = Callable[[str, str], None]
"""Takes an error message and the JSON pointer of its place."""

Check = Callable[[Any, str, Report], None]
"""Looks at a value at a JSON pointer."""

NOTHING: Mapping[str, Check] = {}


class ErrorMessages:
    """A `Report` that collects the messages in order, as Slack writes them."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, message: str, at: str) -> None:
        """Add one message."""
        self.messages.append(f"{message} [json-pointer:{at}]")


def rules(*table: tuple[Callable[[Any], bool], str]) -> Check:
    """A table of conditions and messages: the first condition that does not hold is reported."""

    def check(value: Any, at: str, report: Report) -> None:
        message = next((message for holds, message in table if not holds(value)), None)
        if message is not None:
            report(message, at)

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


boolean = rules((lambda value: isinstance(value, bool), "must provide a boolean"))
number = rules((_is_number, "must provide a number"))
unchecked = rules()


def between(least: int, most: int) -> Check:
    """A whole number within bounds."""
    return rules(
        (lambda value: _is_number(value) and isinstance(value, int), "must provide a number"),
        (lambda value: least <= value <= most, f"must be between {least} and {most}"),
    )


def word(*allowed: str) -> Check:
    """One of a few strings."""
    return rules((lambda value: value in allowed, f"must be one of: {', '.join(sorted(allowed))}"))


def string(at_most: int, *, at_least: int = 1, blank: bool = True) -> Check:
    """A string of that many characters; without `blank`, a string of spaces alone counts as empty."""
    return rules(
        (lambda value: isinstance(value, str), "must provide a string"),
        (lambda value: len(value) <= at_most, f"must be less than {at_most + 1} characters"),
        (
            lambda value: len(value if blank else value.strip()) >= at_least,
            f"must be more than {at_least - 1} characters",
        ),
    )


def link(at_most: int) -> Check:
    """An http or https address."""
    text = string(at_most)
    address = rules((lambda value: not isinstance(value, str) or not value or is_link(value), "invalid url"))

    def check(value: Any, at: str, report: Report) -> None:
        text(value, at, report)
        address(value, at, report)

    return check


def array(of: Check, *, at_most: int, at_least: int = 1) -> Check:
    """A list of that many items, each of which passes the check."""

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


def typed(required: Mapping[str, Check], optional: Mapping[str, Check] = NOTHING) -> Check:
    """A record whose `type` was checked already, by `tagged`."""
    return record({"type": unchecked, **required}, optional)


def one_or_other(of: Check, first: str, second: str, *, both: bool = False) -> Check:
    """A record that has exactly one of two keys; with `both`, it may have the two of them."""
    allowed = {1, 2} if both else {1}

    def check(value: Any, at: str, report: Report) -> None:
        of(value, at, report)
        if isinstance(value, dict) and (first in value) + (second in value) not in allowed:
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


def alternatives(nearest: Check) -> Check:
    """A value that several schemas allow: Slack reports first that none matched, then why the nearest did not."""

    def check(value: Any, at: str, report: Report) -> None:
        errors: list[tuple[str, str]] = []
        nearest(value, at, lambda message, place: errors.append((message, place)))
        if errors:
            report("failed to match all allowed schemas", at)
        for message, place in errors:
            report(message, place)

    return check


def non_empty(value: Any, at: str, report: Report) -> None:
    """Any JSON without null and without empty strings, lists and objects, at any depth."""
    if value is None or value in ("", [], {}):
        report("must not be empty", at)
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            non_empty(part, f"{at}/{key}", report)
