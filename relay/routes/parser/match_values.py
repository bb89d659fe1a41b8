"""The values and operators of `match`, compiled to comparisons.

A scalar keeps its text, whatever YAML makes of it. `VALUE_FORMS` and `OPERATORS` say what each type of value allows.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from relay.model.incident import State
from relay.routes import json_schema
from relay.routes.json_schema import Schema
from relay.routes.match_keys import ValueType
from relay.routes.operators import Between, Combined, Exactly, Exists, Glob, Regex, Wanted, number_of, rank_of
from relay.routes.parser.foreign_words import FOREIGN_STATES
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import describe, read_bool

OperandReader = Callable[[Node, ValueType, ParseContext], Wanted | None]
_TEXT, _STATE, _NUMBER, _FLAG = ValueType


def read_value(node: Node, value_type: ValueType, context: ParseContext) -> Wanted | None:
    """Compile a value: a scalar, a list (any of it), or operators (all of them)."""
    match node:
        case ScalarNode():
            return VALUE_FORMS[value_type].read(node, context)
        case ListNode():
            return _several("any", node, value_type, context)
        case MappingNode():
            return _operators(node, value_type, context)


# --- scalars, by type ---


def _text(node: ScalarNode, context: ParseContext) -> Wanted | None:
    """Read exact text, a glob, or a regular expression between slashes."""
    text = node.text
    if node.is_empty:
        hint = node.hint or 'for an absent value write {exists: false}; for empty text write ""'
        context.add_fault(node, f"expected a value, found nothing ({hint})")
        return None
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return _regex(node, text[1:-1], context)
    if "*" in text or "?" in text:
        return _glob(node, text, context)
    return Exactly(text=text.casefold())


def _glob(node: ScalarNode, text: str, context: ParseContext) -> Wanted | None:
    try:
        return Glob(text=text.casefold())
    except ValueError as error:
        context.add_fault(node, str(error))
        return None


def _regex(node: ScalarNode, pattern: str, context: ParseContext) -> Wanted | None:
    try:
        return Regex(pattern=pattern)
    except ValueError as error:
        context.add_fault(node, f"invalid regular expression (RE2): {error}")
        return None


def _state(node: ScalarNode, context: ParseContext) -> Wanted | None:
    value = _text(node, context)
    if not isinstance(value, Exactly) or rank_of(value.text) is not None:
        return value
    context.add_fault(node, _unknown_state(node))
    return None


def _unknown_state(node: ScalarNode) -> str:
    return f"unknown state {describe(node)}" + (
        FOREIGN_STATES.get(node.text.casefold()) or suggestion(node.text, State)
    )


def _number(node: ScalarNode, context: ParseContext) -> Wanted | None:
    bound = _bound(node, _NUMBER, context)
    return None if bound is None else Between(measure=number_of, least=bound, most=bound)


def _flag(node: ScalarNode, context: ParseContext) -> Wanted | None:
    value = read_bool(node, context)
    return None if value is None else Exactly(text="true" if value else "false")


@dataclass(frozen=True, slots=True)
class ValueForm:
    """How a scalar of one type is read, and its schema: as a plain value or under `is`, and for `min` and `max`."""

    read: Callable[[ScalarNode, ParseContext], Wanted | None]
    schema: Schema
    bound_schema: Schema


def _in_any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_SCALAR: Final[Schema] = {
    "type": ["string", "number", "boolean", "null"],
    "description": "exact text, a glob (* and ?), or a regular expression (RE2) between slashes",
}
_STATE_SCHEMA: Final[Schema] = {
    "anyOf": [json_schema.enum(State), json_schema.pattern(f"^({'|'.join(map(_in_any_case, State))})$")]
}
_STATE_OR_PATTERN: Final[Schema] = {"anyOf": [*_STATE_SCHEMA["anyOf"], json_schema.pattern(r"[*?]|^/.*/$")]}
_COUNT: Final[Schema] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        json_schema.pattern(r"^\s*[+-]?[0-9]+(\.0+)?([eE][+-]?[0-9]{1,3})?\s*$"),
    ]
}
_DECIMAL: Final[Schema] = {
    "anyOf": [{"type": "number"}, json_schema.pattern(r"^\s*[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?\s*$")]
}

VALUE_FORMS: Final[Mapping[ValueType, ValueForm]] = {
    _TEXT: ValueForm(_text, _SCALAR, _DECIMAL),
    _STATE: ValueForm(_state, _STATE_OR_PATTERN, _STATE_SCHEMA),
    _NUMBER: ValueForm(_number, _COUNT, _COUNT),
    _FLAG: ValueForm(_flag, json_schema.FLAG, bound_schema={}),
}


# --- operators ---


def _operators(node: MappingNode, value_type: ValueType, context: ParseContext) -> Wanted | None:
    """Read operators that must all match. `min` and `max` together are one range."""
    known = [name for name, operator in OPERATORS.items() if value_type in operator.types]
    if not node.entries:
        context.add_fault(node, f"expected an operator, found an empty mapping{suggestion('', known)}")
    parts = [_between(node, value_type, context)]
    for word, value in node.entries:
        read = OPERATORS[word.text].read if word.text in known else None
        if read is not None:
            parts.append(read(value, value_type, context))
        elif word.text not in known:
            context.add_fault(word, f"unknown operator '{word.text}'{suggestion(word.text, known)}")
    these = tuple(each for each in parts if each is not None)
    return these[0] if len(these) == 1 else Combined(key="all", these=these)


def _between(node: MappingNode, value_type: ValueType, context: ParseContext) -> Wanted | None:
    ends = {word.text: value for word, value in node.entries if word.text in ("min", "max")}
    if not ends or value_type is _FLAG:
        return None
    bounds = {name: _bound(value, value_type, context) for name, value in ends.items()}
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and most is not None and least > most:
        context.add_fault(
            ends["min"], f"min {describe(ends['min'])} is above max {describe(ends['max'])}: no value matches"
        )
    return Between(
        measure=rank_of if value_type is _STATE else number_of,
        least=float("-inf") if least is None else least,
        most=float("inf") if most is None else most,
    )


def _bound(node: Node, value_type: ValueType, context: ParseContext) -> float | None:
    """Read a number, or a state as its rank."""
    text = node.text if isinstance(node, ScalarNode) else ""
    bound = rank_of(text.casefold()) if value_type is _STATE else number_of(text)
    if bound is None:
        if isinstance(node, ScalarNode) and value_type is _STATE and text:
            context.add_fault(node, _unknown_state(node))
        else:
            what = "a state" if value_type is _STATE else "a number"
            context.add_fault(node, f"expected {what}, found {describe(node)}")
    elif value_type is _NUMBER and not (bound >= 0 and bound.is_integer()):
        context.add_fault(node, f"expected a whole number of alerts, 0 or more, found {describe(node)}")
        return None
    return bound


def _several(key: Literal["any", "all"], node: Node, value_type: ValueType, context: ParseContext) -> Wanted | None:
    if not isinstance(node, ListNode) or not node.items:
        context.add_fault(node, f"expected a list with at least one value, found {describe(node)}")
        return None
    values = (read_value(item, value_type, context) for item in node.items)
    these = tuple(value for value in values if value is not None)
    return Combined(key=key, these=these) if these else None


def _not(node: Node, value_type: ValueType, context: ParseContext) -> Wanted | None:
    value = read_value(node, value_type, context)
    return None if value is None else Combined(key="not", these=(value,))


def _exists(node: Node, _: ValueType, context: ParseContext) -> Wanted | None:
    value = read_bool(node, context)
    return None if value is None else Exists(wanted=value)


def _is(node: Node, value_type: ValueType, context: ParseContext) -> Wanted | None:
    if value_type is not _TEXT and isinstance(node, ScalarNode):
        return VALUE_FORMS[value_type].read(node, context)
    if not isinstance(node, ScalarNode) or node.is_empty:
        context.add_fault(node, f"expected one value under 'is', found {describe(node)}")
        return None
    return Exactly(text=node.text.casefold())


def _re(node: Node, _: ValueType, context: ParseContext) -> Wanted | None:
    if not isinstance(node, ScalarNode) or node.is_empty:
        context.add_fault(node, f"expected one regular expression under 're', found {describe(node)}")
        return None
    return _regex(node, node.text, context)


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table of operators: its operand's reader and schema, and the types that it is for.

    `read` is None for `min` and `max`, which are read together.
    """

    read: OperandReader | None
    schema: Callable[[ValueType], Schema]
    description: str
    types: Collection[ValueType] = tuple(ValueType)


def _list(value_type: ValueType) -> Schema:
    return json_schema.array(value_ref(value_type), min_items=1)


def _bound_schema(value_type: ValueType) -> Schema:
    return VALUE_FORMS[value_type].bound_schema


def value_name(value_type: ValueType) -> str:
    """The name under which the schema defines the values of a type."""
    return f"{value_type.name.lower()}_value"


def value_ref(value_type: ValueType) -> Schema:
    """The reference to that definition."""
    return json_schema.ref(value_name(value_type))


OPERATORS: Final[Mapping[str, Operator]] = {
    "not": Operator(_not, value_ref, "the operand does not match; so it matches an absent value too"),
    "any": Operator(partial(_several, "any"), _list, "one of a list matches"),
    "all": Operator(partial(_several, "all"), _list, "each of a list matches, possibly on different values"),
    "min": Operator(
        None,
        _bound_schema,
        "the value is at least this: a number, or for `status` and `severity` a state",
        types=(_TEXT, _STATE, _NUMBER),
    ),
    "max": Operator(None, _bound_schema, "the value is at most this", types=(_TEXT, _STATE, _NUMBER)),
    "exists": Operator(_exists, lambda _: json_schema.FLAG, "`true`: there is a value; `false`: there is none"),
    "is": Operator(
        _is,
        lambda value_type: VALUE_FORMS[value_type].schema,
        "the value is exactly this text, with any characters",
    ),
    "re": Operator(
        _re,
        lambda _: {"type": "string"},
        "this regular expression (RE2) matches the whole value",
        types=(_TEXT, _STATE),
    ),
}


def value_schema(value_type: ValueType) -> Schema:
    """The schema of a value: a scalar, a list, or operators."""
    operators = {
        name: {**operator.schema(value_type), "description": operator.description}
        for name, operator in OPERATORS.items()
        if value_type in operator.types
    }
    mapping = {**json_schema.closed_object(operators), "minProperties": 1}
    return {"anyOf": [VALUE_FORMS[value_type].schema, _list(value_type), mapping]}
