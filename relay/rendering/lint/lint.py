"""What is wrong with the source of templates, found without running them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final, Literal

from jinja2 import BaseLoader, Environment, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from relay.model.errors import Fault
from relay.rendering.context import VARIABLE_NAMES
from relay.rendering.engine.positions import Columns, TokenLine, columns
from relay.rendering.engine.tags import ALONE, out_of_place
from relay.rendering.lint.shapes import looked_up
from relay.rendering.lint.syntax_errors import told

_ESCAPED: Final = "everything printed is escaped for Slack already, so leave it out"
_ADVICE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("e", "escape", "forceescape", "safe"), _ESCAPED),
    "attr": "write the name after a full stop",
    "random": "a card shows its incident and nothing else",
    "tojson": "raw Block Kit stands in {% blocks %}",
    "urlize": 'use "linkify"',
}
"""What to write instead of filters that people know from elsewhere."""

_MOST_PARENTS: Final = 20
_JINJAS_TAGS: Final = ("block", "extends", "for", "from", "if", "import", "include", "macro", "raw", "set", "with")

_NO_VARIABLE: Final[Mapping[str, str]] = {
    "alert": "write {% for alert in incident.alerts.worst %} around it",
    "alerts": "they are incident.alerts",
    "change": "write {% for change in incident.changes %} around it",
    "changes": "they are incident.changes",
    "entry": "a card has none, since it shows the incident as it is now",
    "now": "whatever depends on the hour is a Slack date: {{ incident.started | slack_time }}",
    **dict.fromkeys(
        ("state", "status", "severity", "title"), "it is one of incident's: incident.state, incident.title"
    ),
}
"""What to write instead of names that people expect."""

Made = Literal["card", "entry"]
"""What a file makes that is rendered by itself."""

_KNOWN: Final[Mapping[Made, frozenset[str]]] = {
    "card": frozenset(VARIABLE_NAMES),
    "entry": frozenset(VARIABLE_NAMES) | {"entry"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file of templates that parses."""

    environment: Environment
    name: str
    source: str
    tree: nodes.Template
    columns: Columns = field(default_factory=dict)

    def fault(self, line: int, message: str, word: str = "", *, warning: bool = False) -> Fault:
        """A fault in that line, at the word: from the place on where the line was read, if that is known."""
        lines = self.source.split("\n")
        text = lines[line - 1] if 0 < line <= len(lines) else ""
        start = line.column(self.columns) if word and isinstance(line, TokenLine) else 0
        column = text.find(word, start) + 1 or start + 1
        return Fault(file=self.name, line=int(line), column=column, message=message, warning=warning)

    def named(self) -> Iterator[tuple[int, str]]:
        """The templates that it names outright, with their lines; `ignore missing` is its author's own business."""
        for node in self.tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            template: Any = getattr(node, "template", None)
            lenient = getattr(node, "ignore_missing", False)
            if isinstance(template, nodes.Const) and isinstance(template.value, str) and not lenient:
                yield node.lineno, self.environment.join_path(template.value, self.name)


def faults_of(
    environment: Environment, name: str, source: str, *, makes: Made | None, strict: bool = False
) -> Iterator[Fault]:
    """The faults of one file, and warnings.

    `makes`: what it is rendered to by itself, so that its variables are known; None where only others use it. A name of
    which nothing is known prints nothing, which costs no message: it is a warning, unless `strict`.
    """
    try:
        file = _read(environment, name, source)
    except TemplateSyntaxError as error:
        yield _syntax_fault(environment, name, source, error)
        return
    yield from _unknown_names(file)
    yield from _missing(file)
    yield from _unknown_attributes(file, warning=not strict)
    yield from _not_imported(file, warning=not strict)
    yield from _unprinted(file)
    if makes == "entry":
        yield from _no_paragraph(file)
    file = _as_if_known(file)
    uncompilable = list(_uncompilable(file))
    yield from uncompilable
    if makes and not uncompilable:
        yield from _unknown_variables(file, _KNOWN[makes], warning=not strict)


def _read(environment: Environment, name: str, source: str) -> _File:
    tree = environment.parse(source, name, name)
    return _File(environment=environment, name=name, source=source, tree=tree, columns=columns(environment, source))


def _as_if_known(file: _File) -> _File:
    """The file with filters and tests that there are in place of those that are not, so that the rest can be judged."""
    tree = file.environment.parse(file.source, file.name, file.name)
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        names = file.environment.filters if isinstance(node, nodes.Filter) else file.environment.tests
        if node.name not in names:
            node.name = next(iter(names))
    return replace(file, tree=tree)


def _syntax_fault(environment: Environment, name: str, source: str, error: TemplateSyntaxError) -> Fault:
    relays = {tag for each in environment.extensions.values() for tag in each.tags}
    found = told(error, source, relays - ALONE, relays | {*_JINJAS_TAGS})
    return Fault(file=name, line=found.line, column=found.column, message=found.message)


def _meant(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a sentence."""
    near = get_close_matches(word, sorted({*known}), n=1, cutoff=0.7)
    return f'; did you mean "{near[0]}"?' if near else ""


def unused(environment: Environment, sources: Mapping[str, str], entrances: Collection[str]) -> Iterator[Fault]:
    """A warning for each file that relay does not ask for by its name (`entrances`), and no other file mentions."""
    mentioned = {named.rpartition("/")[2] for each in sources.items() for named in _mentioned(environment, *each)}
    for name in sources:
        file = name.rpartition("/")[2]
        if file not in entrances and file not in mentioned:
            known = ", ".join(sorted(entrances))
            message = f"nothing uses this file: relay asks for {known}, and no template names it"
            yield Fault(file=name, message=message, warning=True)


def _mentioned(environment: Environment, name: str, source: str) -> list[str]:
    try:
        return [named for _, named in _read(environment, name, source).named()]
    except TemplateSyntaxError:
        return []


def _unknown_names(file: _File) -> Iterator[Fault]:
    known = {nodes.Filter: ("filter", file.environment.filters), nodes.Test: ("test", file.environment.tests)}
    for node in file.tree.find_all((nodes.Filter, nodes.Test)):
        what, names = known[type(node)]
        name = str(getattr(node, "name", ""))
        if name not in names:
            advice = f": {_ADVICE[name]}" if name in _ADVICE else _meant(name, names)
            yield file.fault(node.lineno, f'there is no {what} "{name}"{advice}', name)


def _missing(file: _File) -> Iterator[Fault]:
    for line, name in file.named():
        if not _exists(file.environment, name):
            bare = name.rpartition("/")[2]
            near = _meant(_stem(bare), map(_stem, file.environment.list_templates()))
            yield file.fault(line, f'there is no template "{name}"{near}', bare)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".j2")


def _uncompilable(file: _File) -> Iterator[Fault]:
    """What Jinja finds only when it makes code of a tree that parses: two blocks of one name, for example."""
    try:
        file.environment.compile(file.tree, file.name, file.name)
    except TemplateSyntaxError as error:
        yield file.fault(error.lineno, error.message or "")


def _unknown_attributes(file: _File, *, warning: bool) -> Iterator[Fault]:
    for node, shape in looked_up(file.tree):
        if shape.lacks(node.attr):
            near = _meant(node.attr, shape.names) or f"; it has {', '.join(sorted(shape.names))}"
            message = f'{shape.called} has no "{node.attr}", so this prints nothing{near}'
            yield file.fault(node.lineno, message, f".{node.attr}", warning=warning)


def _no_paragraph(file: _File) -> Iterator[Fault]:
    for line, kind in out_of_place(file.tree):
        message = (
            f"an entry's template makes one paragraph (text, quote, context), and {{% {kind.value} %}} more than that: "
            "leave it to the card"
        )
        yield file.fault(line, message, kind.value, warning=True)


def _not_imported(file: _File, *, warning: bool) -> Iterator[Fault]:
    """Names that are imported from a file that does not make them."""
    for node in file.tree.find_all(nodes.FromImport):
        tree = _tree(file, node.template)
        made = set(_made(tree)) if tree else set()
        for each in node.names if tree else ():
            name = each if isinstance(each, str) else each[0]
            if name not in made:
                message = f'"{name}" is not made there{_meant(name, made)}'
                yield file.fault(node.lineno, message, name, warning=warning)


def _unprinted(file: _File) -> Iterator[Fault]:
    """In a file that extends another, what stands outside of its blocks, and blocks that the other does not have."""
    parents = [each for each in file.tree.body if isinstance(each, nodes.Extends)]
    if not parents:
        return
    for node in file.tree.body:
        if isinstance(node, nodes.Output | nodes.CallBlock | nodes.For | nodes.If) and not _is_blank(node):
            message = "this is never shown: the file extends another one, and only what stands in its blocks counts"
            yield file.fault(node.lineno, message, warning=True)
    known = _blocks_behind(file, parents[0].template)
    for block in file.tree.find_all(nodes.Block) if known is not None else ():
        inside = {inner.name for each in file.tree.find_all(nodes.Block) for inner in each.find_all(nodes.Block)}
        if known is not None and block.name not in known | inside:
            near = _meant(block.name, known) or f"; it has {', '.join(sorted(known))}"
            message = f'the file that is extended has no block "{block.name}", so this is never shown{near}'
            yield file.fault(block.lineno, message, block.name, warning=True)


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and all(
        isinstance(each, nodes.TemplateData) and not each.data.strip() for each in node.nodes
    )


def _blocks_behind(file: _File, template: nodes.Expr) -> set[str] | None:
    """The blocks of the file that is extended, and of those that it extends; None where they cannot be told."""
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
    """The tree of a template that is named outright, if it is there and parses."""
    loader = file.environment.loader
    if not (isinstance(template, nodes.Const) and isinstance(template.value, str) and isinstance(loader, BaseLoader)):
        return None
    try:
        name = file.environment.join_path(template.value, file.name)
        return file.environment.parse(loader.get_source(file.environment, name)[0])
    except (TemplateNotFound, TemplateSyntaxError):
        return None


def _unknown_variables(file: _File, known: Collection[str], *, warning: bool) -> Iterator[Fault]:
    unknown = find_undeclared_variables(file.tree) - {*known} - file.environment.globals.keys() - set(_made(file.tree))
    for node in file.tree.find_all(nodes.Name):
        if node.name in unknown:
            unknown.discard(node.name)
            near = _meant(node.name, known) or f"; there are {', '.join(sorted(known))}"
            advice = f"; {_NO_VARIABLE[node.name]}" if node.name in _NO_VARIABLE else near
            message = f'nothing is called "{node.name}", so this prints nothing{advice}'
            yield file.fault(node.lineno, message, node.name, warning=warning)


def _made(tree: nodes.Template) -> Iterator[str]:
    """The names that the template makes itself: Jinja forgets about those of the top in its blocks."""
    yield from (node.name for node in tree.find_all(nodes.Name) if node.ctx == "store")
    yield from (node.name for node in tree.find_all(nodes.Macro))
    yield from (node.target for node in tree.find_all(nodes.Import))
    for imported in tree.find_all(nodes.FromImport):
        yield from (name if isinstance(name, str) else name[1] for name in imported.names)


def _exists(environment: Environment, name: str) -> bool:
    loader = environment.loader
    try:
        return isinstance(loader, BaseLoader) and bool(loader.get_source(environment, name))
    except TemplateNotFound:
        return False
