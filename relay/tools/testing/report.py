"""The result of operators' tests as text, and as JUnit XML for CI systems.

JUnit XML has no standard. This is the part on which all its readers agree (https://github.com/testmoapp/junitxml).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from relay.model.counting import counted
from relay.tools.testing.model import OperatorTestResult
from relay.tools.testing.runner import OperatorTestRun

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def result_lines(result: OperatorTestResult) -> Iterator[str]:
    """One test: whether it passed, its name, and each failure with its place and the difference."""
    yield f"{'ok    ' if result.passed else 'FAILED'} {result.test.name}"
    for failure in result.failures:
        yield f"    {result.test.file}:{failure.position.line}:{failure.position.column}: {failure.message}"
        yield from (f"        {line}" for line in failure.diff)


def summary(run: OperatorTestRun) -> str:
    """The last line."""
    number, failed = len(run.results), len(run.failed)
    return f"{counted(number, 'test')}: " + (f"{failed} failed" if failed else "all passed")


def coverage(run: OperatorTestRun, routes_file: str) -> Iterator[str]:
    """The routes that no test reaches."""
    yield f"tests reach {len(run.reached)} of {counted(len(run.reached) + len(run.missed), 'route')}"
    yield from (f"    {routes_file}:{line}: no test reaches the route '{name}'" for name, line in run.missed)
    if run.fallback is False:
        yield "    no test has a share that no route matches, so the fallback is not reached"


def junit(run: OperatorTestRun) -> str:
    """Convert to JUnit XML: a suite for each file, a case for each test."""
    root = ET.Element("testsuites", {"name": "relay test", **_counts(run.results)})
    for file, results in groupby(run.results, key=lambda result: result.test.file):
        group = list(results)
        suite = ET.SubElement(root, "testsuite", {"name": file, **_counts(group)})
        for result in group:
            name, line, seconds = _clean(result.test.name), str(result.test.position.line), f"{result.seconds:.3f}"
            case = {"name": name, "classname": _clean(file), "file": _clean(file), "line": line, "time": seconds}
            element = ET.SubElement(suite, "testcase", case)
            if not result.passed:
                message = _clean(result.failures[0].message)
                failure = ET.SubElement(element, "failure", type="expectation", message=message)
                failure.text = _clean("\n".join(list(result_lines(result))[1:]))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(results: Sequence[OperatorTestResult]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(not result.passed for result in results)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _clean(text: str) -> str:
    """Replace the characters that XML does not allow, not even escaped: https://www.w3.org/TR/xml/#charsets."""
    return _NOT_XML.sub("�", text)
