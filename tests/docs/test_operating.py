"""The operating guide names exactly the events that relay logs and the keys of /readyz."""

import ast
import re
from pathlib import Path

import relay

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged() -> set[str]:
    """Return the events in the code: the first argument of each call of a module's `log`."""
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


def test_the_table_of_events_equals_the_events_in_the_code():
    section = GUIDE.partition("\n## Logs\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert logged() - set(documented) == set(), "describe these events in docs/operating.md, under Logs"
    assert set(documented) - logged() == set(), "relay does not log these events; remove them from docs/operating.md"


def test_the_table_of_readiness_keys_equals_the_keys_in_the_code():
    """The keys of the dicts that the backend makes, and those of the endpoint before it."""
    keys = {"ready", "stopping"}
    source = ast.parse((Path(relay.__file__).parent / "backend.py").read_text(encoding="utf-8"))
    for part in ast.walk(source):
        if isinstance(part, ast.AsyncFunctionDef) and part.name in {"_check", "_waiting"}:
            for each in ast.walk(part):
                match each:
                    case ast.Dict(keys=names):
                        keys |= {key.value for key in names if isinstance(key, ast.Constant)}
                    case ast.Subscript(value=ast.Name("detail"), slice=ast.Constant(key)):
                        keys.add(key)
    section = GUIDE.partition("\n### What /readyz says\n")[2].partition("\n#")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == keys
