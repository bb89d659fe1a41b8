"""Renders a bulletin, and the reply that has lines of it.

The variables of its template are those of `bulletin_variables`; a line's template also has `line`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.model.counting import plural
from relay.model.struct import replace
from relay.rendering import fallback
from relay.rendering.blocks.compose import Draft, completed, compose
from relay.rendering.blocks.fit import fitted
from relay.rendering.blocks.rich_text import Atom
from relay.rendering.blocks.tree import parse
from relay.rendering.card import built_in_notice, draft_of
from relay.rendering.context import Item, template_values
from relay.rendering.library import BATCH, BULLETIN_FOLDER, LINE, PING, TemplateFailed, TemplateLibrary
from relay.rendering.reply import Paragraph, joined_paragraphs, paragraph_of
from relay.rendering.request import RenderedMessage, RenderRequest

_NOUN: Final = "incident"
_LONGEST_SUMMARY: Final = 120


def bulletin_variables(
    values: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], counts: Mapping[str, int]
) -> dict[str, Any]:
    """The variable `bulletin`: its own values, the lines that it shows, and how many lines it has of each kind.

    `counts` has `all`, `open`, and a number for each way in which lines end.
    """
    items = [Item(_NOUN, template_values(line)) for line in lines]
    groups = {
        "lines": items,
        "unowned": [item for item in items if not item.get("owner")],
        "owned": [item for item in items if item.get("owner")],
        "routes": sorted({item["route"] for item in items if item.get("route")}),
    }
    return {"bulletin": {**template_values(values), **groups, "counts": dict(counts)}}


def render_bulletin(library: TemplateLibrary, kind: str, request: RenderRequest) -> RenderedMessage:
    """Render the message of a bulletin of that kind. If its template fails as a whole, built-in text replaces it."""
    name = f"{BULLETIN_FOLDER}/{kind}.j2"
    title = fallback.bulletin_title(kind, request.variables["bulletin"])
    try:
        output = library.run(name, request.variables)
        draft, failures, built_in = draft_of(output, request, name), output.failures, False
    except TemplateFailed as failed:
        request = replace(request, notices=(*request.notices, built_in_notice("text", failed.failures[-1])))
        draft, failures, built_in = _built_in(kind, request), failed.failures, True
    draft.summary = draft.summary or [Atom(title)]
    return RenderedMessage(message=fitted(completed(draft, request), title), failures=failures, builtin=built_in)


def render_lines(
    library: TemplateLibrary, request: RenderRequest, lines: Sequence[Mapping[str, Any]]
) -> RenderedMessage:
    """Render the reply that has these lines of a bulletin, in their order."""
    items = [Item(_NOUN, template_values(line)) for line in lines]
    paragraphs = [_paragraph(library, request, item) for item in items]
    number = f"{len(items)} {_NOUN}{plural(len(items))}"
    if any(item.get("ping") for item in items):
        title = fallback.bulletin_title("storm", request.variables["bulletin"])
        return joined_paragraphs(paragraphs, request, subject="", title=title)
    if any(item.get("batch") for item in items):
        return joined_paragraphs(paragraphs, request, subject="", title=fallback.batch(items[0]))
    return joined_paragraphs(paragraphs, request, subject=number, title=number, longest=_LONGEST_SUMMARY)


def _paragraph(library: TemplateLibrary, request: RenderRequest, item: Item) -> Paragraph:
    if item.get("ping"):
        name, built_in = f"{BULLETIN_FOLDER}/{PING}.j2", fallback.ping(item)
    elif item.get("batch"):
        name, built_in = f"{BULLETIN_FOLDER}/{BATCH}.j2", fallback.batch(item)
    else:
        name, built_in = f"{BULLETIN_FOLDER}/{LINE}.j2", fallback.line(item)
    return paragraph_of(library, name, request, {"line": item}, built_in)


def _built_in(kind: str, request: RenderRequest) -> Draft:
    return compose(parse(fallback.bulletin(kind, request.variables["bulletin"])), request)
