"""The options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from relay.config.settings import Listen

RoutesFile = Annotated[Path, typer.Option("--routes", metavar="FILE", envvar="RELAY_ROUTES", help="The routes file.")]
TemplatesFolder = Annotated[
    Path, typer.Option("--templates", metavar="DIR", envvar="RELAY_TEMPLATES", help="The folder of templates.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="An HTTP header of the shares. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ListenAddress = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Where to listen; the next free port if this one is in use, any free port for 0.",
    ),
]


def parse_headers(values: list[str] | None) -> dict[str, str]:
    """Parse `--header name=value`. Raises typer.BadParameter if a value has another form."""
    return dict(split_pair(text, "header", "X-Relay-Integration=emea") for text in values or ())


def split_pair(text: str, what: str, example: str) -> tuple[str, str]:
    """Return name and value of `--WHAT name=value`. Raises typer.BadParameter if the text has another form."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        message = f"{text!r} is not a {what}; expected name=value, such as {example}."
        raise typer.BadParameter(message, param_hint=f"--{what}")
    return name.strip(), value.strip()


def parse_address(text: str) -> "Listen":
    """Parse `--listen`. Raises typer.BadParameter if it is not HOST:PORT."""
    from relay.config.settings import parse_listen

    try:
        return parse_listen(text)
    except ValueError as error:
        raise typer.BadParameter(f"It {error}.", param_hint="--listen") from error


def port_note(asked: "Listen", url: str) -> str | None:
    """Say that the requested port is in use and another one is used; None if it is free."""
    used = urlsplit(url).port
    return None if asked.port in (0, used) else f"Port {asked.port} is in use; using port {used} instead."


def parse_duration(text: str, *, option: str) -> float:
    """Parse a duration as routes.yaml has it, such as 12h; return seconds. Raises typer.BadParameter if it is none."""
    from relay.routes.yaml_reader.context import ParseContext
    from relay.routes.yaml_reader.nodes import ScalarNode
    from relay.routes.yaml_reader.scalars import read_duration

    context = ParseContext(file=option)
    seconds = read_duration(ScalarNode(text=text, yaml_type="str", line=1, column=1), context)
    if seconds is None:
        raise typer.BadParameter(f"{context.faults[0].message}.".capitalize(), param_hint=option)
    return seconds
