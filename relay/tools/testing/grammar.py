"""Parses a `*.test.yaml` into tests, or reports every fault in it with its position."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import re2

from relay.cards.holds import Reason
from relay.model.entry_kinds import EntryKind
from relay.model.errors import ConfigurationError, Fault, ShareError
from relay.model.incident import State
from relay.model.json_types import JSON
from relay.routes.operators import re2_reason
from relay.routes.people import read_target
from relay.routes.rulebook import Rulebook
from relay.routes.targets import read_fixed_channel
from relay.routes.yaml_reader.context import ParseContext, Position, suggestion
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.parse import parse_yaml
from relay.routes.yaml_reader.scalars import (
    NodeReader,
    choice_of,
    describe,
    read_bool,
    read_key,
    read_mapping,
    read_word,
)
from relay.samples import SAMPLES, read_sample
from relay.tools.share_files import parse_share_file
from relay.tools.testing.keys import KEYS, MOST_COPIES, VERSION, FilePart
from relay.tools.testing.model import (
    CardExpected,
    Expected,
    ExpectedList,
    HeldExpected,
    HeldPingsExpected,
    MomentSpec,
    OperatorTest,
    Phrase,
    ReplyExpected,
    ShareSpec,
    Wording,
)
from relay.tools.testing.moments import read_moment

_OF_A_MESSAGE: Final = ("says", "lacks", "notification", "pings", "entries", "thread")
"""The keys of a card that are about its messages."""


def read_tests(paths: list[Path], rulebook: Rulebook) -> list[OperatorTest]:
    """Parse the tests of these files. The routes and channels that they name must be in the rulebook.

    Raises ConfigurationError with every fault of every file.
    """
    tests: list[OperatorTest] = []
    faults: list[Fault] = []
    for path in paths:
        context = ParseContext(file=str(path), channels=rulebook.channels, people=rulebook.people)
        tests += _TestFileParser(path, rulebook, context).parse()
        faults += context.faults
    if faults:
        raise ConfigurationError(faults)
    return tests


class _TestFileParser:
    def __init__(self, path: Path, rulebook: Rulebook, context: ParseContext) -> None:
        self._path = path
        self._rulebook = rulebook
        self._context = context
        self._names: dict[str, int] = {}

    def parse(self) -> list[OperatorTest]:
        """Parse every test; invalid parts are reported and left out."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._context.add_fault(Position(line=0, column=0), f"the file cannot be read: {error}")
            return []
        root = parse_yaml(text, self._context)
        top = root and self._mapping(root, FilePart.FILE)
        if not top:
            return []
        version = top.get("version")
        if not isinstance(version, ScalarNode) or version.text != VERSION:
            found = "no version" if version is None else describe(version)
            self._context.add_fault(version or top, f"expected version: {VERSION}, found {found}")
        tests = top.get("tests")
        if _is_empty(tests):
            self._context.add_fault(tests or top, "the file has no tests; write them as a list under tests:")
        return [test for item in self._items(tests, "tests") if (test := self._test(item)) is not None]

    def _test(self, node: Node) -> OperatorTest | None:
        mapping = self._mapping(node, FilePart.TEST)
        if mapping is None:
            return None
        shares = mapping.get("shares")
        if _is_empty(shares):
            message = "the test has no shares; write shares: [{sample: documented}], or {file: SHARE.json}"
            self._context.add_fault(shares or mapping, message)
        specs = [self._share(item, first=not index) for index, item in enumerate(self._items(shares, "shares"))]
        moments = mapping.get("moments")
        expected = self._expected(mapping.get("expect"))
        if expected is None and moments is None and not any(spec and spec.expected for spec in specs):
            message = "the test expects nothing, so it cannot fail; write expect: {channels: [...]}, for example"
            self._context.add_fault(mapping, message)
        return OperatorTest(
            name=self._name(mapping),
            file=str(self._path),
            position=_position_of(mapping),
            shares=tuple(spec for spec in specs if spec is not None),
            moments=tuple(self._moments(moments)),
            expected=expected,
        )

    def _moments(self, node: Node | None) -> Iterator[MomentSpec]:
        if _is_empty(node) and node is not None:
            self._context.add_fault(node, "expected moments such as {at: 30m, expect: {...}}, found none")
        for item in self._items(node, "moments"):
            if (mapping := self._mapping(item, FilePart.MOMENT)) is None:
                continue
            for key in ("at", "expect"):
                if mapping.get(key) is None:
                    self._context.add_fault(mapping, f"missing key '{key}'; write {{at: 30m, expect: {{...}}}}")
            at = read_key(mapping, "at", read_moment, self._context, None)
            expected = self._expected(mapping.get("expect"))
            if at is not None and expected is not None:
                yield MomentSpec(position=_position_of(mapping), at=at, expected=expected)

    def _name(self, test: MappingNode) -> str:
        node = test.get("name")
        if node is None:
            self._context.add_fault(test, "the test has no name; write name: what it checks")
            return ""
        name = read_word(node, self._context) or ""
        if name in self._names:
            message = f"the test '{name}' exists already in line {self._names[name]}; choose another name"
            self._context.add_fault(node, message)
        self._names.setdefault(name, node.line)
        return name

    # --- shares ---

    def _share(self, node: Node, *, first: bool) -> ShareSpec | None:
        mapping = self._mapping(node, FilePart.SHARE)
        if mapping is None:
            return None
        if first and not (mapping.get("sample") or mapping.get("file")):
            message = "the first share needs a source; write sample: documented, or file: SHARE.json"
            self._context.add_fault(mapping, message)
        return ShareSpec(
            position=_position_of(mapping),
            document=self._document(mapping),
            at=read_key(mapping, "at", read_moment, self._context, None),
            state=read_key(mapping, "state", choice_of(*State), self._context, None),
            environment=read_key(mapping, "environment", read_word, self._context, None),
            tags=read_key(mapping, "tags", _read_json_object, self._context, {}),
            comment=read_key(mapping, "comment", read_word, self._context, None),
            headers=read_key(mapping, "headers", _read_headers, self._context, {}),
            overrides=read_key(mapping, "with", _read_json_object, self._context, {}),
            without=read_key(mapping, "without", _read_words, self._context, ()),
            copies=read_key(mapping, "copies", _read_copies, self._context, 1),
            expected=self._expected(mapping.get("expect")),
        )

    def _document(self, share: MappingNode) -> bytes | None:
        sample, file = share.get("sample"), share.get("file")
        if sample is not None and file is not None:
            self._context.add_fault(file, "expected either sample or file, found both; remove one")
        if sample is not None:
            name = choice_of(*SAMPLES)(sample, self._context)
            return None if name is None else read_sample(name)
        if file is None or (name := read_word(file, self._context)) is None:
            return None
        path = self._path.parent / name
        try:
            document = path.read_bytes()
            parse_share_file(document, {})
        except OSError as error:
            hint = suggestion(name, [each.name for each in sorted(path.parent.glob("*.json"))])
            self._context.add_fault(file, f"{path} cannot be read: {error.strerror or error}{hint}")
        except ShareError as error:
            self._context.add_fault(file, f"{path} does not contain a share. {error}")
        else:
            return document
        return None

    # --- what is expected ---

    def _expected(self, node: Node | None) -> Expected | None:
        if node is None or (mapping := self._mapping(node, FilePart.EXPECT)) is None:
            return None
        named = [mapping.get(key) for key in ("routes", "channels", "storms")]
        if not any(named) and _is_empty(mapping.get("cards")):
            self._context.add_fault(mapping, f"nothing is expected; write one of: {', '.join(KEYS[FilePart.EXPECT])}")
        return Expected(
            routes=self._list(mapping, "routes", self._route),
            channels=self._list(mapping, "channels", self._channel),
            cards=tuple(self._cards(mapping.get("cards"))),
            storms=read_key(mapping, "storms", self._storms, self._context, None),
        )

    def _storms(self, node: Node, context: ParseContext) -> tuple[Mapping[str, int], Position] | None:
        mapping = read_mapping(node, context, "channels to the number of cards that a storm holds")
        if mapping is None:
            return None
        counts = ((self._channel(key, context), _read_count(value, context)) for key, value in mapping.entries)
        return {ref: count[0] for ref, count in counts if ref is not None and count is not None}, _position_of(node)

    def _cards(self, node: Node | None) -> Iterator[CardExpected]:
        mapping = None if node is None else read_mapping(node, self._context, "channels to their cards")
        for key, value in mapping.entries if mapping else ():
            ref = self._channel(key, self._context)
            card = self._mapping(value, FilePart.CARD)
            if ref is None or card is None:
                continue
            thread = card.get("thread")
            for name in _OF_A_MESSAGE if card.get("held") else ():
                if (wrong := card.get(name)) is not None:
                    message = f"a card that is held has no message yet, so remove '{name}' or 'held'"
                    self._context.add_fault(wrong, message)
            yield CardExpected(
                ref=ref,
                source=key.text,
                position=_position_of(key),
                wording=self._wording(card),
                notification=read_key(card, "notification", self._notification, self._context, Wording()),
                route=read_key(card, "route", self._governing_route, self._context, None),
                pings=self._list(card, "pings", read_target),
                catch_up=self._list(card, "catch_up", read_target),
                held=read_key(card, "held", self._held, self._context, None),
                held_pings=read_key(card, "held_pings", self._held_pings, self._context, None),
                pinged=self._list(card, "pinged", read_target),
                entries=read_key(card, "entries", _read_count, self._context, None),
                thread=None if thread is None else tuple(self._replies(thread)),
                thread_position=_position_of(thread or key),
            )

    def _held(self, node: Node, context: ParseContext) -> HeldExpected | None:
        """A bare reason, or one with its end."""
        mapping = None if isinstance(node, ScalarNode) else self._mapping(node, FilePart.HELD)
        if mapping is None and not isinstance(node, ScalarNode):
            return None
        source = node if mapping is None else mapping.get("reason")
        if source is None:
            context.add_fault(node, "missing key 'reason'; write {reason: quiet, until: \"07:00\"}")
            return None
        reason = choice_of(*Reason)(source, context)
        until = None if mapping is None else read_key(mapping, "until", read_moment, context, None)
        return None if reason is None else HeldExpected(position=_position_of(node), reason=reason, until=until)

    def _held_pings(self, node: Node, context: ParseContext) -> HeldPingsExpected | None:
        mapping = read_mapping(node, context, "targets to what holds their pings")
        if mapping is None:
            return None
        found = ((read_target(key, context), self._held(value, context)) for key, value in mapping.entries)
        targets = {target: held for target, held in found if target is not None and held is not None}
        return HeldPingsExpected(position=_position_of(node), targets=targets)

    def _replies(self, node: Node) -> Iterator[ReplyExpected]:
        for item in self._items(node, "replies"):
            if isinstance(item, ScalarNode):
                yield ReplyExpected(position=_position_of(item), wording=self._wording(item))
            elif (reply := self._mapping(item, FilePart.REPLY)) is not None:
                yield ReplyExpected(
                    position=_position_of(reply),
                    wording=self._wording(reply),
                    kinds=self._list(reply, "kinds", choice_of(*EntryKind)),
                    pings=self._list(reply, "pings", read_target),
                    broadcast=read_key(reply, "broadcast", read_bool, self._context, None),
                )

    def _notification(self, node: Node, _context: ParseContext) -> Wording | None:
        found = node if isinstance(node, ScalarNode) else self._mapping(node, FilePart.NOTIFICATION)
        return None if found is None else self._wording(found)

    def _wording(self, node: ScalarNode | MappingNode) -> Wording:
        """A bare text is one that the message says."""
        if isinstance(node, ScalarNode):
            return Wording(says=self._phrases(node))
        return Wording(says=self._phrases(node.get("says")), lacks=self._phrases(node.get("lacks")))

    def _phrases(self, node: Node | None) -> tuple[Phrase, ...]:
        """One text, or a list of texts."""
        if node is None:
            return ()
        items = node.items if isinstance(node, ListNode) else (node,)
        return tuple(phrase for item in items if (phrase := _read_phrase(item, self._context)) is not None)

    def _route(self, node: Node, context: ParseContext) -> str | None:
        name = read_word(node, context)
        if name is None or self._rulebook.route(name):
            return name
        known = [route.name for route in self._rulebook.routes.flatten()]
        context.add_fault(node, f"unknown route '{name}'{suggestion(name, known)}")
        return None

    def _governing_route(self, node: Node, context: ParseContext) -> ExpectedList | None:
        name = self._route(node, context)
        return None if name is None else ExpectedList(values=(name,), position=_position_of(node))

    def _channel(self, node: Node, context: ParseContext) -> str | None:
        channel = read_fixed_channel(node, context)
        return None if channel is None else channel.ref

    # --- parts ---

    def _mapping(self, node: Node, part: FilePart) -> MappingNode | None:
        known = list(KEYS[part])
        mapping = read_mapping(node, self._context, f"the keys of {part}, such as {', '.join(known[:3])}")
        for key, _ in mapping.entries if mapping else ():
            if key.text not in known and not key.text.startswith("x-"):
                self._context.add_fault(key, f"unknown key '{key.text}' in {part}{suggestion(key.text, known)}")
        return mapping

    def _items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        if isinstance(node, ListNode):
            return node.items
        if node is not None:
            self._context.add_fault(node, f"expected a list of {what}, found {describe(node)}")
        return ()

    def _list(self, mapping: MappingNode, key: str, read: NodeReader[str]) -> ExpectedList | None:
        """The list under a key; None if the key is missing, which accepts anything."""
        node = mapping.get(key)
        if node is None:
            return None
        values = (read(item, self._context) for item in self._items(node, key))
        return ExpectedList(values=tuple(value for value in values if value is not None), position=_position_of(node))


def _is_empty(node: Node | None) -> bool:
    """Whether the node is missing, or an empty list or mapping."""
    match node:
        case ListNode(items=inside) | MappingNode(entries=inside):
            return not inside
        case _:
            return node is None


def _read_phrase(node: Node, context: ParseContext) -> Phrase | None:
    """Parse a text to find in a message; between slashes it is a regular expression."""
    source = read_word(node, context)
    if source is None:
        return None
    if len(source) > 2 and source.startswith("/") and source.endswith("/"):  # noqa: PLR2004  slashes and something
        options: Any = re2.Options()
        options.log_errors = False
        try:
            search = re2.compile(source[1:-1], options).search
        except re2.error as error:
            context.add_fault(node, f"{source!r} is not a valid regular expression (RE2): {re2_reason(error)}")
            return None
        return Phrase(source=source, position=_position_of(node), is_in=lambda text: search(text) is not None)
    return Phrase(source=source, position=_position_of(node), is_in=lambda text: source in text)


def _read_count(node: Node, context: ParseContext) -> tuple[int, Position] | None:
    """Parse a whole number, at least 0; return it with its position."""
    if isinstance(node, ScalarNode) and node.yaml_type == "int" and node.text.isdecimal():
        return int(node.text), _position_of(node)
    context.add_fault(node, f"expected a number, found {describe(node)}")
    return None


def _read_copies(node: Node, context: ParseContext) -> int | None:
    """Parse the number of copies of an incident."""
    text = node.text if isinstance(node, ScalarNode) else ""
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_COPIES)) and 1 <= int(text) <= MOST_COPIES:
        return int(text)
    context.add_fault(node, f"expected a number from 1 to {MOST_COPIES}, found {describe(node)}")
    return None


def _read_words(node: Node, context: ParseContext) -> tuple[str, ...] | None:
    items = node.items if isinstance(node, ListNode) else (node,)
    words = tuple(word for item in items if (word := read_word(item, context)) is not None)
    if not words:
        context.add_fault(node, f"expected parts of a body, such as incident.snooze, found {describe(node)}")
    return words


def _read_headers(node: Node, context: ParseContext) -> dict[str, str] | None:
    mapping = read_mapping(node, context, "headers to their values")
    if mapping is None:
        return None
    return {key.text: text for key, value in mapping.entries if (text := read_word(value, context)) is not None}


def _read_json_object(node: Node, context: ParseContext) -> Mapping[str, JSON] | None:
    mapping = read_mapping(node, context, "names to values")
    return None if mapping is None else {key.text: _to_json(value, context) for key, value in mapping.entries}


def _to_json(node: Node, context: ParseContext) -> JSON:
    """A scalar is a text, unless it is written as in JSON: true, 12, 0.5, null."""
    match node:
        case ListNode():
            return [_to_json(item, context) for item in node.items]
        case MappingNode():
            return {key.text: _to_json(value, context) for key, value in node.entries}
        case ScalarNode(yaml_type="null"):
            return None
        case ScalarNode(yaml_type="bool", text=text) if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        case ScalarNode(yaml_type="int" | "float" as kind, text=text):
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:
                context.add_fault(node, f"{describe(node)} is not a decimal number; quote it if it is a text")
    return node.text


def _position_of(node: Position) -> Position:
    return Position(line=node.line, column=node.column)
