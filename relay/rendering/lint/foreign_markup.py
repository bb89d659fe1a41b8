"""Finds the markup of Slack, Markdown, HTML and others in the text of a template: a reader would see it as it is."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from jinja2 import nodes

from relay.rendering.blocks.tags import NodeKind
from relay.rendering.lint.source_tags import RAW_BLOCKS
from relay.rendering.lint.syntax_errors import blank
from relay.rendering.lint.walk import TemplateNodes

_PRINT: Final = "\ue000"
"""Stands for a value in the text around it."""

_SHOWN: Final = "is shown as it is; write "
_ADDRESS: Final = rf"(?:https?://|{_PRINT})[^>|\s)]*"
_PINGS: Final = "pings nobody from a template; write {{% mentions %}}, and who is pinged under mention in routes.yaml"
_PAIR: Final = r"(?<![\w*~_]){0}(?=[^\s*~_])([^\n]+?)(?<=[^\s*~_]){0}(?![\w*~_])"

_MARKUP: Final[Mapping[str, str]] = {
    r"[\[{]\s*\"(?:type|blocks|text|attachments|elements|fields)\"\s*:": (
        "Block Kit as JSON is shown as text; write relay's tags, or the list of blocks inside {{% blocks %}}"
    ),
    r"<!(?:here|channel|everyone)(?:\|[^>]*)?>|<!subteam\^[^>]*>|<@[UW][^>\s]*>": _PINGS,
    r"(?<![\w@<.])@(?:here|channel|everyone)\b": _PINGS,
    r"<#C[^>\s]*>": _SHOWN + 'the name of the channel, as in "#noc"',
    r"<!date\^[^>]*>": _SHOWN + "{{{{ incident.started | slack_time }}}}",
    r"<mailto:[^>]*>": _SHOWN + "the address alone",
    rf"<({_ADDRESS})\|([^>\n]*)>": _SHOWN + '{{{{ "{0}" | link("{1}") }}}}',
    r"<(https?://[^>|\s]+)>": _SHOWN + '{{{{ "{0}" | link }}}}',
    rf"!\[([^\]\n]*)\]\(({_ADDRESS})\)": _SHOWN + '{{% image "{1}", "{0}" %}}',
    r"\[([^\]\n]+)\]\(([^)\s]*)\)": _SHOWN + '{{{{ "{1}" | link("{0}") }}}}',
    r"\*\*(?=[^\s*])([^\n]+?)(?<=[^\s*])\*\*": _SHOWN + "*{0}*",
    r"(?<!\w)__(?=[^\s_])([^\n]+?)(?<=[^\s_])__(?!\w)": _SHOWN + "*{0}*",
    r"~~(?=[^\s~])([^\n]+?)(?<=[^\s~])~~": _SHOWN + "~{0}~",
    r"^ {0,3}#{1,6} +(\S[^\n]*)$": _SHOWN + "{{% header %}}{0}{{% endheader %}}",
    r"^ *(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*$": _SHOWN + "{{% divider %}}",
    r"^ *\|[^\n|]+\|[^\n]*\|[ \t]*$": "a table is shown as it is; write {{% fields %}}, or {{% pre %}} around it",
    r"</?(?:b|strong)>": _SHOWN + "stars around the words: *bold*",
    r"</?(?:i|em)>": _SHOWN + "underscores around the words: _italic_",
    r"</?(?:s|del|strike)>": _SHOWN + "~ around the words",
    r"</?(?:code|tt|kbd)>": _SHOWN + "backticks around the words",
    r"</?pre>": _SHOWN + "{{% pre %}}",
    r"<br */?>": _SHOWN + "a line break",
    r"</?a(?: [^>]*)?>": _SHOWN + '{{{{ "https://..." | link("label") }}}}',
    r"<img [^>]*>": _SHOWN + '{{% image "https://...", "what it shows" %}}',
    r"</?h[1-6]>": _SHOWN + "{{% header %}}",
    r"</?blockquote>": _SHOWN + "{{% quote %}}",
    r"<hr */?>": _SHOWN + "{{% divider %}}",
    r"</?(?:p|div|span|ul|ol|li|u|font|center|table|tr|td|th|small|big)(?: [^>]*)?>": (
        "HTML is shown as it is; leave it out, or write relay's tags"
    ),
    r"&(?:amp|lt|gt|nbsp|quot|apos|mdash|ndash|#\d+|#x[0-9a-fA-F]+);": _SHOWN + "the character itself",
    r"\$\{\s*([A-Za-z_][\w.]*)\s*\}": _SHOWN + "{{{{ {0} }}}}",
    r"(?<![{$%])\{\s*((?:incident|alert|tags|entry|environment|links|sender|route|previous)\b[^\s{}]*)\s*\}(?!\})": (
        _SHOWN + "{{{{ {0} }}}}"
    ),
    r"\{(?:HOST|ITEM|TRIGGER|EVENT|INVENTORY)\.[A-Z.]+\d?\}": _SHOWN + "{{{{ tags.host }}}}",
    r"\$(?:labels|value|annotations|HOST[A-Z]+|SERVICE[A-Z]+)\b[\w.$]*": _SHOWN + "{{{{ tags.NAME }}}}",
    r"%\((\w+)\)[sdrf]": _SHOWN + "{{{{ {0} }}}}",
    r"<%=?[^%\n]*%>": _SHOWN + "{{{{ ... }}}} or {{% ... %}}",
    r"\\[nt](?!\w)": _SHOWN + "a line break in the file",
}
"""Markup that means nothing here -> the end of the message; its braces are doubled, as `str.format` needs them."""

_IN_PLAIN_TEXT: Final[Mapping[str, str]] = {
    _PAIR.format(r"\*"): "is shown with its stars; {1} has no formatting",
    _PAIR.format("_"): "is shown with its underscores; {1} has no formatting",
    r"`[^`\n]+`": "is shown with its backticks; {1} has no formatting",
}
_PLAIN: Final[Mapping[NodeKind, str]] = {
    NodeKind.HEADER: "a header",
    NodeKind.BUTTON: "a button",
}
_CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_COMPILED: Final = {re.compile(pattern, re.MULTILINE): advice for pattern, advice in _MARKUP.items()}
_COMPILED_PLAIN: Final = {re.compile(pattern): advice for pattern, advice in _IN_PLAIN_TEXT.items()}
_LONGEST: Final = 60
_VALUE: Final = "{{ ... }}"


def foreign_markup(tree: TemplateNodes, source: str) -> Iterator[tuple[int, str, str]]:
    """Every piece of foreign markup: its line, its first line of text, and the message."""
    for place in tree.places:
        if isinstance(place.node, nodes.Output) and NodeKind.PRE not in place.around:
            text, lines = _text(place.node)
            hidden = _CODE.sub(lambda code: blank(code[0]), text)
            plain = next((_PLAIN[kind] for kind in reversed(place.around) if kind in _PLAIN), "")
            yield from _found(text, hidden, lines, plain)
    for blocks in RAW_BLOCKS.finditer(source):
        first = source.count("\n", 0, blocks.start("yaml")) + 1
        for number, line in enumerate(blocks["yaml"].split("\n")):
            if not line.lstrip().startswith(("- {", "{", "#")) and '"type"' not in line:
                yield from _found(line, line, [first + number] * (len(line) + 1), "")


def _text(output: nodes.Output) -> tuple[str, list[int]]:
    """The text of an output, with the line of each character."""
    text, lines = "", list[int]()
    for node in output.nodes:
        part, line = _PRINT, node.lineno
        if isinstance(node, nodes.TemplateData):
            part = node.data
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            part = node.value.replace("\n", " ")
        for character in part:
            lines.append(line)
            line += character == "\n" and isinstance(node, nodes.TemplateData)
        text += part
    return text, lines


def _found(text: str, searched: str, lines: list[int], plain: str) -> Iterator[tuple[int, str, str]]:
    taken, reported = set[int](), set[tuple[int, str]]()
    patterns = [(pattern, advice, searched) for pattern, advice in _COMPILED.items()]
    patterns += [(pattern, advice, text) for pattern, advice in _COMPILED_PLAIN.items()] if plain else []
    for pattern, advice, where in patterns:
        for match in pattern.finditer(where):
            if taken.isdisjoint(range(*match.span())):
                taken |= set(range(*match.span()))
                groups = [_words(each or "") for each in match.groups()] or [""]
                word = match[0].strip().split("\n")[0].split(_PRINT)[0]
                if plain and pattern in _COMPILED_PLAIN:
                    groups = [groups[0], plain]
                begins = len(match[0]) - len(match[0].lstrip())
                line = lines[match.start() + begins]
                message = f"{_words(match[0].strip())} {advice.format(*groups)}".replace(f'"{_VALUE}"', "...")
                if (line, advice) not in reported or match.groups():
                    yield line, word, message
                reported.add((line, advice))


def _words(text: str) -> str:
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return text.replace(_PRINT, _VALUE)
