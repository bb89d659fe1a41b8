"""Removes the layout of a template file: indentation, and line breaks after lines that hold only tags.

So a template can be indented as its tags nest, and `{% for %}` can have a line of its own. Inside `{% raw %}`,
`{% pre %}` and `{% blocks %}` every blank counts. No line moves, so that faults name the right line.
"""

import re
from typing import Final

_TAG: Final = r"\{%(?!-?\s*(?:raw|pre|blocks)\b)(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\}"
_LAYOUT: Final = re.compile(
    r"(?P<blocks>\{%-?\s*blocks\s*-?%\})(?P<yaml>.*?)(?=\{%-?\s*endblocks\b)"
    r"|(?P<kept>\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\b|\{%-?\s*pre\s*-?%\}.*?\{%-?\s*endpre\b)"
    rf"|(?P<line>^[ \t]*(?:(?:{_TAG})[ \t]*)+\n)"
    r"|(?P<comment>\{#.*?#\})"
    r"|(?P<indentation>^[ \t]+)",
    re.MULTILINE | re.DOTALL,
)
_LAST_END: Final = re.compile(r"([-+]?[%#]\})[ \t]*\n\Z")


def strip_layout(source: str) -> str:
    """Return the source that Jinja is to read."""
    return _LAYOUT.sub(_without_layout, source)


def _without_layout(match: re.Match[str]) -> str:
    if match["blocks"]:
        return f"{match['blocks']}{{% raw %}}{match['yaml']}{{% endraw %}}"
    if match["line"]:
        # The line break moves into the last tag: it prints nothing there, and still counts as a line.
        return _LAST_END.sub(r"\n\1", match["line"].lstrip(" \t"))
    return "" if match["indentation"] else match.group()
