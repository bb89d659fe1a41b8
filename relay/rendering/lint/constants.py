"""Checks the constants that a template gives to tags, filters, tests and functions: one table says what each takes."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from jinja2 import Environment, nodes

from relay.model.incident import State
from relay.model.nearest import nearest
from relay.rendering.blocks import marks
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.urls import valid_url
from relay.rendering.engine.filters import DATE_FORMATS
from relay.rendering.lint.walk import TemplateNodes, tag_kind

Rule = Callable[[Any, Environment], str]
"""What was expected, if a constant is not that; else empty."""

_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_UNKNOWN: Final = object()
_PASSED_BY_JINJA: Final = frozenset({"environment", "context", "eval_ctx"})
_LONGEST: Final = 60


def one_of(*words: str) -> Rule:
    """Make the rule that a constant is one of these words."""

    def rule(value: Any, _: Environment) -> str:
        if value in words:
            return ""
        near = nearest(str(value), words)
        return f'did you mean "{near}"?' if near else f"expected one of: {', '.join(words)}"

    return rule


def _number(least: float) -> Rule:
    def rule(value: Any, _: Environment) -> str:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= least
        return "" if fits else "expected a number" + (f", {least:g} or more" if least > float("-inf") else "")

    return rule


def _address(value: Any, _: Environment) -> str:
    return "" if isinstance(value, str) and valid_url(value) else "expected an http or https address"


def _text(value: Any, _: Environment) -> str:
    return "" if isinstance(value, str) else "expected text in quotes"


def _seconds(value: Any, _: Environment) -> str:
    try:
        float(value)
    except (TypeError, ValueError):
        return "expected seconds, such as incident.started"
    return ""


def _date_form(value: Any, environment: Environment) -> str:
    if value in DATE_FORMATS or (isinstance(value, str) and marks.is_date(1, value)):
        return ""
    hint = one_of(*filter(None, DATE_FORMATS))(value, environment)
    return hint if hint.startswith("did") else f"{hint}, or a pattern of Slack such as {{date}} {{time}}"


def _bar_color(value: Any, _: Environment) -> str:
    if isinstance(value, str) and _COLOR.fullmatch(value):
        return ""
    if value in (*State,):
        return f'write "{value}" | color'
    return "expected #rrggbb, or incident.state | color"


def _color(value: Any, environment: Environment) -> str:
    return "" if isinstance(value, str) and _COLOR.fullmatch(value) else _state(value, environment)


def _filter_name(value: Any, environment: Environment) -> str:
    return "" if value in environment.filters else _unknown("filter", value, environment.filters)


def _test_name(value: Any, environment: Environment) -> str:
    return "" if value in environment.tests else _unknown("test", value, environment.tests)


def _unknown(what: str, value: Any, known: Mapping[str, Any]) -> str:
    near = nearest(str(value), known)
    return f"unknown {what}" + (f'; did you mean "{near}"?' if near else "")


def _divisor(value: Any, environment: Environment) -> str:
    return "expected a number other than 0" if value == 0 else _ANY_NUMBER(value, environment)


_state: Final = one_of(*State)
_COUNT, _NOT_NEGATIVE = _number(1), _number(0)
_ANY_NUMBER: Final = _number(float("-inf"))

FILTER_RULES: Final[Mapping[str, Mapping[str | int, Rule]]] = {
    "slack_time": {"value": _seconds, "form": _date_form},
    "link": {"value": _address, "label": _text},
    "emoji": {"value": _state},
    "color": {"value": _color},
    "duration": {"value": _seconds},
    "oneline": {"length": _NOT_NEGATIVE},
    "shorten": {"length": _COUNT, "lines": _NOT_NEGATIVE},
    "more": {"noun": _text},
    "round": {"method": one_of("common", "ceil", "floor"), "precision": _ANY_NUMBER},
    "dictsort": {"by": one_of("key", "value")},
    "truncate": {"length": _COUNT},
    "batch": {"linecount": _COUNT, "count": _COUNT},
    "slice": {"slices": _COUNT, "count": _COUNT},
    "indent": {"width": _NOT_NEGATIVE},
    "map": {0: _filter_name},
    "select": {0: _test_name},
    "reject": {0: _test_name},
    "selectattr": {1: _test_name},
    "rejectattr": {1: _test_name},
    "groupby": {"attribute": lambda value, _: "" if isinstance(value, str | int) else "expected a name in quotes"},
    "replace": {"old": _text, "new": _text, "s": lambda _, __: ""},
    "join": {"d": _text, "separator": _text},
    "trim": {"chars": _text},
}
"""By filter: what its parameters (by name, or by number in `*args`) take; `value` is the part before the `|`."""

TEST_RULES: Final[Mapping[str, Mapping[str | int, Rule]]] = {"divisibleby": {"num": _divisor}}
FUNCTION_RULES: Final[Mapping[str, Mapping[str | int, Rule]]] = {
    "range": {0: _ANY_NUMBER, 1: _ANY_NUMBER, 2: _divisor},
}
TAG_RULES: Final[Mapping[NodeKind, Rule]] = {
    NodeKind.BAR: _bar_color,
    NodeKind.IMAGE: _address,
    NodeKind.BUTTON: _address,
}
"""What the first argument of a tag takes."""


def wrong_constants(tree: TemplateNodes, environment: Environment) -> Iterator[tuple[int, str, str]]:
    """Every constant that does not fit: its line, a word at its place, and the message."""
    for node in tree.of(nodes.Filter, nodes.Test, nodes.Call, nodes.CallBlock):
        match node:
            case nodes.Filter(name=name) if name in environment.filters and node.node is not None:
                rules = FILTER_RULES.get(name, {})
                yield from _call(environment.filters[name], node, [node.node, *node.args], rules, environment)
            case nodes.Test(name=name) if name in environment.tests:
                rules = TEST_RULES.get(name, {})
                yield from _call(environment.tests[name], node, [node.node, *node.args], rules, environment)
            case nodes.Call(node=nodes.Name(name=name)) if name in FUNCTION_RULES:
                yield from _arguments(name, dict(enumerate(node.args)), FUNCTION_RULES[name], node.lineno, environment)
            case nodes.CallBlock():
                yield from _tag(node, environment)
            case _:
                pass


def _tag(node: nodes.CallBlock, environment: Environment) -> Iterator[tuple[int, str, str]]:
    kind = tag_kind(node)
    rule = TAG_RULES.get(kind) if kind else None
    first = node.body[0] if node.body else None
    if kind and rule and first and tag_kind(first) is NodeKind.ARGUMENT and isinstance(first, nodes.CallBlock):
        printed = first.body[0]
        value = constant(printed.nodes[0]) if isinstance(printed, nodes.Output) and printed.nodes else _UNKNOWN
        if value is not _UNKNOWN and (expected := rule(value, environment)):
            yield node.lineno, kind.value.name, f"{kind.value.name} {_shown(value)}: {expected}"


def _call(
    function: Any,
    node: nodes.Filter | nodes.Test,
    given: list[Any],
    rules: Mapping[str | int, Rule],
    environment: Environment,
) -> Iterator[tuple[int, str, str]]:
    """Check the number and the names of the arguments, and each constant."""
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return
    try:
        signature = inspect.signature(function)
    except ValueError:  # a few builtin tests have none
        return
    passed: list[Any] = [None] if next(iter(signature.parameters), "") in _PASSED_BY_JINJA else []
    named: dict[str, Any] = {str(each.key): each.value for each in node.kwargs}
    try:
        bound = signature.bind(*passed, *given, **named)
    except TypeError:
        names = [each for each in list(signature.parameters)[len(passed) + 1 :] if each not in ("args", "kwargs")]
        takes = f"takes {', '.join(names)}" if names else "takes nothing"
        yield node.lineno, node.name, f'"{node.name}" got too many, too few or unknown arguments; it {takes}'
        return
    arguments: dict[Any, Any] = dict(bound.arguments)
    names = list(signature.parameters)[len(passed) :]
    if names and names[0] in arguments:
        arguments["value"] = arguments.pop(names[0]) if names[0] not in rules else arguments[names[0]]
    if isinstance(arguments.get("args"), tuple):
        arguments |= dict(enumerate(arguments["args"]))
    yield from _arguments(node.name, arguments, rules, node.lineno, environment)


def _arguments(
    name: str, arguments: Mapping[Any, Any], rules: Mapping[str | int, Rule], line: int, environment: Environment
) -> Iterator[tuple[int, str, str]]:
    for key, rule in rules.items():
        value = constant(arguments.get(key))
        if value is not _UNKNOWN and (expected := rule(value, environment)):
            yield line, name, f"{name} {_shown(value)}: {expected}"


def constant(node: Any) -> Any:
    """The value of a constant; a sign of its own for anything else."""
    match node:
        case nodes.Const(value=value):
            return value
        case nodes.TemplateData(data=data):
            return data
        case nodes.Neg(node=nodes.Const(value=int() | float() as value)):
            return -value
        case _:
            return _UNKNOWN


def _shown(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
