"""A template file's layout is not the message's: indentation goes, and so do line breaks after lines of tags alone.

So templates can be indented as their tags nest, and `{% for %}` can stand on a line of its own. Inside `{% raw %}`,
`{% pre %}` and `{% blocks %}` every blank counts. No line moves, so that faults are told where they stand.
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


def laid_out(source: str) -> str:
    """The source as Jinja is to read it."""
    return _LAYOUT.sub(_without_layout, source)


def _without_layout(match: re.Match[str]) -> str:
    if match["blocks"]:
        return f"{match['blocks']}{{% raw %}}{match['yaml']}{{% endraw %}}"
    if match["line"]:
        # The line break moves into the last tag, where it means nothing and still counts as a line.
        return _LAST_END.sub(r"\n\1", match["line"].lstrip(" \t"))
    return "" if match["indentation"] else match.group()
