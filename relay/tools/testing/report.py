"""What came of the tests: for people, and as the XML that CI systems read.

There is no standard of JUnit's XML; what is written here is the part that all readers agree on
(https://github.com/testmoapp/junitxml).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from xml.etree import ElementTree as ET

from relay.tools.testing.model import ExpectationFailure, OperatorTestResult
from relay.tools.testing.runner import Coverage, OperatorTestRun

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def result_lines(result: OperatorTestResult) -> Iterator[str]:
    """One test for people: its name, and where it fails what, where, and how it differs."""
    yield f"{'ok    ' if result.passed else 'FAILED'} {result.test.name}"
    for failure in result.failures:
        yield f"    {place(result, failure)}: {failure.message}"
        yield from (f"        {line}" for line in failure.diff)


def place(result: OperatorTestResult, failure: ExpectationFailure) -> str:
    """Where the expectation stands, as compilers print it."""
    return f"{result.test.file}:{failure.spot.line}:{failure.spot.column}"


def summary(run: OperatorTestRun) -> str:
    """The last line."""
    number, failed = len(run.results), len(run.failed)
    tests = "1 test" if number == 1 else f"{number} tests"
    return f"{tests}, {failed} failed" if failed else f"{tests}, all as expected"


def coverage(found: Coverage, routes_file: str) -> Iterator[str]:
    """Which routes no test reaches."""
    number = len(found.reached) + len(found.missed)
    yield f"{len(found.reached)} of {number} routes are reached"
    yield from (f"    {routes_file}:{line}: no test reaches the route '{name}'" for name, line in found.missed)
    if found.fallback is False:
        yield "    no test has a share that no route takes: the fallback is not reached"


def junit(run: OperatorTestRun) -> str:
    """The run as JUnit XML: a suite for each file, a case for each test."""
    root = ET.Element("testsuites", {"name": "relay test", **_counts(run.results)})
    for file, results in groupby(run.results, key=lambda result: result.test.file):
        group = list(results)
        suite = ET.SubElement(root, "testsuite", {"name": file, **_counts(group)})
        for result in group:
            _case(suite, result)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, result: OperatorTestResult) -> None:
    test = result.test
    case = ET.SubElement(
        suite,
        "testcase",
        name=_clean(test.name),
        classname=_clean(test.file),
        file=_clean(test.file),
        line=str(test.spot.line),
        time=f"{result.seconds:.3f}",
    )
    if result.passed:
        return
    first = ET.SubElement(case, "failure", type="expectation", message=_clean(result.failures[0].message))
    first.text = _clean("\n".join(list(result_lines(result))[1:]))


def _counts(results: Iterable[OperatorTestResult]) -> dict[str, str]:
    group = list(results)
    return {
        "tests": str(len(group)),
        "failures": str(sum(not result.passed for result in group)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(result.seconds for result in group):.3f}",
    }


def _clean(text: str) -> str:
    """XML cannot hold every character, not even escaped: https://www.w3.org/TR/xml/#charsets."""
    return _NOT_XML.sub("�", text)
