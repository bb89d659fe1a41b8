"""Every command reads its settings in one place, which hides their secrets in all that the command prints."""

import ast
from pathlib import Path

from relay import cli
from tests.support.source_code import modules_with

NOT_HIDDEN = {"sandbox_server"}
"""The sandbox prints its own tokens, which may stand in the environment too."""

WITHOUT_SECRETS = {"ServiceManager"}
"""What can be made from the environment and holds no secret."""


def test_no_command_reads_the_environment_by_itself():
    found = {
        path.stem
        for path, tree in modules_with(Path(cli.__file__).parent, "from_env")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "from_env"
        and getattr(node.value, "id", "") not in WITHOUT_SECRETS
    }
    assert found == {"environment", *NOT_HIDDEN}
