"""The operating guide names exactly the events that relay logs and the keys of /readyz."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import relay
from tests.support.source_code import modules_with

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@dataclass(frozen=True)
class LogCall:
    """A call in the code that logs: the event, its possible levels, and the names of its fields."""

    event: str
    levels: frozenset[str]
    fields: frozenset[str]


@cache
def log_calls() -> list[LogCall]:
    """The calls of a module's `log` or `share_log`, of a `write` that is a method of it, and of a `LastingProblem`."""
    found = []
    for _, tree in modules_with(Path(relay.__file__).parent, "log.", ".report("):
        for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))]:
            chosen = {
                level.attr
                for node in own_nodes(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "write"
                for level in ast.walk(node.value)
                if isinstance(level, ast.Attribute) and ast.unparse(level.value) == "log"
            }
            for call in own_nodes(function):
                match call:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name("log" | "share_log"), attr=level), args=[ast.Constant(event)]
                    ):
                        levels = {level}
                    case ast.Call(func=ast.Name("write"), args=[ast.Constant(str() as event)]) if chosen:
                        levels = chosen
                    case ast.Call(func=ast.Attribute(attr="report"), args=[ast.Constant(level), ast.Constant(event)]):
                        levels = {level}
                    case _:
                        continue
                names = frozenset(keyword.arg or "**" for keyword in call.keywords)
                found.append(LogCall(event, frozenset(LEVELS[level] for level in levels), names))
    return found


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, FUNCTIONS):
            yield child
            yield from own_nodes(child)


def levels_by_event() -> dict[str, str]:
    """The levels of each event, the lowest first, as the guide writes them."""
    levels: dict[str, set[str]] = {}
    for call in log_calls():
        levels.setdefault(call.event, set()).update(call.levels)
    order = list(LEVELS.values())
    return {event: ", ".join(sorted(found, key=order.index)) for event, found in levels.items()}


def test_the_table_of_events_has_the_events_of_the_code_and_their_levels():
    section = GUIDE.partition("\n## Logs\n")[2].partition("\n## ")[0]
    table = section.partition("| event | level |")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    logged = levels_by_event()
    assert logged.keys() - dict(rows).keys() == set(), "describe these events in docs/operating.md, under Logs"
    assert dict(rows).keys() - logged.keys() == set(), "relay does not log these events; remove them"
    assert dict(rows) == logged


def test_every_event_has_a_sentence_for_a_person():
    assert [call.event for call in log_calls() if "detail" not in call.fields] == []


def details() -> Iterator[tuple[str, str]]:
    """The sentences that modules with a log write out, as keyword or variable `detail`; `{}` stands for a value."""
    for module, tree in modules_with(Path(relay.__file__).parent, "get_logger("):
        for node in ast.walk(tree):
            match node:
                case ast.keyword(arg="detail", value=value) | ast.Assign(targets=[ast.Name("detail")], value=value):
                    pass
                case _:
                    continue
            match value:
                case ast.Constant(str() as text):
                    yield module.name, text
                case ast.JoinedStr(values=parts):
                    yield module.name, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)


def test_the_detail_of_an_event_is_a_whole_sentence():
    """It begins with a capital letter, or with the name of the product, and has an end."""
    whole = re.compile(r"(?:[^a-z]|relay\b|routes\.yaml\b).*(?:[.?]|\{\})", re.DOTALL)
    assert [each for each in details() if not whole.fullmatch(each[1])] == []
    assert len(list(details())) > 100


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
