"""The command line, and the only place that prints. One module per command; this one puts them together.

Exit codes: 0 fine, 1 what was asked is not so, 2 it could not be asked (usage, settings, an unreadable file).
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from relay import __version__
from relay.cli.backtest import backtest
from relay.cli.backup import backup
from relay.cli.check import check_configuration
from relay.cli.demo import demo
from relay.cli.doctor import doctor
from relay.cli.explain import explain
from relay.cli.incident import incident
from relay.cli.letters import letters
from relay.cli.loop import leave
from relay.cli.manifest import manifest
from relay.cli.render import render
from relay.cli.sandbox import sandbox
from relay.cli.schema import print_schema
from relay.cli.serve import serve
from relay.cli.test import run_tests
from relay.model.errors import RelayError

COULD_NOT_ASK = 2


class Commands(TyperGroup):
    """The commands, with what they raise on purpose told in its own words instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for; the class of `ctx` is private to typer."""
        try:
            return super().invoke(ctx)
        except RelayError as error:
            raise _told([error]) from error
        except ExceptionGroup as group:  # what was raised beside running tasks
            if group.split(RelayError)[1] is not None:
                raise
            raise _told(_leaves(group)) from group


def _told(errors: Iterable[BaseException]) -> typer.Exit:
    """Print what was raised on purpose, and give the way out."""
    for error in errors:
        typer.echo(f"relay: {error}", err=True)
    return typer.Exit(COULD_NOT_ASK)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """List what a group holds, and the groups in it."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


app = typer.Typer(
    name="relay",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",  # which fills paragraphs, as docstrings are written
    pretty_exceptions_enable=False,  # a plain traceback can go into a bug report; a framed one may show local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001  typer hands over an option's value
    if wanted:
        typer.echo(f"relay {__version__}")
        raise typer.Exit


@app.callback()
def relay(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Put BigPanda's shared incidents into Slack as living cards, and lose none of them."""


app.command(rich_help_panel="Run")(serve)
app.command(rich_help_panel="Run")(incident)
app.add_typer(letters, name="letters", rich_help_panel="Run")
app.command(rich_help_panel="Run")(backup)
app.command("check", rich_help_panel="Edit")(check_configuration)
app.command(rich_help_panel="Edit")(explain)
app.command(rich_help_panel="Edit")(render)
app.command("test", rich_help_panel="Edit")(run_tests)
app.command(rich_help_panel="Edit")(backtest)
app.command(rich_help_panel="Set up")(manifest)
app.command(rich_help_panel="Set up")(doctor)
app.command("schema", rich_help_panel="Edit")(print_schema)
app.command(rich_help_panel="Try")(demo)
app.command(rich_help_panel="Try")(sandbox)


def main() -> None:
    """Be `relay`, whichever way it was called."""
    try:
        app(prog_name="relay")
    except BaseException as end:
        leave(end)
        raise
