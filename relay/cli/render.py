"""`relay render`: the card and the thread after these shares."""

import json
from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import RoutesFile, TemplatesFolder


def render(  # noqa: PLR0913  each is an option of its own
    share: Annotated[
        list[Path], typer.Argument(metavar="SHARE.json...", help="The shares, in the order in which they come.")
    ],
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header that the shares came with. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was decided, and the messages as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows the messages as Slack does.")
    ] = None,
) -> None:
    """Show the cards and threads that shares would make; nothing is sent.

    A share is the body of a webhook, or a recorded share with its moment and headers. Shares of several incidents are
    told apart, and what waits (`gather`, `wait`) is waited for. Neither the network nor the database is touched.
    """
    from rich.console import Console  # noqa: PLC0415  nothing of this is needed for `relay --help`

    from relay.config.files import load_configuration  # noqa: PLC0415  the same
    from relay.tools import render as drawing  # noqa: PLC0415  the same
    from relay.tools.as_read import channel_names  # noqa: PLC0415  the same
    from relay.tools.share_files import read_shares  # noqa: PLC0415  the same
    from relay.tools.simulate import simulate  # noqa: PLC0415  the same

    configuration = load_configuration(routes, templates)
    incidents = simulate(configuration, read_shares(share, headers_of(header or [])))
    names = channel_names(configuration.rulebook)
    if html is not None:
        _write(html, drawing.as_page(incidents, names))
    if as_json:
        typer.echo(json.dumps(drawing.as_json(incidents), indent=2, ensure_ascii=False))
    elif html is None:
        console = Console(highlight=False, emoji=False, markup=False)
        for part in drawing.on_terminal(incidents, names):
            console.print(part)


def headers_of(written: list[str]) -> dict[str, str]:
    """The headers of `--header name=value`.

    Raises:
        typer.BadParameter: one of them is none.
    """
    headers = {}
    for text in written:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(
                f"{text!r} is no header; expected name=value, such as X-Relay-Integration=emea.", param_hint="--header"
            )
        headers[name.strip()] = value.strip()
    return headers


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint="--html") from error
