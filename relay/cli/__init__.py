"""The command line, and the only package that prints. One module per command; this one registers them.

Exit codes are in `output`: 0 success, 1 the answer is no, 2 the command could not run.

environment .............. reads the settings
options, share_options ... options that several commands have
output, safe_console ..... how commands print and fail
loop ..................... runs a coroutine
sandbox_server ........... what `relay sandbox` runs
"""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from relay.runtime import light_structlog  # noqa: F401  imported for its effect, before the others import structlog

# isort: split
from relay import __version__
from relay.cli.adopt import adopt
from relay.cli.backtest import backtest
from relay.cli.backup import backup
from relay.cli.check import check_configuration
from relay.cli.demo import demo
from relay.cli.doctor import doctor
from relay.cli.explain import explain
from relay.cli.incident import incident
from relay.cli.incidents import incidents
from relay.cli.init import init
from relay.cli.letters import letters
from relay.cli.loop import exit_if_hanging
from relay.cli.manifest import manifest
from relay.cli.mute import mute
from relay.cli.output import COULD_NOT_RUN, say
from relay.cli.render import render
from relay.cli.restored import restored
from relay.cli.routes import routes
from relay.cli.sandbox import sandbox
from relay.cli.schema import print_schema
from relay.cli.serve import serve
from relay.cli.test import run_tests
from relay.cli.workspace import workspace
from relay.model.errors import RelayError, errors_of
from relay.runtime import logging
from relay.runtime.nonblocking_stderr import open_standard_streams


class Commands(TyperGroup):
    """The commands. A RelayError is printed as a message, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; the class of `ctx` is private to typer."""
        try:
            return super().invoke(ctx)
        except RelayError as error:
            raise _print_errors([error]) from error
        except ExceptionGroup as group:  # raised by a task group
            if group.split(RelayError)[1] is not None:
                raise
            raise _print_errors(errors_of(group)) from group


def _print_errors(errors: Iterable[BaseException]) -> typer.Exit:
    for error in errors:
        for line in str(error).splitlines():  # one for each fault of a configuration
            say(f"relay: {line}", err=True)
    return typer.Exit(COULD_NOT_RUN)


app = typer.Typer(
    name="relay",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",  # it joins the lines of a paragraph
    pretty_exceptions_enable=False,  # a plain traceback can go into a bug report; a framed one may show local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:  # noqa: FBT001  typer passes the option's value
    if requested:
        say(f"relay {__version__}")
        raise typer.Exit


@app.callback()
def relay(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Post BigPanda's shared incidents to Slack, keep each message up to date, and lose none."""
    # Without this, structlog prints debug events to stdout, among what the command prints.
    logging.configure(log_format="console", level="error")


app.command(rich_help_panel="Run")(serve)
app.command(rich_help_panel="Run")(incidents)
app.command(rich_help_panel="Run")(incident)
app.add_typer(letters, name="letters", rich_help_panel="Run")
app.add_typer(mute, name="mute", rich_help_panel="Run")
app.command(rich_help_panel="Run")(backup)
app.command(rich_help_panel="Run")(adopt)
app.command(rich_help_panel="Run")(restored)
app.command(rich_help_panel="Run")(workspace)
app.command("check", rich_help_panel="Edit")(check_configuration)
app.command(rich_help_panel="Edit")(routes)
app.command(rich_help_panel="Edit")(explain)
app.command(rich_help_panel="Edit")(render)
app.command("test", rich_help_panel="Edit")(run_tests)
app.command(rich_help_panel="Edit")(backtest)
app.command(rich_help_panel="Set up")(init)
app.command(rich_help_panel="Set up")(manifest)
app.command(rich_help_panel="Set up")(doctor)
app.command("schema", rich_help_panel="Edit")(print_schema)
app.command(rich_help_panel="Try")(demo)
app.command(rich_help_panel="Try")(sandbox)


def main() -> None:
    """Run the command line."""
    open_standard_streams()
    logging.configure(log_format="console", level="warning")  # structlog's default writes everything to stdout
    try:
        app(prog_name="relay")
    except BaseException as error:
        exit_if_hanging(error)
        raise
