"""What the names of a template stand for, as far as its text tells: an alert in a loop over alerts, a tag of many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from jinja2 import nodes

from relay.rendering.context import ALERT_NAMES, CHANGE_NAMES, ENTRY_NAMES, ITEM_NAMES, VARIABLE_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of value: how a sentence calls it and the names that it has; without names nothing is known of them.

    `inner` are the shapes behind some names, `other` the one behind any other, `item` that of what a list holds. Beside
    its names it has the methods of what it is to Python, `kind`.
    """

    called: str = ""
    names: frozenset[str] = frozenset()
    inner: "Mapping[str, Shape]" = field(default_factory=dict)
    other: "Shape | None" = None
    item: "Shape | None" = None
    kind: type = dict

    def lacks(self, name: str) -> bool:
        """Whether it surely has nothing of that name."""
        return bool(self.names) and name not in self.names and (name[:1] == "_" or not hasattr(self.kind, name))


Scope = Mapping[str, Shape | None]


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ALERT: Final = Shape(called="an alert", names=ALERT_NAMES)
_CHANGE: Final = Shape(called="a related change", names=CHANGE_NAMES)
_PERSON: Final = Shape(called="a person", names=_names("name email id"), kind=str)
_TAG: Final = Shape(called="a tag", names=_names("id name label value values"), kind=str)
_SNOOZE: Final = Shape(called="a snooze", names=_names("snoozed until"))
_SOME_ALERTS: Final = Shape(called="a list of alerts", names=_names("hosts kinds"), item=_ALERT, kind=list)
_ALERTS: Final = Shape(
    called='"incident.alerts"',
    names=_names("worst active hosts kinds"),
    inner={"worst": _SOME_ALERTS, "active": _SOME_ALERTS},
    item=_ALERT,
    kind=list,
)
_INNER: Final[Mapping[str, Mapping[str, Shape]]] = {
    "incident": {
        "alerts": _ALERTS,
        "changes": Shape(item=_CHANGE),
        "assignee": _PERSON,
        "assigner": _PERSON,
        "snooze": _SNOOZE,
    },
    "tags": {"shown": Shape(item=_TAG), "rest": Shape(item=_TAG)},
}
_ITEM: Final = Shape(called="an item of an entry", names=ITEM_NAMES)
_ENVIRONMENT: Final = Shape(called='"environment"', names=VARIABLE_NAMES["environment"], kind=str)
_ROOTS: Final[Mapping[str, Shape]] = {
    **{
        name: Shape(called=f'"{name}"', names=names, inner=_INNER.get(name, {}))
        for name, names in VARIABLE_NAMES.items()
    },
    "tags": Shape(called='"tags"', inner=_INNER["tags"], other=_TAG),
    "environment": _ENVIRONMENT,
    "environments": Shape(item=_ENVIRONMENT),
    "entry": Shape(called='"entry"', names=ENTRY_NAMES, inner={"items": Shape(item=_ITEM)}),
    "sender": Shape(called='"sender"', names=VARIABLE_NAMES["sender"], kind=str),
}

_KEEPING: Final = _names("sort reverse reject rejectattr select selectattr list unique")
_TAKING_ONE: Final = _names("first last")


def looked_up(tree: nodes.Template) -> Iterator[tuple[nodes.Getattr, Shape]]:
    """Each look at a name behind something of a known shape."""
    scope: Scope = {**_ROOTS, **_assigned(tree)}
    yield from _walked(tree, scope)


def _walked(node: nodes.Node, scope: Scope) -> Iterator[tuple[nodes.Getattr, Shape]]:
    if isinstance(node, nodes.Getattr) and (shape := _shape(node.node, scope)):
        yield node, shape
    if isinstance(node, nodes.For):
        yield from _walked(node.iter, scope)
        inside = _in_loop(node, scope)
        for each in (*node.body, *node.else_, *([node.test] if node.test else [])):
            yield from _walked(each, inside)
        return
    inside = {**scope, **{each.name: None for each in node.args}} if isinstance(node, nodes.Macro) else scope
    for child in node.iter_child_nodes():
        yield from _walked(child, inside)


def _in_loop(node: nodes.For, scope: Scope) -> Scope:
    listed = _shape(node.iter, scope)
    item = listed.item if listed and isinstance(node.target, nodes.Name) else None
    return {**scope, **dict.fromkeys(_targets(node.target), item)}


def _targets(target: nodes.Node) -> Iterator[str]:
    yield from (node.name for node in (target, *target.find_all(nodes.Name)) if isinstance(node, nodes.Name))


def _assigned(tree: nodes.Template) -> Scope:
    """What `set` gives names to; nothing is known of a name that is set twice, or by other means as well."""
    found: dict[str, Shape | None] = {}
    for node in tree.find_all(nodes.Assign):
        for name in dict.fromkeys(_targets(node.target)):
            alone = name not in found and isinstance(node.target, nodes.Name)
            found[name] = _shape(node.node, _ROOTS) if alone else None
    blocks = [name for node in tree.find_all(nodes.AssignBlock) for name in _targets(node.target)]
    return {**found, **dict.fromkeys(blocks)}


def _shape(node: nodes.Node, scope: Scope) -> Shape | None:
    match node:
        case nodes.Name(name=name):
            return scope.get(name)
        case nodes.Getattr(node=of, attr=name):
            return _behind(_shape(of, scope), name)
        case nodes.Getitem(node=of, arg=nodes.Const(value=name)):
            return _behind(_shape(of, scope), name)
        case nodes.Getitem(node=of, arg=nodes.Slice()):
            return _shape(of, scope)
        case nodes.Filter(node=nodes.Node() as of, name=name):
            return _filtered(_shape(of, scope), name)
        case _:
            return None


def _filtered(shape: Shape | None, name: str) -> Shape | None:
    """What a filter makes of a list of a known shape."""
    if shape is None or name in _TAKING_ONE:
        return shape and shape.item
    return Shape(item=shape.item) if name in _KEEPING else None


def _behind(shape: Shape | None, name: object) -> Shape | None:
    """What stands behind a name, or in a place of a list."""
    if shape is None:
        return None
    return shape.item if isinstance(name, int) else shape.inner.get(str(name), shape.other)
