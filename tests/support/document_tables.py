"""The tables of the documents that follow from the code. `make tables` writes them again.

A page has each of them between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import inspect
import re
from collections.abc import Callable
from functools import partial

from relay.metrics import METRICS
from relay.model.buttons import BUTTONS, STORM_BUTTONS
from relay.rendering.blocks.tags import BLOCK_TAGS, BlockTag
from relay.rendering.engine.filters import FILTERS
from relay.routes.hour_types import SILENT_PARTS
from relay.routes.key_types import Place
from relay.routes.match_keys import MATCH_KEYS
from relay.routes.mention import MENTION_KEYS
from relay.routes.options import OPTION_KEYS
from relay.routes.parser.hours import WINDOW_PARTS
from relay.routes.parser.keys import KEYS
from relay.routes.parser.match_values import OPERATORS
from relay.routes.parser.matches import COMBINATORS
from relay.routes.remind import REMIND_PARTS, THEN_PARTS
from relay.routes.summary import SUMMARY_PARTS
from relay.tools.testing.keys import KEYS as TEST_KEYS
from tests.support.documents import DOCS


def generated() -> dict[str, str]:
    """Every generated table, by the name of its marker."""
    conditions = {name: key.description for name, key in MATCH_KEYS.items()}
    conditions |= {name: key.description for name, key in COMBINATORS.items()}
    return {
        "keys": _table(
            ["key", *(place.value for place in Place), "meaning"],
            [
                [f"`{name}`", *("✓" * (place in key.places) for place in Place), key.description]
                for name, key in KEYS.items()
            ],
        ),
        "options": _table(
            ["option", "value", "default", "meaning"],
            [
                [f"`{name}`", key.type.name, f"`{key.type.as_yaml(key.default)}`", key.description]
                for name, key in OPTION_KEYS.items()
            ],
        ),
        "match": _table(["key", "reads"], [[f"`{name}`", text] for name, text in conditions.items()]),
        "operators": _table(
            ["operator", "matches if"], [[f"`{name}`", operator.description] for name, operator in OPERATORS.items()]
        ),
        "hours": _table(["key", "meaning"], [[f"`{name}`", key.description] for name, key in WINDOW_PARTS.items()]),
        "silent": _table(["key", "meaning"], [[f"`{name}`", key.description] for name, key in SILENT_PARTS.items()]),
        "summaries": _table(
            ["key", "meaning"], [[f"`{name}`", key.description] for name, key in SUMMARY_PARTS.items()]
        ),
        "remind": _table(["key", "meaning"], [[f"`{name}`", key.description] for name, key in REMIND_PARTS.items()]),
        "then": _table(["key", "meaning"], [[f"`{name}`", key.description] for name, key in THEN_PARTS.items()]),
        "tests": _table(
            ["key", "in", "meaning"],
            [
                [f"`{name}`", part.value, key.description]
                for part, keys in TEST_KEYS.items()
                for name, key in keys.items()
            ],
        ),
        "mention": _table(["key", "pings if"], [[f"`{key}`", when] for key, when in MENTION_KEYS.items()]),
        "buttons": _table(
            ["button", "asks for", "what it does"],
            [[f"**{button.label}**", button.asks, button.effect] for button in BUTTONS.values()],
        ),
        "storm buttons": _table(
            ["button", "effect"], [[f"**{button.label}**", button.effect] for button in STORM_BUTTONS.values()]
        ),
        "tags": _table(
            ["tag", "makes"], [[f"`{kind.value.usage}`", _makes(kind.value)] for kind in BLOCK_TAGS.values()]
        ),
        "filters": _table(["filter", "does"], [[f"`{_usage(each)}`", each.__doc__ or ""] for each in FILTERS.values()]),
        "metrics": _table(
            ["metric", "kind", "labels", "meaning"],
            [
                [f"`{name}`", each.type, ", ".join(f"`{label}`" for label in each.labels) or "none", each.help]
                for name, each in METRICS.items()
            ],
        ),
    }


def _makes(tag: BlockTag) -> str:
    place = " or ".join(f"`{name}`" for name in tag.inside)
    return f"inside {place}: {tag.makes}" if place else tag.makes


def _usage(filter_: Callable[..., str]) -> str:
    """How a template writes a filter: with the arguments that come after the value."""
    _, *arguments = inspect.signature(filter_).parameters
    return f"{filter_.__name__}({', '.join(arguments)})" if arguments else filter_.__name__


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _filled(table: str, begin: re.Match[str]) -> str:
    return f"{begin[1]}\n{table}\n"


def with_tables(text: str) -> str:
    """A page with its generated tables between their markers."""
    for name, table in generated().items():
        marked = re.compile(rf"(<!-- table: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        text = marked.sub(partial(_filled, table), text)
    return text


if __name__ == "__main__":
    for page in DOCS.glob("*.md"):
        page.write_text(with_tables(page.read_text()))
