"""The operator's guide names every event that relay logs, all that /readyz says, and nothing that they do not."""

import ast
import re
from pathlib import Path

import relay

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged() -> set[str]:
    """The events in the code: the first argument of each call of a module's `log`."""
    found = set()
    for file in Path(relay.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name("log"), attr=level), args=[ast.Constant(event), *_]):
                    if level in LEVELS:
                        found.add(event)
                case ast.Call(
                    func=ast.Name("write"), args=[ast.Constant(str() as event), *_]
                ):  # log.info or log.warning
                    found.add(event)
    return found


def test_the_table_of_events_is_the_code():
    section = GUIDE.partition("\n## Logs\n")[2].partition("\n## ")[0]
    written = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert len(written) == len(set(written))
    assert logged() - set(written) == set(), "say in docs/operating.md, under Logs, what these events tell"
    assert set(written) - logged() == set(), "nothing logs these events any more"


def test_the_table_of_what_readiness_says_is_the_code():
    """The keys of the dicts that the backend makes, and those of the endpoint before it."""
    said = {"ready", "stopping"}
    source = ast.parse((Path(relay.__file__).parent / "backend.py").read_text(encoding="utf-8"))
    for part in ast.walk(source):
        if isinstance(part, ast.AsyncFunctionDef) and part.name in {"readiness", "_waiting"}:
            for each in ast.walk(part):
                match each:
                    case ast.Dict(keys=keys):
                        said |= {key.value for key in keys if isinstance(key, ast.Constant)}
                    case ast.Subscript(value=ast.Name("detail"), slice=ast.Constant(key)):
                        said.add(key)
    section = GUIDE.partition("\n### What /readyz says\n")[2].partition("\n#")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == said
