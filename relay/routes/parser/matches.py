"""`match` as routes.yaml writes it, compiled to conditions.

Values are taken as they were written, whatever YAML would make of them; what may stand there depends on what is looked
at: a text, a state, a number, or `true` and `false`.
"""

from collections.abc import Callable, Mapping

from relay.model.incident import State
from relay.routes.match import AllMatches, AnyMatch, Comparison, Condition, Match, NotMatch
from relay.routes.operators import (
    AllOf,
    AnyOf,
    Between,
    Exactly,
    Exists,
    Glob,
    Opposite,
    Regex,
    Wanted,
    number_of,
    rank_of,
)
from relay.routes.parser.context import ParseContext, suggestion
from relay.routes.parser.scalars import describe, read_bool, read_mapping
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode, as_yaml
from relay.routes.subjects import NAMED, PLAIN, Subject, ValueType, named

_OVER_MATCHES = ("any", "all", "not")


def match(node: Node, reading: ParseContext) -> Match:
    """A whole match. What is faulty in it is left out, and noted."""
    made = read_mapping(node, reading, "conditions, such as {environment: Production, status: critical}")
    conditions: list[Condition] = []
    for word, value in made.entries if made else ():
        conditions += _conditions(word, value, reading)
    return Match(conditions=tuple(conditions))


def _conditions(word: ScalarNode, value: Node, reading: ParseContext) -> list[Condition]:
    key = word.text
    if key in PLAIN:
        return _looks([(PLAIN[key], value)], reading)
    if key in NAMED:
        under = read_mapping(value, reading, f"names to values, such as {key}: {{team: database}}")
        return _looks([(named(key, name.text), each) for name, each in (under.entries if under else ())], reading)
    if key in _OVER_MATCHES:
        return _over_matches(key, value, reading)
    known = (*PLAIN, *NAMED, *_OVER_MATCHES)
    reading.add_fault(word, f"'{key}' is not something that a match can look at{suggestion(key, known)}")
    return []


def _looks(pairs: list[tuple[Subject, Node]], reading: ParseContext) -> list[Condition]:
    return [
        Comparison(subject=subject, wanted=what, expected=as_yaml(value))
        for subject, value in pairs
        if (what := wanted(value, subject.kind, reading)) is not None
    ]


def _over_matches(key: str, value: Node, reading: ParseContext) -> list[Condition]:
    if key == "not":
        return [NotMatch(match=match(value, reading))]
    if not isinstance(value, ListNode) or not value.items:
        reading.add_fault(value, f"'{key}' takes a list of matches, such as {key}: [{{status: critical}}]")
        return []
    matches = tuple(match(item, reading) for item in value.items)
    return [AnyMatch(matches=matches) if key == "any" else AllMatches(matches=matches)]


def wanted(node: Node, kind: ValueType, reading: ParseContext) -> Wanted | None:
    """What a value asks for: a word, any of a list, or operators that must all hold."""
    match node:
        case ScalarNode():
            return _LEAVES[kind](node, reading)
        case ListNode():
            these = _several(node, kind, reading)
            return AnyOf(these=these) if these else None
        case MappingNode():
            return _operators(node, kind, reading)


def _several(node: Node, kind: ValueType, reading: ParseContext) -> tuple[Wanted, ...]:
    """The items of a list, none of them left out in silence."""
    if not isinstance(node, ListNode) or not node.items:
        reading.add_fault(node, f"expected a list with at least one value, found {_found(node)}")
        return ()
    read = (wanted(item, kind, reading) for item in node.items)
    return tuple(each for each in read if each is not None)


def _found(node: Node) -> str:
    return "an empty list" if isinstance(node, ListNode) else describe(node)


# --- words ---


def _text(word: ScalarNode, reading: ParseContext) -> Wanted | None:
    """Exact, a glob, or a regular expression between slashes."""
    text = word.text
    if word.is_empty:
        cure = word.hint or 'absence is {exists: false}; an empty text is ""'
        reading.add_fault(word, f"expected a value, found nothing ({cure})")
        return None
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return _regex(word, text[1:-1], reading)
    if "*" in text or "?" in text:
        return Glob(text=text.casefold())
    return Exactly(text=text.casefold())


def _regex(word: ScalarNode, pattern: str, reading: ParseContext) -> Wanted | None:
    try:
        return Regex(pattern=pattern)
    except ValueError as error:
        reading.add_fault(word, f"this is not a regular expression that RE2 takes: {error}")
        return None


def _state(word: ScalarNode, reading: ParseContext) -> Wanted | None:
    """A text that can be a state."""
    read = _text(word, reading)
    if not isinstance(read, Exactly) or rank_of(read.text) is not None:
        return read
    hint = "; did you mean 'resolved'?" if read.text in ("ok", "closed") else suggestion(word.text, State)
    reading.add_fault(word, f"{describe(word)} is not a state{hint}")
    return None


def _number(word: ScalarNode, reading: ParseContext) -> Wanted | None:
    bound = _bound(word, ValueType.NUMBER, reading)
    return None if bound is None else Between(measure=number_of, least=bound, most=bound)


def _flag(word: ScalarNode, reading: ParseContext) -> Wanted | None:
    read = read_bool(word, reading)
    return None if read is None else Exactly(text="true" if read else "false")


_LEAVES: Mapping[ValueType, Callable[[ScalarNode, ParseContext], Wanted | None]] = {
    ValueType.TEXT: _text,
    ValueType.STATE: _state,
    ValueType.NUMBER: _number,
    ValueType.FLAG: _flag,
}


# --- operators ---


def _operators(node: MappingNode, kind: ValueType, reading: ParseContext) -> Wanted | None:
    """Each of them; `min` and `max` together are one range."""
    if not node.entries:
        reading.add_fault(node, f"expected an operator, found none{suggestion('', _known(kind))}")
    read = [_between(node, kind, reading)]
    for word, value in node.entries:
        if word.text not in _known(kind):
            reading.add_fault(word, f"'{word.text}' is not an operator here{suggestion(word.text, _known(kind))}")
        elif word.text in _OPERATORS:
            read.append(_OPERATORS[word.text](value, kind, reading))
    these = tuple(each for each in read if each is not None)
    return these[0] if len(these) == 1 else AllOf(these=these)


_ORDERED = ("min", "max")
_NOT_FOR: Mapping[ValueType, tuple[str, ...]] = {
    ValueType.TEXT: (),
    ValueType.STATE: (),
    ValueType.NUMBER: ("re",),
    ValueType.FLAG: ("min", "max", "re"),
}


def _known(kind: ValueType) -> list[str]:
    return [name for name in (*_OPERATORS, *_ORDERED) if name not in _NOT_FOR[kind]]


def _between(node: MappingNode, kind: ValueType, reading: ParseContext) -> Wanted | None:
    ends = {word.text: value for word, value in node.entries if word.text in _ORDERED}
    if not ends or kind is ValueType.FLAG:
        return None
    bounds = {name: _bound(value, kind, reading) for name, value in ends.items()}
    least, most = bounds.get("min"), bounds.get("max")
    if least is not None and most is not None and least > most:
        reading.add_fault(
            ends["min"], f"nothing lies between a min of {describe(ends['min'])} and a max of {describe(ends['max'])}"
        )
    return Between(
        measure=rank_of if kind is ValueType.STATE else number_of,
        least=float("-inf") if least is None else least,
        most=float("inf") if most is None else most,
    )


def _bound(node: Node, kind: ValueType, reading: ParseContext) -> float | None:
    """A number, or a state's rank."""
    text = node.text if isinstance(node, ScalarNode) else ""
    read = rank_of(text.casefold()) if kind is ValueType.STATE else number_of(text)
    if read is None:
        what = "a state" if kind is ValueType.STATE else "a number"
        hint = suggestion(text, State) if kind is ValueType.STATE else ""
        reading.add_fault(node, f"expected {what}, found {describe(node)}{hint}")
    elif kind is ValueType.NUMBER and not (read >= 0 and read.is_integer()):
        reading.add_fault(node, f"alerts are counted: expected a whole number from 0, found {describe(node)}")
        return None
    return read


def _opposite(node: Node, kind: ValueType, reading: ParseContext) -> Wanted | None:
    of = wanted(node, kind, reading)
    return None if of is None else Opposite(of=of)


def _any(node: Node, kind: ValueType, reading: ParseContext) -> Wanted | None:
    these = _several(node, kind, reading)
    return AnyOf(these=these) if these else None


def _all(node: Node, kind: ValueType, reading: ParseContext) -> Wanted | None:
    these = _several(node, kind, reading)
    return AllOf(these=these) if these else None


def _exists(node: Node, _: ValueType, reading: ParseContext) -> Wanted | None:
    read = read_bool(node, reading)
    return None if read is None else Exists(wanted=read)


def _is(node: Node, kind: ValueType, reading: ParseContext) -> Wanted | None:
    """The very text, whatever is in it."""
    if kind is not ValueType.TEXT and isinstance(node, ScalarNode):
        return _LEAVES[kind](node, reading)
    if not isinstance(node, ScalarNode) or node.is_empty:
        reading.add_fault(node, f"'is' takes one word, found {describe(node)}")
        return None
    return Exactly(text=node.text.casefold())


def _re(node: Node, _: ValueType, reading: ParseContext) -> Wanted | None:
    if not isinstance(node, ScalarNode) or node.is_empty:
        reading.add_fault(node, f"'re' takes one regular expression, found {describe(node)}")
        return None
    return _regex(node, node.text, reading)


_OPERATORS: Mapping[str, Callable[[Node, ValueType, ParseContext], Wanted | None]] = {
    "not": _opposite,
    "any": _any,
    "all": _all,
    "exists": _exists,
    "is": _is,
    "re": _re,
}
