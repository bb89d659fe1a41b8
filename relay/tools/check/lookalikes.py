"""Words under `match` that look like what other tools take: each is a plain text to relay, and hardly meant as one.

All of them are warnings, with what to write instead. Who means the very text writes `{is: ...}`, and is left alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode
from relay.tools.check.reachability import LintFinding

_FLAGS: Final = frozenset("imsU")

_PATTERN: Final = re.compile(r"^\^.|[*+)\]]\$$|\\\.|\\[dwsDWS][+*{]|^\(\?[a-zA-Z]|\([^()]+\|[^()]+\)|[\])]\+")
"""What stands in regular expressions and hardly ever in a value."""
_CLASS: Final = re.compile(
    r"\[(?:[!^][^\]]+|(?:[a-z0-9]-[a-z0-9])+[_.-]*|(?P<one>[a-z])(?P<two>[a-z]))\]", re.IGNORECASE
)
_BRACES: Final = re.compile(r"\{[^{},]+(?:,[^{},]*)+\}")
_BARS: Final = re.compile(r"[^|\s]+(?:\|[^|\s]+)+")
_CURLY: Final = re.compile("^[“”„‘’‚«].*[“”‘’»]$", re.DOTALL)  # noqa: RUF001  these very signs are meant
_OPERATOR: Final = re.compile(r"^(?P<sign>!=|==|=~|!~|>=|<=|!)\s*(?P<value>\S.*)$", re.DOTALL)
_OPERATORS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("!=", "!"), "{{not: {0}}}"),
    "==": "{0}",
    "=~": "/{0}/",
    "!~": "{{not: /{0}/}}",
    ">=": "{{min: {0}}}",
    "<=": "{{max: {0}}}",
}
_PATH: Final = re.compile(r"[\w./ -]*/[\w./ -]*")


def lookalikes(value: Node) -> Iterator[LintFinding]:
    """What looks like something else in the value of one condition."""
    for operator, word in _words(value, ""):
        if operator == "re":
            told = _of_expression(word.text)
        elif word.yaml_type == "null" and word.text:
            told = f"this is the word '{word.text}'; absence is {{exists: false}}"
        else:
            told = _of_text(word.text)
        if told:
            yield LintFinding(at=word, message=told)


def _words(node: Node, operator: str) -> Iterator[tuple[str, ScalarNode]]:
    """The words of a value, each with the operator that it stands under; those that are meant literally left out."""
    match node:
        case ScalarNode():
            yield operator, node
        case ListNode(items=items):
            for item in items:
                yield from _words(item, operator)
        case MappingNode(entries=pairs):
            for key, value in pairs:
                if key.text != "is":
                    yield from _words(value, key.text)


def _of_expression(text: str) -> str:
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return f"under re the slashes are part of the expression; write {{re: {text[1:-1]}}}, or {text} without re"
    return ""


def _of_text(text: str) -> str:
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        return _of_path(text)
    return _almost_an_expression(text) or _of_signs(text)


def _of_path(text: str) -> str:
    if _PATH.fullmatch(text[1:-1]):
        return f"this is a regular expression for '{text[1:-1]}', without the slashes; a path is written {{is: {text}}}"
    return ""


def _almost_an_expression(text: str) -> str:
    """`/db-.*/i` and `^db-.*$`: elsewhere these are regular expressions."""
    body, slash, flags = text[1:].rpartition("/")
    if text.startswith("/") and slash and body and flags and set(flags) <= _FLAGS:
        return f"this is no regular expression: it ends with its slash, and flags stand inside: /(?{flags}){body}/"
    if _PATTERN.search(text):
        return f"a regular expression stands between slashes: '/{text}/'{_literally(text)}"
    return ""


def _of_signs(text: str) -> str:
    if _CURLY.search(text):
        return f'these quotes are part of the value; the quotes of YAML are straight: "{text[1:-1]}"'
    if sign := _OPERATOR.search(text):
        return f"'{sign['sign']}' is no operator here; write {_OPERATORS[sign['sign']].format(sign['value'])}"
    if (found := _CLASS.search(text)) and (found["one"] or "").casefold() == (found["two"] or "").casefold():
        return f"{found[0]} is a text here: patterns know * and ? alone; write a regular expression between slashes"
    if found := _BRACES.search(text):
        return f"{found[0]} is a text here: patterns know * and ? alone; write a list of values"
    if _BARS.fullmatch(text):
        return f"'|' is a text here; one of several is a list: [{', '.join(text.split('|'))}]{_literally(text)}"
    return ""


def _literally(text: str) -> str:
    return "" if "*" in text or "?" in text else "; if this very text is meant, write it as {is: ...}"
