"""`relay test`: the operators' own tests of their routes and templates."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import RoutesFile, TemplatesFolder

NOT_SO = 1


def run_tests(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILES]...", help="Files of tests, or folders; *.test.yaml beside the routes otherwise."
        ),
    ] = None,
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    coverage: Annotated[bool, typer.Option("--coverage", help="Tell which routes no test reaches.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the outcome as JUnit XML, too.")] = None,
) -> None:
    """Run your own tests of your routes and templates.

    A test gives shares in sequence, and says what they are to come to: routes, channels, what the card and its thread
    say, who is pinged. Leaves with 0 where all is as expected, with 1 where it is not, with 2 where a file has a fault.
    """
    from relay.config.files import load_configuration  # noqa: PLC0415  nothing of this is needed for `relay --help`
    from relay.tools import testing  # noqa: PLC0415  the same
    from relay.tools.testing import report as telling  # noqa: PLC0415  the same

    configuration = load_configuration(routes, templates)
    tests = testing.read_tests(_found(files or [routes.parent]), configuration.rulebook)

    def tell(result: testing.OperatorTestResult) -> None:
        for line in testing.result_lines(result):
            typer.echo(line)

    run = testing.run(configuration, tests, tell)
    if junit is not None:
        _write(junit, testing.junit(run))
    for line in telling.coverage(run.coverage, str(routes)) if coverage else ():
        typer.echo(line)
    typer.echo(telling.summary(run))
    if run.failed:
        raise typer.Exit(NOT_SO)


def _found(places: list[Path]) -> list[Path]:
    """The files of tests: those named, and those in the folders named."""
    found: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.test.yaml")) if place.is_dir() else [place]
        if not inside:
            raise typer.BadParameter(f"There is no file *.test.yaml in {place.resolve()}.", param_hint="FILES")
        found += inside
    return list(dict.fromkeys(found))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint="--junit") from error
