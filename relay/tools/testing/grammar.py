"""A `*.test.yaml` becomes tests, or every fault in it is told, at its place."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from relay.model.entry_kinds import EntryKind
from relay.model.errors import ConfigurationError, Fault, ShareError
from relay.model.incident import State
from relay.routes.parser.context import ParseContext, Position, suggestion
from relay.routes.parser.scalars import (
    NodeReader,
    choice_of,
    describe,
    read_bool,
    read_duration,
    read_key,
    read_mapping,
    read_word,
)
from relay.routes.parser.targets import read_fixed_channel, read_target
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode
from relay.routes.parser.yaml_parser import parse_yaml
from relay.routes.rulebook import Rulebook
from relay.tools.share_files import parse_share_file
from relay.tools.testing import samples
from relay.tools.testing.model import (
    CardExpected,
    Expected,
    ExpectedList,
    OperatorTest,
    Phrase,
    ReplyExpected,
    ShareStep,
    Wording,
)
from relay.tools.testing.values import count, headers, phrase, spot_of, values, words_of

SUFFIX = ".test.yaml"
VERSION = "1"

_FILE = ("version", "tests")
_TEST = ("name", "shares", "expect", "note")
_ON_TOP = ("at", "state", "environment", "tags", "comment", "headers", "with", "without", "expect")
_SHARE = ("sample", "file", *_ON_TOP)
_EXPECT = ("routes", "channels", "cards")
_WORDING = ("says", "lacks")
_CARD = (*_WORDING, "notification", "route", "pings", "entries", "thread")
_REPLY = (*_WORDING, "tells", "pings", "broadcast")


def read_tests(paths: Iterable[Path], rulebook: Rulebook) -> list[OperatorTest]:
    """The tests of these files; what they name has to be in the rulebook.

    Raises:
        ConfigurationError: every fault of every file.
    """
    tests: list[OperatorTest] = []
    faults: list[Fault] = []
    for path in paths:
        reading = ParseContext(file=str(path))
        tests += _Grammar(path, rulebook, reading).tests()
        faults += reading.faults
    if faults:
        raise ConfigurationError(faults)
    return tests


class _Grammar:
    """Reads one file."""

    def __init__(self, path: Path, rulebook: Rulebook, reading: ParseContext) -> None:
        self._path = path
        self._rulebook = rulebook
        self._reading = reading
        self._names: dict[str, int] = {}

    def tests(self) -> list[OperatorTest]:
        """Every test; faulty parts are left out, and told."""
        try:
            written = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._reading.add_fault(Position(line=0, column=0), f"it cannot be read: {error}")
            return []
        root = parse_yaml(written, self._reading)
        top = root and self._table(root, _FILE, "a file of tests")
        if not top:
            return []
        version = top.get("version")
        if not isinstance(version, ScalarNode) or version.text != VERSION:
            self._reading.add_fault(version or top, f"expected version: {VERSION}, found {describe(version or top)}")
        node = top.get("tests")
        if _is_empty(node):
            self._reading.add_fault(node or top, "the file has no tests")
        return [test for item in self._items(node, "tests") if (test := self._test(item)) is not None]

    def _test(self, node: Node) -> OperatorTest | None:
        made = self._table(node, _TEST, "a test")
        if made is None:
            return None
        shares = made.get("shares")
        if _is_empty(shares):
            self._reading.add_fault(
                shares or made, "the test has no shares; the first says sample: documented, or file: SHARE.json"
            )
        items = self._items(shares, "shares")
        steps = [self._step(item, first=number == 0) for number, item in enumerate(items)]
        expected = self._expected(made.get("expect"))
        if expected is None and not any(step and step.expected for step in steps):
            self._reading.add_fault(made, "the test expects nothing, so that it could not fail; write expect: ...")
        return OperatorTest(
            name=self._name(made),
            file=str(self._path),
            spot=spot_of(made),
            steps=tuple(step for step in steps if step is not None),
            expected=expected,
        )

    def _name(self, made: MappingNode) -> str:
        node = made.get("name")
        if node is None:
            self._reading.add_fault(made, "the test has no name")
            return ""
        name = read_word(node, self._reading) or ""
        if name in self._names:
            self._reading.add_fault(
                node, f"there is a test '{name}' in line {self._names[name]} already; names are unique"
            )
        self._names.setdefault(name, node.line)
        return name

    # --- shares ---

    def _step(self, node: Node, *, first: bool) -> ShareStep | None:
        made = self._table(node, _SHARE, "a share")
        if made is None:
            return None
        if first and not (made.get("sample") or made.get("file")):
            self._reading.add_fault(
                made, "the first share says where it comes from: sample: documented, or file: SHARE.json"
            )
        return ShareStep(
            spot=spot_of(made),
            document=self._document(made),
            at=read_key(made, "at", read_duration, self._reading, None),
            state=read_key(made, "state", choice_of(*State), self._reading, None),
            environment=read_key(made, "environment", read_word, self._reading, None),
            tags=read_key(made, "tags", values, self._reading, {}),
            comment=read_key(made, "comment", read_word, self._reading, None),
            headers=read_key(made, "headers", headers, self._reading, {}),
            over=read_key(made, "with", values, self._reading, {}),
            without=read_key(made, "without", partial(words_of, "parts of a body"), self._reading, ()),
            expected=self._expected(made.get("expect")),
        )

    def _document(self, made: MappingNode) -> bytes | None:
        sample, file = made.get("sample"), made.get("file")
        if sample is not None and file is not None:
            self._reading.add_fault(file, "a share is a sample or a file, not both")
        if sample is not None:
            name = choice_of(*samples.NAMES)(sample, self._reading)
            return None if name is None else samples.sample(name)
        name = None if file is None else read_word(file, self._reading)
        return None if file is None or name is None else self._recorded(file, name)

    def _recorded(self, node: Node, name: str) -> bytes | None:
        path = self._path.parent / name
        try:
            document = path.read_bytes()
            parse_share_file(document, {})
        except OSError as error:
            near = suggestion(name, [each.name for each in sorted(path.parent.glob("*.json"))])
            self._reading.add_fault(node, f"{path} cannot be read: {error.strerror or error}{near}")
        except ShareError as error:
            self._reading.add_fault(node, f"{path} holds no share. {error}")
        else:
            return document
        return None

    # --- what is expected ---

    def _expected(self, node: Node | None) -> Expected | None:
        if node is None or (made := self._table(node, _EXPECT, "expect")) is None:
            return None
        if made.get("routes") is made.get("channels") is None and _is_empty(made.get("cards")):
            self._reading.add_fault(made, f"nothing is expected; there are: {', '.join(_EXPECT)}")
        return Expected(
            spot=spot_of(made),
            routes=self._listed(made, "routes", self._route),
            channels=self._listed(made, "channels", self._channel),
            cards=tuple(self._cards(made.get("cards"))),
        )

    def _cards(self, node: Node | None) -> Iterable[CardExpected]:
        made = None if node is None else read_mapping(node, self._reading, "channels to what their cards are")
        for word, value in made.entries if made else ():
            ref = self._channel(word, self._reading)
            card = self._table(value, _CARD, "a card")
            if ref is not None and card is not None:
                yield self._card(ref, word, card)

    def _card(self, ref: str, word: ScalarNode, made: MappingNode) -> CardExpected:
        thread = made.get("thread")
        replies = None if thread is None else tuple(self._replies(thread))
        route = made.get("route")
        governing = None if route is None else self._route(route, self._reading)
        entries = made.get("entries")
        number = None if entries is None else count(entries, self._reading)
        return CardExpected(
            ref=ref,
            written=word.text,
            spot=spot_of(word),
            wording=self._wording(made),
            notification=read_key(made, "notification", self._notification, self._reading, Wording()),
            route=ExpectedList(values=(governing,), spot=spot_of(route)) if route and governing is not None else None,
            pings=self._listed(made, "pings", read_target),
            entries=(number, spot_of(entries)) if entries is not None and number is not None else None,
            thread=replies,
            thread_spot=spot_of(thread or word),
        )

    def _replies(self, node: Node) -> Iterable[ReplyExpected]:
        for item in self._items(node, "replies"):
            if isinstance(item, ScalarNode):
                yield ReplyExpected(spot=spot_of(item), wording=Wording(says=self._phrases(item)))
            elif (made := self._table(item, _REPLY, "a reply")) is not None:
                yield ReplyExpected(
                    spot=spot_of(made),
                    wording=self._wording(made),
                    tells=self._listed(made, "tells", choice_of(*EntryKind)),
                    pings=self._listed(made, "pings", read_target),
                    broadcast=read_key(made, "broadcast", read_bool, self._reading, None),
                )

    def _notification(self, node: Node, reading: ParseContext) -> Wording | None:  # noqa: ARG002  as readers are called
        if isinstance(node, ScalarNode):
            return Wording(says=self._phrases(node))
        made = self._table(node, _WORDING, "a notification")
        return None if made is None else self._wording(made)

    def _wording(self, made: MappingNode) -> Wording:
        return Wording(says=self._phrases(made.get("says")), lacks=self._phrases(made.get("lacks")))

    def _phrases(self, node: Node | None) -> tuple[Phrase, ...]:
        """One text, or a list of them."""
        if node is None:
            return ()
        items = node.items if isinstance(node, ListNode) else (node,)
        return tuple(each for item in items if (each := phrase(item, self._reading)) is not None)

    def _route(self, node: Node, reading: ParseContext) -> str | None:
        name = read_word(node, reading)
        if name is None or self._rulebook.has_route(name):
            return name
        known = [route.name for route in self._rulebook.routes.flatten()]
        reading.add_fault(node, f"there is no route '{name}'{suggestion(name, known)}")
        return None

    def _channel(self, node: Node, reading: ParseContext) -> str | None:
        channel = read_fixed_channel(node, self._rulebook.channels, reading)
        return None if channel is None else channel.ref

    # --- parts ---

    def _table(self, node: Node, known: tuple[str, ...], what: str) -> MappingNode | None:
        made = read_mapping(node, self._reading, f"the keys of {what}, such as {', '.join(known[:3])}")
        for word, _ in made.entries if made else ():
            if word.text not in known and not word.text.startswith("x-"):
                self._reading.add_fault(word, f"'{word.text}' is no key of {what}{suggestion(word.text, known)}")
        return made

    def _items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        if node is None:
            return ()
        if isinstance(node, ListNode):
            return node.items
        self._reading.add_fault(node, f"expected a list of {what}, found {describe(node)}")
        return ()

    def _listed(self, made: MappingNode, key: str, read: NodeReader[str]) -> ExpectedList | None:
        """The list under a key; None where there is none, so that it is left open."""
        node = made.get(key)
        if node is None:
            return None
        each = (read(item, self._reading) for item in self._items(node, key))
        return ExpectedList(values=tuple(value for value in each if value is not None), spot=spot_of(node))


def _is_empty(node: Node | None) -> bool:
    """Whether nothing stands there, or a list or a mapping of nothing."""
    match node:
        case ListNode(items=inside) | MappingNode(entries=inside):
            return not inside
        case _:
            return node is None
