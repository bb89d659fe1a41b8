"""Finds faults in template sources: unknown names, missing files, and what would never be shown."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.meta import TrackingCodeGenerator

from relay.model.errors import Fault
from relay.model.nearest import nearest
from relay.model.struct import replace
from relay.rendering.context import VARIABLE_NAMES
from relay.rendering.engine.positions import TokenLine, WordColumns, word_columns
from relay.rendering.engine.sandbox import RuntimeCodeGenerator
from relay.rendering.lint.constants import wrong_constants
from relay.rendering.lint.foreign_markup import foreign_markup
from relay.rendering.lint.foreign_syntax import FOREIGN_ATTRIBUTES, FOREIGN_NAMES, FOREIGN_PATHS
from relay.rendering.lint.recovery import Recovered, go_actions, recovered, without_tags_at
from relay.rendering.lint.syntax_errors import jinja_message
from relay.rendering.lint.value_types import (
    ScopedNode,
    TemplateType,
    attribute_lookups,
    compared_words,
    is_local,
    scoped_nodes,
)
from relay.rendering.lint.walk import TemplateNodes

_ESCAPED: Final = "everything printed is already escaped for Slack, so leave it out"
_INSTEAD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("e", "escape", "forceescape", "safe"), _ESCAPED),
    "attr": "write the name after a full stop",
    "random": "a card shows only its incident",
    "tojson": "write raw Block Kit in {% blocks %}",
    "urlize": 'use "linkify"',
}
"""What to write instead of filters that people know from elsewhere."""

_NO_VARIABLE: Final[Mapping[str, str]] = {
    "alert": "write {% for alert in incident.alerts.worst %} around it",
    "alerts": "write incident.alerts",
    "change": "write {% for change in incident.changes %} around it",
    "changes": "write incident.changes",
    "entry": "only the thread's templates have it, because a card shows the incident as it is now",
    "now": "write a Slack date instead: {{ incident.started | slack_time }}",
    **dict.fromkeys(("state", "status", "severity", "title"), "write incident.state, incident.title and so on"),
}
"""What to write instead of variables that people expect."""

_MOST_FAULTS: Final = 100
"""Faults of one kind in one file: to look for a similar name takes a while."""

_MOST_PARENTS: Final = 20

TemplateRole = Literal["card", "entry", "bulletin", "line"]
"""What a file makes that relay renders by its name."""

_VARIABLES: Final[Mapping[TemplateRole, frozenset[str]]] = {
    "card": frozenset(VARIABLE_NAMES),
    "entry": frozenset(VARIABLE_NAMES) | {"entry"},
    "bulletin": frozenset({"bulletin"}),
    "line": frozenset({"bulletin", "line"}),
}


class _UndeclaredNames(RuntimeCodeGenerator, TrackingCodeGenerator):
    """Jinja's `find_undeclared_variables`, which computes no constants."""


Finding: TypeAlias = tuple[Fault, bool]
"""A fault or a warning, and whether it is about an unknown name: that prints nothing, and costs no message."""


class _File:
    """A template file, as far as it can be parsed."""

    def __init__(self, environment: Environment, name: str, source: str, tree: TemplateNodes) -> None:
        self.environment, self.name, self.source, self.nodes = environment, name, source, tree

    @cached_property
    def columns(self) -> WordColumns:
        return word_columns(self.environment, self.source)

    @cached_property
    def scoped(self) -> Sequence[ScopedNode]:
        return [*scoped_nodes(self.nodes)]

    def fault(self, line: int, message: str, word: str = "", *, warning: bool = False) -> Fault:
        """Make a fault in this line, at the word: from the token's own column on, if that is known."""
        lines = self.source.split("\n")
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        start = line.column(self.columns) if word and isinstance(line, TokenLine) else 0
        column = text.find(word, start) + 1 or start + 1
        return Fault(file=self.name, line=int(line), column=column, message=message, warning=warning)

    def named_templates(self) -> Iterator[tuple[int, str]]:
        """The templates that it names as a constant, with their lines; those with `ignore missing` may be absent."""
        for node in self.nodes.of(nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends):
            template: Any = getattr(node, "template", None)
            may_be_absent = getattr(node, "ignore_missing", False)
            if isinstance(template, nodes.Const) and isinstance(template.value, str) and not may_be_absent:
                yield node.lineno, self.environment.join_path(template.value, self.name)


def file_findings(
    environment: Environment, name: str, readable: Recovered, *, role: TemplateRole | None, compiles: bool = False
) -> Iterator[Finding]:
    """Find the faults of one file, and warnings.

    `role` says what relay renders it to, so that its variables are known; None if only other files use it. `compiles`:
    it is known that the file compiles.
    """
    yield from ((fault, False) for fault in readable.faults)
    if readable.source is None or readable.nodes is None:
        return
    file = _File(environment, name, readable.source, readable.nodes)
    rules = (
        (_missing_templates(file), False),
        (_unknown_attributes(file), True),
        (_hyphenated_tags(file), True),
        (_impossible_words(file), True),
        (_missing_imports(file), True),
        (_never_shown(file), False),
        (_beyond_a_paragraph(file) if role in {"entry", "line"} else (), False),
        (_misplaced_tags(file) if role else (), False),
        (_wrong_constants(file), True),
        (_foreign_markup(file), False),
        (_go_actions(file), False),
        (_unknown_filters_and_tests(file), False),
        (_repeated_blocks(file), False),
    )
    for rule, of_names in rules:
        yield from ((fault, of_names) for fault in islice(rule, _MOST_FAULTS))
    if not compiles and (fault := _not_compiled(file)):
        yield fault, False
    elif role:
        unknown = _unknown_variables(file, _VARIABLES[role], readable.names)
        yield from ((fault, True) for fault in islice(unknown, _MOST_FAULTS))


def as_faults(findings: Iterable[Finding], *, strict: bool) -> Iterator[Fault]:
    """With `strict`, an unknown name is a fault, and not only a warning."""
    for fault, of_names in findings:
        yield replace(fault, warning=False) if of_names and strict else fault


def file_faults(
    environment: Environment, name: str, source: str, *, role: TemplateRole | None, strict: bool = False
) -> Iterator[Fault]:
    """Find the faults of a source, and warnings, as `file_findings` does."""
    return as_faults(file_findings(environment, name, recovered(environment, name, source), role=role), strict=strict)


def without_faulty_tags(environment: Environment, name: str, source: str, *, role: TemplateRole | None) -> str | None:
    """Return a source without the tags that have faults, no line moved; None if it cannot be read."""
    readable = recovered(environment, name, source).source
    if readable is None:
        return None
    faults = file_faults(environment, name, readable, role=role)
    return without_tags_at(readable, {(fault.line, fault.column) for fault in faults if not fault.warning})


def unused_files(
    environment: Environment, files: Mapping[str, Recovered], rendered: Callable[[str], Collection[str]]
) -> Iterator[Fault]:
    """Warn of each file that relay does not render by its name and no other file names.

    `rendered` returns the files that relay renders of the folder in which a file is.
    """
    named: set[str] = set()
    for name, readable in files.items():
        if readable.source is not None and readable.nodes is not None:
            templates = _File(environment, name, readable.source, readable.nodes).named_templates()
            named |= {template.rpartition("/")[2] for _, template in templates}
    for name in files:
        file = name.rpartition("/")[2]
        if file not in rendered(name) and file not in named:
            known = ", ".join(sorted(rendered(name)))
            message = f"nothing uses this file: relay renders {known}, and no template uses it; rename or delete it"
            yield Fault(file=name, message=message, warning=True)


def _go_actions(file: _File) -> Iterator[Fault]:
    for line, column, advice in go_actions(file.source):
        yield Fault(file=file.name, line=line, column=column, message=advice, warning=True)


def _not_compiled(file: _File) -> Fault | None:
    try:
        file.environment.compile(file.nodes.tree, file.name, file.name)
    except TemplateSyntaxError as error:  # what Jinja rejects only in a tree that parses
        return file.fault(error.lineno, jinja_message(error.message or ""))
    except Exception:  # noqa: BLE001  Python's own compiler has limits too
        return file.fault(1, "this cannot be compiled; it may be nested too deeply or too large")
    return None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, sorted({*known}))
    return f'; did you mean "{near}"?' if near else ""


def _unknown_filters_and_tests(file: _File) -> Iterator[Fault]:
    """Report them, and put a known one in the place of each, so that Jinja compiles the rest."""
    known = {nodes.Filter: ("filter", file.environment.filters), nodes.Test: ("test", file.environment.tests)}
    for node in file.nodes.of(nodes.Filter, nodes.Test):
        (what, names), name = known[type(node)], node.name
        if name not in names:
            advice = f"; {_INSTEAD[name]}" if name in _INSTEAD else _did_you_mean(name, names)
            yield file.fault(node.lineno, f'unknown {what} "{name}"{advice}', name)
            node.name = next(iter(names))


def _missing_templates(file: _File) -> Iterator[Fault]:
    for line, name in file.named_templates():
        if _source(file.environment, name) is None:
            near = _did_you_mean(_stem(name), map(_stem, file.environment.list_templates()))
            yield file.fault(line, f'there is no template "{name}"{near}', name.rpartition("/")[2])


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".j2")


def _unknown_attributes(file: _File) -> Iterator[Fault]:
    for node, name, owner in attribute_lookups(file.scoped):
        if owner.lacks(name):
            message = f'{owner.title} has no "{name}", so this prints nothing{_instead_of_attribute(name, owner)}'
            word = f".{name}" if isinstance(node, nodes.Getattr) else name
            yield file.fault(node.lineno, message, word, warning=True)


def _instead_of_attribute(name: str, owner: TemplateType) -> str:
    if path := FOREIGN_PATHS.get((owner.title, name)):
        return f"; {path}"
    meant = FOREIGN_ATTRIBUTES.get(name, "")
    if meant in owner.names:
        return f'; did you mean "{meant}"?'
    return _did_you_mean(name, owner.names) or f"; it has {', '.join(sorted(owner.names))}"


def _impossible_words(file: _File) -> Iterator[Fault]:
    """Comparisons with a word that the value never is, such as a state in capitals."""
    for node, value, words in compared_words(file.scoped):
        near = nearest(value, words)
        hint = f'did you mean "{near}"?' if near else f"expected one of: {', '.join(sorted(words))}"
        yield file.fault(node.lineno, f'this value is never "{value}"; {hint}', value, warning=True)


def _beyond_a_paragraph(file: _File) -> Iterator[Fault]:
    for place in file.nodes.places:
        if place.kind and place.kind.value.name and not place.kind.value.in_entry:
            name = place.kind.value.name
            message = (
                f"{{% {name} %}} in a template of the thread; it makes one paragraph (text, quote, context), "
                "so use this tag only in card.j2"
            )
            yield file.fault(place.node.lineno, message, name, warning=True)


def _misplaced_tags(file: _File) -> Iterator[Fault]:
    """Tags outside of those in which they belong; nothing is known about what a macro or another file puts there."""
    for place in file.nodes.places:
        kind = place.kind
        if kind and kind.value.inside and not file.nodes.may_be_elsewhere(place):
            around = [each.value.name for each in place.around if each.value.name]
            if not around or around[-1] not in kind.value.inside:
                tag, belongs = kind.value.name, " or ".join(f"{{% {each} %}}" for each in kind.value.inside)
                yield file.fault(place.node.lineno, f"{{% {tag} %}} belongs inside {belongs}", tag, warning=True)


def _wrong_constants(file: _File) -> Iterator[Fault]:
    for line, word, message in wrong_constants(file.nodes, file.environment):
        yield file.fault(line, message, word, warning=True)


def _foreign_markup(file: _File) -> Iterator[Fault]:
    for line, word, message in foreign_markup(file.nodes, file.source):
        yield file.fault(line, message, word, warning=True)


def _repeated_blocks(file: _File) -> Iterator[Fault]:
    """Report them, and give each a name of its own, so that Jinja compiles the rest."""
    first: dict[str, int] = {}
    for block in file.nodes.of(nodes.Block):
        if block.name in first:
            yield file.fault(block.lineno, f"the block '{block.name}' is defined twice; rename one of them")
            block.name = f"{block.name}_{len(first)}_"
        first[block.name] = block.lineno


def _missing_imports(file: _File) -> Iterator[Fault]:
    """Names that are imported from a file that does not define them."""
    for node in file.nodes.of(nodes.FromImport):
        tree = _tree(file, node.template)
        defined = set(_defined(TemplateNodes(tree))) if tree else set()
        for each in node.names if tree else ():
            name = each if isinstance(each, str) else each[0]
            if name not in defined:
                message = f'the imported file does not define "{name}"{_did_you_mean(name, defined)}'
                yield file.fault(node.lineno, message, name, warning=True)


def _never_shown(file: _File) -> Iterator[Fault]:
    """In a file that extends another: what stands outside of its blocks, and blocks that the other does not have."""
    parents = [each for each in file.nodes.tree.body if isinstance(each, nodes.Extends)]
    if not parents:
        return
    for node in file.nodes.tree.body:
        is_blank = isinstance(node, nodes.Output) and all(
            isinstance(each, nodes.TemplateData) and not each.data.strip() for each in node.nodes
        )
        if isinstance(node, nodes.Output | nodes.CallBlock | nodes.For | nodes.If) and not is_blank:
            message = "this is never shown: the file extends another, so put it into a block of that file"
            yield file.fault(node.lineno, message, warning=True)
    known = _parent_blocks(file, parents[0].template)
    if known is None:
        return
    blocks = file.nodes.of(nodes.Block)
    inner = {each.name for block in blocks for each in block.find_all(nodes.Block)}
    for block in blocks:
        if block.name not in known | inner:
            near = _did_you_mean(block.name, known) or f"; it has {', '.join(sorted(known))}"
            message = f'the extended file has no block "{block.name}", so this is never shown{near}'
            yield file.fault(block.lineno, message, block.name, warning=True)


def _parent_blocks(file: _File, template: nodes.Expr) -> set[str] | None:
    """The blocks of the extended file, and of those that it extends; None if that is not known."""
    blocks: set[str] = set()
    for _ in range(_MOST_PARENTS):
        tree = _tree(file, template)
        if tree is None:
            return None
        blocks |= {block.name for block in tree.find_all(nodes.Block)}
        parent = tree.find(nodes.Extends)
        if parent is None:
            return blocks
        template = parent.template
    return None


def _tree(file: _File, template: nodes.Expr) -> nodes.Template | None:
    """The tree of a template that is named as a constant, if it exists and parses."""
    if not (isinstance(template, nodes.Const) and isinstance(template.value, str)):
        return None
    source = _source(file.environment, file.environment.join_path(template.value, file.name))
    try:
        return None if source is None else file.environment.parse(source)
    except TemplateSyntaxError:
        return None


def _hyphens(file: _File) -> Iterator[tuple[nodes.Sub, str, list[str]]]:
    """Subtractions from a tag, which were meant as a name with hyphens: the tag as one writes it, and its parts."""
    inner: set[nodes.Node] = set()
    for node in file.nodes.of(nodes.Sub):
        parts: list[str] = []
        left: nodes.Expr = node
        while isinstance(left, nodes.Sub):
            parts.insert(0, str(getattr(left.right, "name", getattr(left.right, "value", "…"))))
            left = left.left
            inner.add(left)
        if node not in inner and isinstance(left, nodes.Getattr) and (owner := _owner_of_tags(left.node)):
            yield node, f'{owner}["{"-".join([left.attr, *parts])}"]', parts


def _owner_of_tags(node: nodes.Expr) -> str:
    match node:
        case nodes.Name(name="tags"):
            return "tags"
        case nodes.Getattr(node=nodes.Name(name=of), attr="tags"):
            return f"{of}.tags"
        case _:
            return ""


def _hyphenated_tags(file: _File) -> Iterator[Fault]:
    for node, tag, _ in _hyphens(file):
        message = f"this subtracts from a tag; for a tag with hyphens in its name write {tag}"
        yield file.fault(node.lineno, message, warning=True)


def _unknown_variables(file: _File, known: Collection[str], maybe_defined: Collection[str]) -> Iterator[Fault]:
    defined = {*known, *file.environment.globals, *_defined(file.nodes), *maybe_defined, "_"}
    defined |= {part for _, _, parts in _hyphens(file) for part in parts}
    if not _others_used(file, defined):
        return
    names = _UndeclaredNames(file.environment)
    names.visit(file.nodes.tree)
    unknown = names.undeclared_identifiers - defined
    reported: set[tuple[str, int]] = set()
    for node in file.nodes.of(nodes.Name):
        if node.name in unknown and (node.name, node.lineno) not in reported:
            reported.add((node.name, node.lineno))
            near = _did_you_mean(node.name, known) or f"; there are {', '.join(sorted(known))}"
            foreign = _NO_VARIABLE.get(node.name) or FOREIGN_NAMES.get(node.name)
            advice = f"; {foreign}" if foreign else near
            message = f'unknown variable "{node.name}", so this prints nothing{advice}'
            yield file.fault(node.lineno, message, node.name, warning=True)


def _others_used(file: _File, defined: Collection[str]) -> bool:
    """Whether it uses other names that are not clearly its own; asking Jinja's compiler takes far longer."""
    used = ((node.name, scope) for node, scope in file.scoped if isinstance(node, nodes.Name) and node.ctx == "load")
    return any(name not in defined and not is_local(name, scope) for name, scope in used)


def _defined(tree: TemplateNodes) -> Iterator[str]:
    """The names that the template defines; inside blocks Jinja itself forgets those of the top."""
    yield from (node.name for node in tree.of(nodes.Name) if node.ctx == "store")
    yield from (node.name for node in tree.of(nodes.Macro))
    yield from (node.target for node in tree.of(nodes.Import))
    for imported in tree.of(nodes.FromImport):
        yield from (name if isinstance(name, str) else name[1] for name in imported.names)


def _source(environment: Environment, name: str) -> str | None:
    try:
        return environment.loader.get_source(environment, name)[0] if environment.loader else None
    except TemplateNotFound:
        return None
