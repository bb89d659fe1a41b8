"""Infers what the names in a template stand for: an alert in a loop over alerts, a tag, a person."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from jinja2 import nodes

from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.incident import State
from relay.rendering.context import (
    ALERT_NAMES,
    BULLETIN_NAMES,
    CHANGE_NAMES,
    COUNT_NAMES,
    ENTRY_NAMES,
    ITEM_NAMES,
    LINE_NAMES,
    VARIABLE_NAMES,
)
from relay.rendering.engine.syntax_tree import children
from relay.rendering.lint.walk import TemplateNodes


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateType:
    """A type of value: its title in a sentence, and its names; without names, every name may exist.

    `inner` are the types of some names, `other` that of any other name, `item` that of a list's items. Beside its names
    a value has the methods of its Python type, `python`. With `words`, the value is always one of these.
    """

    title: str = ""
    names: frozenset[str] = frozenset()
    inner: "Mapping[str, TemplateType]" = field(default_factory=dict)
    other: "TemplateType | None" = None
    item: "TemplateType | None" = None
    python: type = dict
    words: frozenset[str] = frozenset()

    def lacks(self, name: str) -> bool:
        """Whether it certainly has nothing of this name."""
        return bool(self.names) and name not in self.names and (name[:1] == "_" or not hasattr(self.python, name))


Scope = Mapping[str, TemplateType | None]
ScopedNode = tuple[nodes.Node, Scope]
"""A node, and the types of the names there; a name of the template itself may have none."""

_STATE: Final = TemplateType(python=str, words=frozenset(State))
_ALERT: Final = TemplateType(title="an alert", names=ALERT_NAMES, inner={"state": _STATE})
_PERSON: Final = TemplateType(title="a person", names=frozenset({"name", "email", "id"}), python=str)
_TAG: Final = TemplateType(title="a tag", names=frozenset({"id", "name", "label", "value", "values"}), python=str)
_ALERT_LIST: Final = TemplateType(
    title="a list of alerts", names=frozenset({"hosts", "total"}), item=_ALERT, python=list
)
_ALERTS: Final = TemplateType(
    title='"incident.alerts"',
    names=frozenset({"worst", "active", "hosts", "total"}),
    inner={"worst": _ALERT_LIST, "active": _ALERT_LIST},
    item=_ALERT,
    python=list,
)
_INCIDENT: Final = {
    "alerts": _ALERTS,
    "state": _STATE,
    "severity": _STATE,
    "changes": TemplateType(item=TemplateType(title="a related change", names=CHANGE_NAMES)),
    "assignee": _PERSON,
    "assigner": _PERSON,
    "snooze": TemplateType(title="a snooze", names=frozenset({"snoozed", "until"})),
}
_TAG_LIST: Final = TemplateType(item=_TAG)
_ENVIRONMENT: Final = TemplateType(title='"environment"', names=VARIABLE_NAMES["environment"], python=str)
_ENTRY_ITEM: Final = TemplateType(title="an item of an entry", names=ITEM_NAMES)
_LINE: Final = TemplateType(title="a line", names=LINE_NAMES, inner={"state": _STATE})
_LINES: Final = TemplateType(item=_LINE, python=list)
_VARIABLES: Final[Mapping[str, TemplateType]] = {
    "bulletin": TemplateType(
        title='"bulletin"',
        names=BULLETIN_NAMES,
        inner={
            "counts": TemplateType(title='"bulletin.counts"', names=COUNT_NAMES),
            **dict.fromkeys(("lines", "unowned", "owned"), _LINES),
            "states": TemplateType(item=TemplateType(title="a state", names=frozenset({"state", "count"}))),
            "groups": TemplateType(item=TemplateType(title="a group", names=frozenset({"name", "count", "open"}))),
        },
    ),
    "line": _LINE,
    **{name: TemplateType(title=f'"{name}"', names=names) for name, names in VARIABLE_NAMES.items()},
    "incident": TemplateType(title='"incident"', names=VARIABLE_NAMES["incident"], inner=_INCIDENT),
    "tags": TemplateType(title='"tags"', inner={"shown": _TAG_LIST, "rest": _TAG_LIST}, other=_TAG),
    "environment": _ENVIRONMENT,
    "environments": TemplateType(item=_ENVIRONMENT),
    "entry": TemplateType(
        title='"entry"',
        names=ENTRY_NAMES,
        inner={
            "items": TemplateType(item=_ENTRY_ITEM),
            "kind": TemplateType(python=str, words=frozenset(ENTRY_TEMPLATES)),
            "worst": _STATE,
        },
    ),
    "sender": TemplateType(title='"sender"', names=VARIABLE_NAMES["sender"], python=str),
}

_KEEPS_ITEMS: Final = frozenset({"sort", "reverse", "reject", "rejectattr", "select", "selectattr", "list", "unique"})
_TAKES_ONE: Final = frozenset({"first", "last"})


def scoped_nodes(tree: TemplateNodes) -> Iterator[ScopedNode]:
    """Every node, in reading order, with the types of the names there."""
    pending: list[ScopedNode] = [(tree.tree, {**_VARIABLES, **_assigned(tree)})]
    while pending:
        node, scope = pending.pop()
        yield node, scope
        if isinstance(node, nodes.For):
            listed = _type(node.iter, scope)
            item = listed.item if listed and isinstance(node.target, nodes.Name) else None
            with_item = {**scope, **dict.fromkeys(_targets(node.target), item)}
            in_body = {**with_item, "loop": None}
            after = [(each, with_item) for each in (*node.else_, *([node.test] if node.test else []))]
            inside = [(node.iter, scope), *((each, in_body) for each in node.body), *after]
        else:
            below = _scope_below(node, scope)
            inside = [(each, below) for each in children(node)]
        pending += reversed(inside)


def _scope_below(node: nodes.Node, scope: Scope) -> Scope:
    if isinstance(node, nodes.Macro):
        return {**scope, **{each.name: None for each in node.args}}
    if isinstance(node, nodes.Block):  # Jinja keeps the names around it from it
        return {name: known for name, known in scope.items() if known}
    return scope


def is_local(name: str, scope: Scope) -> bool:
    """Whether a name certainly has a value of its own here, whatever relay gives the template."""
    return name in scope and scope[name] is None


def attribute_lookups(scoped: Iterable[ScopedNode]) -> Iterator[tuple[nodes.Node, str, TemplateType]]:
    """Every lookup of a name, `a.name` or `a["name"]`, on a value whose type is known."""
    for node, scope in scoped:
        match node:
            case (
                nodes.Getattr(node=of, attr=str() as name)
                | nodes.Getitem(node=of, arg=nodes.Const(value=str() as name))
            ):
                if owner := _type(of, scope):
                    yield node, name, owner
            case _:
                pass


def compared_words(scoped: Iterable[ScopedNode]) -> Iterator[tuple[nodes.Node, str, frozenset[str]]]:
    """Every word with which a value is compared that is never that word, and what it may be."""
    for node, scope in scoped:
        compared = _type(node.expr, scope) if isinstance(node, nodes.Compare) else None
        if isinstance(node, nodes.Compare) and compared and compared.words:
            operands = [each.expr for each in node.ops if each.op in _EQUALITY]
            listed = [each.items if isinstance(each, nodes.List | nodes.Tuple) else [each] for each in operands]
            for each in chain.from_iterable(listed):
                if (
                    isinstance(each, nodes.Const)
                    and isinstance(each.value, str)
                    and each.value not in {*compared.words, ""}
                ):
                    yield each, each.value, compared.words


_EQUALITY: Final = frozenset({"eq", "ne", "in", "notin"})


def _targets(target: nodes.Node) -> Iterator[str]:
    yield from (node.name for node in (target, *target.find_all(nodes.Name)) if isinstance(node, nodes.Name))


def _assigned(tree: TemplateNodes) -> Scope:
    """The types of what `set` assigns; none for a name that is assigned twice, or in another way too."""
    types: dict[str, TemplateType | None] = {}
    for node in tree.of(nodes.Assign):
        for name in dict.fromkeys(_targets(node.target)):
            once = name not in types and isinstance(node.target, nodes.Name)
            types[name] = _type(node.node, _VARIABLES) if once else None
    blocks = [name for node in tree.of(nodes.AssignBlock) for name in _targets(node.target)]
    return {**types, **dict.fromkeys(blocks)}


def _type(node: nodes.Node, scope: Scope) -> TemplateType | None:
    match node:
        case nodes.Name(name=name):
            return scope.get(name)
        case nodes.Getattr(node=of, attr=name):
            return _attribute(_type(of, scope), name)
        case nodes.Getitem(node=of, arg=nodes.Const(value=name)):
            return _attribute(_type(of, scope), name)
        case nodes.Getitem(node=of, arg=nodes.Slice()):
            return _type(of, scope)
        case nodes.Filter(node=nodes.Node() as of, name=name):
            item = _attribute(_type(of, scope), 0)
            return item if name in _TAKES_ONE else TemplateType(item=item) if item and name in _KEEPS_ITEMS else None
        case _:
            return None


def _attribute(owner: TemplateType | None, name: object) -> TemplateType | None:
    """The type behind a name, or of an item of a list."""
    if owner is None:
        return None
    return owner.item if isinstance(name, int) else owner.inner.get(str(name), owner.other)
