"""One fault hides no other: a valid file with several faults in it reports each at its line."""

import re
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.tools.check.command import check_routes

HEAD = "version: 1\nchannels: {noc: C0123456789}\nfallback: {channel: noc, mention: {any: [here]}}\nroutes:\n"
ROUTE = """\
  - name: r{0}
    match:
      status: critical
      tags:
        team: database
        service: [checkout, payments]
        host: "web-1"
      source: nagios
    gather: 2m
    broadcast: [reopened]
    post:
      - channel: noc
        template: incident
        thread: [status]
      - "#db"
"""
KEY = r"( *(?:- )?)([a-z]+):"
SLIPS: dict[str, tuple[str, str]] = {
    "a key one too deep": (r"^( {4,})([a-z].*)$", r"\1 \2"),
    "a key not deep enough": (r"^( *) ([a-z].*)$", r"\1\2"),
    "a tab": (r"^ {4}([a-z].*)$", r"\t\1"),
    "a misspelt key": (r"^( *)(match|gather|source|status)(:.*)$", r"\1\2x\3"),
    "an unclosed quote": (rf"^{KEY} (\w+)$", r'\1\2: "\3'),
    "an unclosed bracket": (r"^(.*)[\]}]$", r"\1"),
    "a bracket too many": (r"^(.*[\]}])$", r"\1]"),
    "no colon": (rf"^{KEY} (\w+)$", r"\1\2 \3"),
    "no space after the colon": (rf"^{KEY} (\w+)$", r"\1\2:\3"),
    "no space after the dash": (r"^( +)- ([a-z]+:.*)$", r"\1-\2"),
    "a value that begins with @": (rf"^{KEY} (\w+)$", r"\1\2: @\3"),
    "a colon in a text": (rf"^{KEY} (\w+)$", r"\1\2: a: \3"),
}


def slipped(line: str, slip: str) -> str:
    pattern, replacement = SLIPS[slip]
    return re.sub(pattern, replacement, line)


def faulty_lines(text: str) -> set[int]:
    return {each.line for each in check_routes(text, "routes.yaml", ["incident"])[1] if not each.warning}


@cache
def faulty_variants() -> dict[tuple[int, str], set[int]]:
    """Each line of a route that a slip makes invalid: its number and the line, with the lines of the faults."""
    lines = ROUTE.format(0).splitlines()
    variants = [(number, slipped(line, slip)) for number, line in enumerate(lines) for slip in SLIPS]
    changed = [each for each in variants if each[1] != lines[each[0]]]
    found = {each: faulty_lines(HEAD + planted(ROUTE.format(0), *each)) for each in changed}
    return {each: faults for each, faults in found.items() if faults}


def planted(route: str, number: int, line: str) -> str:
    lines = route.splitlines()
    return "\n".join([*lines[:number], line, *lines[number + 1 :]]) + "\n"


def test_a_typing_error_is_reported_at_its_line():
    assert len(faulty_variants()) > 60
    assert {each: faults for each, faults in faulty_variants().items() if 5 + each[0] not in faults} == {}


SLIPPED = st.deferred(lambda: st.sampled_from(list(faulty_variants())))


@settings(max_examples=60)
@given(slips=st.lists(st.none() | SLIPPED, min_size=2, max_size=7))
def test_several_typing_errors_are_all_reported_and_nothing_else_is(slips):
    text, places, untouched = HEAD, set[int](), set[int]()
    for index, slip in enumerate(slips):
        first, route = text.count("\n") + 1, ROUTE.format(index)
        if slip:
            places.add(first + slip[0])
            route = planted(route, slip[0], slip[1].replace("r0", f"r{index}"))
        else:
            untouched |= set(range(first, first + route.count("\n")))
        text += route
    found = faulty_lines(text)
    assert places <= found
    assert not found & untouched
