"""Every command reads its settings in one place, which hides their secrets in all that the command prints."""

import ast
from pathlib import Path

from relay import cli

NOT_HIDDEN = {"sandbox_server"}
"""The sandbox prints its own tokens, which may stand in the environment too."""

WITHOUT_SECRETS = {"ServiceManager"}
"""What can be made from the environment and holds no secret."""


def test_no_command_reads_the_environment_by_itself():
    found = {
        path.stem
        for path in Path(cli.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "from_env"
        and getattr(node.value, "id", "") not in WITHOUT_SECRETS
    }
    assert found == {"environment", *NOT_HIDDEN}
