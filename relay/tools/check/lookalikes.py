"""Warn of values under `match` that look like the syntax of another tool: relay reads them as plain text.

All findings are warnings and say what to write. A value under `{is: ...}` is meant literally and is not checked.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from relay.model.errors import Fault
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode
from relay.tools.check.sources import finding

_FLAGS: Final = frozenset("imsU")

_REGEX: Final = re.compile(r"^\^.|[*+)\]]\$$|\\\.|\\[dwsDWS][+*{]|^\(\?[a-zA-Z]|\([^()]+\|[^()]+\)|[\])]\+")
"""What is common in regular expressions and rare in values."""
_CLASS: Final = re.compile(
    r"\[(?:[!^][^\]]+|(?:[a-z0-9]-[a-z0-9])+[_.-]*|(?P<one>[a-z])(?P<two>[a-z]))\]", re.IGNORECASE
)
_BRACES: Final = re.compile(r"\{[^{},]+(?:,[^{},]*)+\}")
_BARS: Final = re.compile(r"[^|\s]+(?:\|[^|\s]+)+")
_CURLY_QUOTES: Final = re.compile("^[“”„‘’‚«].*[“”‘’»]$", re.DOTALL)  # noqa: RUF001  these very signs are meant
_OPERATOR: Final = re.compile(r"^(?P<sign>!=|==|=~|!~|>=|<=|!)\s*(?P<value>\S.*)$", re.DOTALL)
_REPLACEMENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("!=", "!"), "{{not: {0}}}"),
    "==": "{0}",
    "=~": "/{0}/",
    "!~": "{{not: /{0}/}}",
    ">=": "{{min: {0}}}",
    "<=": "{{max: {0}}}",
}
_COMMAS: Final = re.compile(r"[^,;\s][^,;]*(?:[,;]\s*[^,;\s][^,;]*)+")
_WORDS: Final = re.compile(r"[\w.-]+(?:\s+(?:or|OR|\|\|?)\s+[\w.-]+)+")
_COMMA: Final = re.compile("[,;]")
_BETWEEN_WORDS: Final = re.compile(r"\s+(?:or|OR|\|\|?)\s+")
_PATH: Final = re.compile(r"[\w./ -]*/[\w./ -]*")


def lookalikes(value: Node) -> Iterator[Fault]:
    """Find lookalikes in the value of one condition."""
    for operator, node in _scalars(value, ""):
        if message := _message(operator, node):
            yield finding(node, message)


def _scalars(node: Node, operator: str) -> Iterator[tuple[str, ScalarNode]]:
    """The scalars of a value, each with its operator, except those under `is`."""
    match node:
        case ScalarNode():
            yield operator, node
        case ListNode(items=items):
            for item in items:
                yield from _scalars(item, operator)
        case MappingNode(entries=pairs):
            for key, value in pairs:
                if key.text != "is":
                    yield from _scalars(value, key.text)


def _message(operator: str, node: ScalarNode) -> str:
    text, inside = node.text, node.text[1:-1]
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        if operator == "re":
            return f"under re, slashes are part of the expression; write {{re: {inside}}}, or {text} without re"
        if _PATH.fullmatch(inside):
            return f"this is a regular expression that matches '{inside}'; for a path write {{is: {text}}}"
        return ""
    if operator == "re":
        return ""
    if node.yaml_type == "null" and text:
        return f"this is the text '{text}'; for an absent value write {{exists: false}}"
    return _almost_regex_message(text) or _sign_message(text)


def _almost_regex_message(text: str) -> str:
    """Find `/db-.*/i` and `^db-.*$`, which are regular expressions elsewhere."""
    body, slash, flags = text[1:].rpartition("/")
    if text.startswith("/") and slash and body and flags and set(flags) <= _FLAGS:
        return f"this is plain text, not a regular expression; write flags inside the slashes: /(?{flags}){body}/"
    if "|" in text and text.startswith("/") != text.endswith("/"):
        whole = f"/{text.strip('/')}/"
        return f"this is plain text; a regular expression has a slash at both ends: {whole}{_literal_hint(text)}"
    if _REGEX.search(text):
        return f"this is plain text; write a regular expression between slashes: '/{text}/'{_literal_hint(text)}"
    return ""


def _sign_message(text: str) -> str:
    if _CURLY_QUOTES.search(text):
        return f'curly quotes are part of the value; YAML needs straight quotes: "{text[1:-1]}"'
    if sign := _OPERATOR.search(text):
        return f"'{sign['sign']}' is plain text here; write {_REPLACEMENTS[sign['sign']].format(sign['value'])}"
    if (found := _CLASS.search(text)) and (found["one"] or "").casefold() == (found["two"] or "").casefold():
        return f"{found[0]} is plain text: globs have * and ? only; write a regular expression between slashes"
    if found := _BRACES.search(text):
        return f"{found[0]} is plain text: globs have * and ? only; write a list of values"
    if _BARS.fullmatch(text):
        return f"'|' is plain text here; write a list: [{', '.join(text.split('|'))}]{_literal_hint(text)}"
    return _several_message(text) or _blank_message(text)


def _several_message(text: str) -> str:
    """Find `production, staging` and `production or staging`, which are one value."""
    for pattern, between in ((_COMMAS, _COMMA), (_WORDS, _BETWEEN_WORDS)):
        if pattern.fullmatch(text.strip()):
            values = ", ".join(each.strip() for each in between.split(text))
            return f"this is one value; for several write a list: [{values}]{_literal_hint(text)}"
    return ""


def _blank_message(text: str) -> str:
    """Find blanks at the ends of a value, which are part of it."""
    if text == text.strip():
        return ""
    end = "begins" if text != text.lstrip() else "ends"
    return f"this value {end} with a blank, which is part of it; write '{text.strip()}'{_literal_hint(text)}"


def _literal_hint(text: str) -> str:
    return "" if "*" in text or "?" in text else "; if you mean this exact text, write {is: ...}"
