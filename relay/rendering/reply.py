"""One reply in a card's thread: a paragraph for each entry, by the template of its kind, joined into few blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.rendering import fallback
from relay.rendering.blocks.characters import whole
from relay.rendering.blocks.compose import Draft, completed, compose
from relay.rendering.blocks.fit import BUDGET, fitted
from relay.rendering.blocks.parts import Part, Section
from relay.rendering.blocks.rich_text import Atom, length, one_line, shortened, tidy
from relay.rendering.blocks.tree import parse
from relay.rendering.card import built_in_notice, drafted, title_of
from relay.rendering.context import Item, template_values
from relay.rendering.library import TemplateFailed, TemplateLibrary
from relay.rendering.request import RenderedMessage, RenderRequest, TemplateFailure
from relay.slack import limits

OTHER: Final = "other"
GLANCE: Final = 140
"""The most characters that the notification says of one entry."""

_NOUNS: Final[Mapping[str, str]] = {"tags": "tag", "alerts": "alert", "changes": "change"}
_SHARES: Final = (limits.SECTION_TEXT, 1_500, 800, 400, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paragraph:
    """What one entry became."""

    parts: tuple[Part, ...]
    summary: str
    failures: tuple[TemplateFailure, ...] = ()
    builtin: bool = False


def render_reply(
    library: TemplateLibrary, template: str, request: RenderRequest, entries: Sequence[Mapping[str, Any]]
) -> RenderedMessage:
    """The reply that tells these entries, all of them, in this order.

    An entry is a plain mapping: `kind` (a file's name without `.j2`; another one is told by `other.j2`), and what the
    kind has of `at` (Unix seconds), `actor`, `old`, `new`, `text`, `items`. Where the template of one fails as a whole,
    the built-in wording tells that one, and a small line says so.
    """
    told = [_paragraph(library, template, request, entry) for entry in entries]
    if not any(paragraph.parts for paragraph in told):
        told = [_built_in(request, entry, ()) for entry in entries]
    failures = tuple(failure for paragraph in told for failure in paragraph.failures)
    built_in = any(paragraph.builtin for paragraph in told)
    if built_in and failures:
        request = replace(request, notices=(*request.notices, built_in_notice("wording", failures[-1])))
    title = title_of(request)
    summary = "; ".join(dict.fromkeys(paragraph.summary for paragraph in told if paragraph.summary))
    draft = Draft(top=_joined(_shared(told)), summary=[Atom(f"{title}: {summary}" if summary else title)])
    return RenderedMessage(message=fitted(completed(draft, request), title), failures=failures, builtin=built_in)


def _paragraph(library: TemplateLibrary, template: str, scene: RenderRequest, entry: Mapping[str, Any]) -> _Paragraph:
    kind = entry.get("kind")
    name = f"{template}/{kind if kind in ENTRY_TEMPLATES else OTHER}.j2"
    try:
        printed = library.run(name, {**scene.variables, "entry": _readable(entry)})
    except TemplateFailed as failed:
        return _built_in(scene, entry, failed.failures)
    if not printed.text.strip():
        return _Paragraph(parts=(), summary="")
    try:
        draft = drafted(printed, scene, name)
    except TemplateFailed as failed:
        return _built_in(scene, entry, failed.failures)
    return _of(draft, printed.failures)


def _built_in(scene: RenderRequest, entry: Mapping[str, Any], failures: tuple[TemplateFailure, ...]) -> _Paragraph:
    draft = compose(parse(fallback.entry(_readable(entry))), scene)
    return replace(_of(draft, failures), builtin=True)


def _of(draft: Draft, failures: tuple[TemplateFailure, ...]) -> _Paragraph:
    """In a thread there is no bar: what stands beside one stands with the rest."""
    parts = (*draft.top, *draft.bar)
    texts = [part.flow for part in parts if isinstance(part, Section)]
    summary = one_line(draft.summary or (texts[0] if texts else ())).replace("*", "")
    return _Paragraph(parts=parts, summary=_at_a_glance(summary), failures=failures)


def _at_a_glance(text: str) -> str:
    """What a lock screen shows of one thing: a line, not the whole comment."""
    return text if len(text) <= GLANCE else text[: whole(text, GLANCE - 1)].rstrip() + "…"


def _readable(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as templates see it: without marks, without what is absent, its items ready to be counted."""
    values = {name: value for name, value in template_values(entry).items() if value is not None}
    noun = _NOUNS.get(str(entry.get("kind")), "item")
    items = values.get("items")
    listed = items if isinstance(items, list) else []
    values["items"] = [Item(noun, item) if isinstance(item, Mapping) else item for item in listed]
    return values


def _shared(told: Sequence[_Paragraph]) -> list[Part]:
    """All parts; where they are too long together, every text gives way alike, so that each entry is still told."""
    parts = [part for paragraph in told for part in paragraph.parts]
    texts = [length(part.flow) for part in parts if isinstance(part, Section)]
    share = next((share for share in _SHARES if sum(min(share, text) for text in texts) <= BUDGET), _SHARES[-1])
    return [replace(part, flow=shortened(part.flow, share)) if isinstance(part, Section) else part for part in parts]


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Neighbouring texts in one block, as long as there is room in it."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        both = _together(last, part) if isinstance(last, Section) and isinstance(part, Section) else None
        joined[-1:] = [both] if both else [*joined[-1:], part]
    return joined


def _together(first: Section, second: Section) -> Section | None:
    if first.accessory or second.accessory or first.group or second.group:
        return None
    flow = tidy([*first.flow, Atom("\n"), *second.flow])
    return replace(first, flow=flow) if length(flow) <= limits.SECTION_TEXT else None
