"""A channel as routes.yaml names it, and the reference by which it is known: an id, or `#name`.

A name may depend on the incident (`"#inc-{{ tags.team }}"`). Such an expression is Jinja, held to what a name needs: it
prints, it chooses, and it ends. Whatever an alert puts into it becomes a name that Slack could have: in lower case, of
letters, digits, hyphens and underscores, at most 80 characters (https://docs.slack.dev/reference/methods/conversations.create).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relay.rendering.context import VARIABLE_NAMES

Variables = Callable[[], Mapping[str, Any]]
"""Gives the plain variables of an incident (`relay.rendering.context`); called only where an expression needs them."""

NAME_LENGTH = 80
VARIABLES = frozenset({"incident", "tags", "environment", "environments", "links", "sender"})

_FILTERS = (
    "capitalize default d first int last length join lower replace string title trim truncate upper".split()  # noqa: SIM905  a list of words reads best as words
)
_ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test, nodes.Keyword),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Tuple, nodes.List),
)
_HYPHENS = re.compile(r"-{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """An expression that gives no name for this incident, and why, in words."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedChannel:
    """A channel that is the same for every incident. `written` is what stands in the file (an alias, perhaps)."""

    source: str
    ref: str

    def resolve(self, variables: Variables) -> str:  # noqa: ARG002  an expression needs them
        """The reference."""
        return self.ref

    def can_resolve_to(self, ref: str) -> bool:
        """Whether a card in the channel of that reference may be this one's."""
        return ref == self.ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionChannel:
    """A channel whose name depends on the incident. Every name that it gives has the constant `beginning`.

    `absent` says of each name that it asks for, in words, that the incident has nothing of it.
    """

    source: str
    beginning: str
    template: Template = field(compare=False, repr=False)
    absent: Mapping[str, str] = field(compare=False, repr=False)

    def resolve(self, variables: Variables) -> str | Unresolved:
        """The reference of this incident's channel."""
        try:
            printed = self.template.render(variables())
        except Exception as error:  # noqa: BLE001  nothing that a value does to an expression may cost the share
            return Unresolved(reason=self.absent.get(str(error), str(error)))
        return "#" + channel_name(printed)

    def can_resolve_to(self, ref: str) -> bool:
        """Whether a card in the channel of that reference may be this one's."""
        return ref.startswith(self.beginning)


RouteChannel = FixedChannel | ExpressionChannel


def channel_name(text: str) -> str:
    """The name that Slack would take for this text, without `#`; empty where nothing of the text can stand in one."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    allowed = "".join(character if may_stand_in_a_name(character) else "-" for character in lowered)
    return _HYPHENS.sub("-", allowed).strip("-")[:NAME_LENGTH].rstrip("-")


def may_stand_in_a_name(character: str) -> bool:
    """Whether Slack takes it in a name: small letters of any script (with their marks), digits, `-` and `_`."""
    if character.isalnum():
        return character == character.lower()
    return character in "-_" or unicodedata.category(character).startswith("M")


def expression(written: str) -> ExpressionChannel:
    """Check and compile an expression.

    Raises:
        ValueError: what is wrong with it, in words.
    """
    try:
        tree = _JINJA.parse(written)
        _check(tree)
        template = _JINJA.from_string(written)
    except TemplateSyntaxError as error:
        raise ValueError(f"this channel is not valid Jinja: {error.message}") from error
    return ExpressionChannel(source=written, beginning=_beginning(tree), template=template, absent=_absent(tree))


def unknown_names(written: str) -> Iterator[str]:
    """What an expression asks for that no incident has, each as `variable.name`: it never gives a channel."""
    for node in _JINJA.parse(written).find_all(nodes.Getattr):
        known = VARIABLE_NAMES.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        if known and node.attr not in known and isinstance(node.node, nodes.Name):
            yield f"{node.node.name}.{node.attr}"


def _absent(tree: nodes.Template) -> Mapping[str, str]:
    """What to say where nothing is found under a name, by that name."""
    paths: dict[str, list[str]] = {}
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
        *above, name = _path(node)
        paths.setdefault(name, []).append(f"tag {name}" if above == ["tags"] else ".".join([*above, name]))
    called = {name: dict.fromkeys(path.removeprefix("incident.") for path in paths[name]) for name in paths}
    return {name: f"the incident has no {' or '.join(known)}" for name, known in called.items()}


def _path(node: nodes.Node) -> list[str]:
    """The names that lead to a value, as far as they are written outright."""
    match node:
        case nodes.Getattr(node=of, attr=name):
            return [*_path(of), name]
        case nodes.Getitem(node=of, arg=nodes.Const(value=name)):
            return [*_path(of), str(name)]
        case nodes.Name(name=name):
            return [name]
        case _:
            return ["it"]


def _beginning(tree: nodes.Template) -> str:
    """The text before the first expression, as it begins the channel's reference."""
    first = tree.body[0] if tree.body else None
    data = first.nodes[0] if isinstance(first, nodes.Output) else None
    constant = data.data if isinstance(data, nodes.TemplateData) else ""
    if not constant.startswith("#") or not channel_name(constant):
        raise ValueError(
            'a channel made from an incident begins with # and a constant, such as "#inc-{{ tags.team }}", '
            "so that no value can choose just any channel"
        )
    return "#" + channel_name(constant)


def _check(tree: nodes.Template) -> None:
    """Refuse what could run long or grow, and the names that nothing will ever fill."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise ValueError(  # noqa: TRY004  the fault is in the text, not in a type
                f"a channel's Jinja only prints and chooses; {type(node).__name__.lower()} has no place in it"
            )
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise ValueError(f"there is no filter {node.name!r} for a channel; there are {', '.join(_FILTERS)}")
        if isinstance(node, nodes.Name) and node.name not in VARIABLES:
            raise ValueError(f"{node.name!r} is not a variable; there are {', '.join(sorted(VARIABLES))}")


def _printed(value: Any) -> str:
    """What an expression prints becomes a part of a name, or fails: a name with a hole in it is another channel's."""
    if isinstance(value, Undefined):
        str(value)  # which raises
    if value is None or callable(value) or isinstance(value, Mapping | list | tuple | set):
        raise ValueError("a part of it has no value that can stand in a name")
    text = str(value)
    if not channel_name(text):
        nothing = f"nothing of {text[:NAME_LENGTH]!r} can stand in a channel's name"
        raise ValueError(nothing if text.strip() else "a part of it is empty")
    return text


class _Absent(StrictUndefined):
    """What is not there: whoever prints it hears its name, or what is wrong with asking for it."""

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or str(self._undefined_name)


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=_Absent, finalize=_printed, autoescape=False)
    made.filters = {name: made.filters[name] for name in _FILTERS}
    made.globals.clear()
    return made


_JINJA = _environment()
