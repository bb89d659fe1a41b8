"""`relay schema`: the JSON Schemas of routes.yaml and of test files."""

from typing import Annotated

import typer

from relay.cli.output import print_json


def print_schema(
    *, tests: Annotated[bool, typer.Option("--tests", help="Print the schema of *.test.yaml instead.")] = False
) -> None:
    """Print the JSON Schema of routes.yaml, for completion and checks in editors.

    Example: `relay schema > routes.schema.json`.

    Write it to a file, and name that file in the first line of routes.yaml:
    `# yaml-language-server: $schema=routes.schema.json`. With --tests, the same for *.test.yaml.
    """
    from relay.tools.schema import schema, tests_schema

    print_json(tests_schema() if tests else schema())
