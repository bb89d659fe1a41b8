"""`relay schema`: the JSON Schema of routes.yaml."""

from relay.cli.output import print_json


def print_schema() -> None:
    """Print the JSON Schema of routes.yaml, with which editors complete and check it.

    Write it to a file, and name that file in the first line of routes.yaml:
    `# yaml-language-server: $schema=routes.schema.json`.
    """
    from relay.tools.schema import schema

    print_json(schema())
