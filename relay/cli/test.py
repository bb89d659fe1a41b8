"""`relay test`: the operators' own tests of their routes and templates."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import RoutesFile, TemplatesFolder
from relay.cli.output import FAILED, say, write_file


def run_tests(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Test files or folders; by default *.test.yaml beside the routes."),
    ] = None,
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    coverage: Annotated[bool, typer.Option("--coverage", help="List the routes that no test reaches.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the result as JUnit XML.")] = None,
) -> None:
    """Run your own tests of your routes and templates.

    Example: `relay test --coverage --junit result.xml`.

    A test has a sequence of shares and the expected result: routes, channels, the text of the card and its thread, and
    the pings. Exits with 0 if all tests pass, with 1 if one fails, with 2 if a file has an error.
    """
    from relay.config.files import load_configuration
    from relay.tools.testing import report
    from relay.tools.testing.grammar import read_tests
    from relay.tools.testing.model import OperatorTestResult
    from relay.tools.testing.runner import run

    def print_result(result: OperatorTestResult) -> None:
        for line in report.result_lines(result):
            say(line)

    configuration = load_configuration(routes, templates)
    result = run(configuration, read_tests(_test_files(files or [routes.parent]), configuration.rulebook), print_result)
    if junit is not None:
        write_file(junit, report.junit(result), option="--junit")
    for line in report.coverage(result, str(routes)) if coverage else ():
        say(line)
    say(report.summary(result))
    if result.failed:
        raise typer.Exit(FAILED)


def _test_files(places: list[Path]) -> list[Path]:
    """The files among `places`, and the test files in the folders among them."""
    files: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.test.yaml")) if place.is_dir() else [place]
        if not inside:
            raise typer.BadParameter(f"{place.resolve()} contains no file *.test.yaml.", param_hint="FILES")
        files += inside
    return list(dict.fromkeys(files))
