"""Channels of routes.yaml: fixed ones, and names made from an incident. A channel's `ref` is an id, or `#name`.

A name may depend on the incident (`"#inc-{{ tags.team }}"`). It begins with fixed text, or is in the list
`channels_allowed`, so that no alert can choose any channel. Such an expression is a small part of Jinja: it prints,
chooses, and always ends. Any value becomes a name that Slack allows: lower-case letters, digits, hyphens and
underscores, at most 80 characters (https://docs.slack.dev/reference/methods/conversations.create).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from relay.rendering.context import VARIABLE_NAMES
from relay.rendering.engine.budget import BudgetExceeded, ValueTooLarge
from relay.rendering.engine.safe_ops import BOUNDED_FILTERS
from relay.rendering.engine.sandbox import RuntimeCodeGenerator

Variables = Callable[[], Mapping[str, Any]]
"""Makes the plain variables of an incident (`relay.rendering.context`); called only if an expression needs them."""

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
_LONGEST_SOURCE = 500
_HYPHENS = re.compile(r"-{2,}")
_PERHAPS_EMPTY = re.compile(r"-*\?-*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """The result of an expression that gives no name for an incident, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedChannel:
    """A channel that is the same for every incident. `source` is its text in the file, perhaps an alias."""

    source: str
    ref: str

    def resolve(self, variables: Variables) -> str:  # noqa: ARG002  an expression needs them
        """Return the ref."""
        return self.ref

    def can_resolve_to(self, ref: str) -> bool:
        """Whether this may be the channel of a card with that ref."""
        return ref == self.ref


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionChannel:
    """A channel whose name depends on the incident. Every name matches the glob `shape` (`#inc-*`).

    It must also match one of the globs in `allowed`, if there are any. `missing` maps each name in the expression to a
    message, in case the incident has no such value.
    """

    source: str
    shape: str
    allowed: tuple[str, ...] = ()
    template: Template = field(compare=False, repr=False)
    missing: Mapping[str, str] = field(compare=False, repr=False)

    def resolve(self, variables: Variables) -> str | Unresolved:
        """Return the ref for one incident, or why there is none."""
        try:
            text = self.template.render(variables())
        except Exception as error:  # noqa: BLE001  no value may make an expression fail the whole share
            return Unresolved(reason=self.missing.get(str(error)) or _reason(error))
        ref = "#" + channel_name(text)
        return ref if self._is_allowed(ref) else Unresolved(reason=f"{ref} is not in channels_allowed")

    def permits(self, ref: str) -> bool:
        """Whether an incident may choose this name."""
        return matches_glob(ref, self.shape) and self._is_allowed(ref)

    def _is_allowed(self, ref: str) -> bool:
        return not self.allowed or any(matches_glob(ref, glob) for glob in self.allowed)

    def can_resolve_to(self, ref: str) -> bool:
        """Whether this may be the channel of a card with that ref."""
        beginning = self.shape.partition("*")[0]  # only that is certain of a long name
        return ref.startswith(beginning) if len(ref) > NAME_LENGTH else matches_glob(ref, self.shape)


def _reason(error: Exception) -> str:
    """A sentence without Python's words."""
    own = isinstance(error, _NoName | ValueTooLarge | BudgetExceeded)
    return str(error) if own else "the expression cannot use the values of this incident"


class _NoName(ValueError):
    """A part of the name is missing."""


RouteChannel = FixedChannel | ExpressionChannel


def channel_name(text: str) -> str:
    """Make a name that Slack allows, without `#`; empty if no character of the text is allowed."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    allowed = "".join(character if is_name_character(character) else "-" for character in lowered)
    return _HYPHENS.sub("-", allowed).strip("-")[:NAME_LENGTH].rstrip("-")


def is_name_character(character: str) -> bool:
    """Whether Slack allows it in a name: lower-case letters of any script (with marks), digits, `-` and `_`."""
    if character.isalnum():
        return character == character.lower()
    return character in "-_" or unicodedata.category(character).startswith("M")


def check_glob(glob: str) -> str:
    """Check a glob of `channels_allowed`; return it in lower case. Raises ValueError: what is wrong with it."""
    bare = glob.lower().removeprefix("#")
    if not glob.startswith("#") or not all(is_name_character(each) or each == "*" for each in bare):
        raise ValueError('write # and a name in which * stands for any text, such as "#*-oncall"')
    if not bare.strip("*-_"):
        raise ValueError("it would let an alert choose any channel; write a part of the name, such as #*-oncall")
    return f"#{bare}"


def matches_glob(ref: str, glob: str) -> bool:
    """Whether a name matches a glob, in which `*` stands for any text. No glob is slow."""
    first, *rest = glob.split("*")
    if not rest:
        return ref == glob
    *middle, last = rest
    if not ref.startswith(first) or not ref[len(first) :].endswith(last):
        return False
    inside, at = ref[len(first) : len(ref) - len(last)], 0
    for part in middle:
        found = inside.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def globs_meet(one: str, other: str) -> bool:
    """Whether some name matches both globs."""
    reached = {0}
    for character in one:
        if character == "*":
            reached = {end for start in reached for end in range(start, len(other) + 1)}
        else:
            reached = _after_stars(reached, other)
            reached = {at if other[at] == "*" else at + 1 for at in reached if other[at : at + 1] in ("*", character)}
    return len(other) in _after_stars(reached, other)


def _after_stars(places: Iterable[int], glob: str) -> set[int]:
    """The places in a glob, and those that its stars reach without any text."""
    found = set()
    for place in places:
        stars = len(glob[place:]) - len(glob[place:].lstrip("*"))
        found |= set(range(place, place + stars + 1))
    return found


def parse_expression(source: str, allowed: tuple[str, ...] = ()) -> ExpressionChannel:
    """Check and compile an expression; `allowed` are the globs of `channels_allowed`.

    Raises ValueError: what is wrong with it, as a message for the operator.
    """
    if len(source) > _LONGEST_SOURCE:
        raise ValueError(f"a channel of {len(source):,} characters; the limit is {_LONGEST_SOURCE}")
    try:
        tree = _JINJA.parse(source)
        _check(tree)
        template = _JINJA.from_string(source)
    except TemplateSyntaxError as error:
        raise ValueError(f"invalid Jinja in a channel: {error.message}") from error
    shape = _shape(tree)
    if not shape.startswith("#") or (not allowed and not shape.partition("*")[0].strip("#-")):
        raise ValueError(
            "a channel made from an incident must begin with # and fixed text, so that no value can choose any "
            'channel; write for example "#inc-{{ tags.team }}", or list the names at the top: '
            'channels_allowed: ["#*-oncall"]'
        )
    if allowed and not any(globs_meet(shape, glob) for glob in allowed):
        raise ValueError(f"channels_allowed permits none of these names ({shape}), only {', '.join(allowed)}")
    return ExpressionChannel(source=source, shape=shape, allowed=allowed, template=template, missing=_missing(tree))


def unknown_names(source: str) -> Iterator[str]:
    """Every `variable.name` in an expression that no incident has: such a channel never resolves."""
    for node in _JINJA.parse(source).find_all(nodes.Getattr):
        known = VARIABLE_NAMES.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        if known and node.attr not in known and isinstance(node.node, nodes.Name):
            yield f"{node.node.name}.{node.attr}"


def _missing(tree: nodes.Template) -> Mapping[str, str]:
    paths: dict[str, list[str]] = {}
    for node in tree.find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
        *parents, name = _path(node)
        paths.setdefault(name, []).append(f"tag {name}" if parents == ["tags"] else ".".join([*parents, name]))
    labels = {name: dict.fromkeys(path.removeprefix("incident.") for path in paths[name]) for name in paths}
    return {name: f"the incident has no {' or '.join(known)}" for name, known in labels.items()}


def _path(node: nodes.Node) -> list[str]:
    """The constant names that lead to a value."""
    match node:
        case nodes.Getattr(node=of, attr=name):
            return [*_path(of), name]
        case nodes.Getitem(node=of, arg=nodes.Const(value=name)):
            return [*_path(of), str(name)]
        case nodes.Name(name=name):
            return [name]
        case _:
            return ["it"]


def _shape(tree: nodes.Template) -> str:
    """The glob that every name matches: its constant text as it is in a ref, and `*` for each expression."""
    lowered = unicodedata.normalize("NFKC", "".join(_shapes(tree))).lower()
    sign, bare = lowered[:1], lowered[1:]
    allowed = "".join(each if is_name_character(each) or each in "*?" else "-" for each in bare)
    return sign + _PERHAPS_EMPTY.sub("*", _HYPHENS.sub("-", allowed)).strip("-")


def _shapes(tree: nodes.Template) -> Iterator[str]:
    """The parts of the glob; `?` stands for a part that may be empty, so that the hyphens around it become one."""
    for node in tree.body:
        for part in node.nodes if isinstance(node, nodes.Output) else [node]:
            if isinstance(part, nodes.TemplateData):
                yield part.data.replace("?", "-")
            else:
                yield "?" if isinstance(part, nodes.If) else "*"


def _check(tree: nodes.Template) -> None:
    """Reject what could run for long or grow, and unknown names."""
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED):
            raise ValueError(  # noqa: TRY004  the fault is in the text, not in a type
                f"{type(node).__name__.lower()} is not allowed in a channel; its Jinja may only print and choose"
            )
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise ValueError(f"unknown filter {node.name!r} in a channel; expected one of: {', '.join(_FILTERS)}")
        if isinstance(node, nodes.Name) and node.name not in VARIABLES:
            choices = ", ".join(sorted(VARIABLES))
            raise ValueError(f"unknown variable {node.name!r} in a channel; expected one of: {choices}")


def _checked_part(value: Any) -> str:
    """Check what an expression prints. A name with a missing part would be another channel's name."""
    if isinstance(value, Undefined):
        str(value)  # which raises
    if value is None or callable(value) or isinstance(value, Mapping | list | tuple | set):
        raise _NoName("a part of the name has no value")
    text = str(value)
    if not channel_name(text):
        invalid = f"no character of {text[:NAME_LENGTH]!r} is allowed in a channel name"
        raise _NoName(invalid if text.strip() else "a part of the name is empty")
    return text


class _Missing(StrictUndefined):
    """A missing value; printing it raises an error with its name as the message."""

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or str(self._undefined_name)


class _ChannelEnvironment(ImmutableSandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a mapping's entries to its methods: `tags.items` is the tag of that name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


_JINJA = _ChannelEnvironment(undefined=_Missing, finalize=_checked_part, autoescape=False, optimized=False)
_JINJA.code_generator_class = RuntimeCodeGenerator
_JINJA.filters = {name: BOUNDED_FILTERS.get(name, _JINJA.filters[name]) for name in _FILTERS}
_JINJA.globals.clear()
