"""`relay schema`: what editors know routes.yaml by."""

import json

import typer


def print_schema() -> None:
    """Print the JSON Schema of routes.yaml, for editors that complete and check by it.

    Write it to a file, and name that file in the first line of routes.yaml:
    `# yaml-language-server: $schema=routes.schema.json`.
    """
    from relay.tools.schema import schema  # noqa: PLC0415  nothing of it is needed for `relay --help`

    typer.echo(json.dumps(schema(), indent=2))
