"""Renders a reply in a card's thread: one paragraph for each entry, joined into few blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.struct import replace
from relay.rendering import fallback
from relay.rendering.blocks.characters import safe_cut
from relay.rendering.blocks.compose import Draft, completed, compose
from relay.rendering.blocks.fit import BUDGET, fitted
from relay.rendering.blocks.parts import Part, Section
from relay.rendering.blocks.rich_text import Atom, length, one_line, shortened, tidy
from relay.rendering.blocks.tree import parse
from relay.rendering.card import built_in_notice, draft_of, title_of
from relay.rendering.context import Item, template_values
from relay.rendering.headline import reply_subject
from relay.rendering.library import TemplateFailed, TemplateLibrary
from relay.rendering.request import RenderedMessage, RenderRequest, TemplateFailure
from relay.slack import limits

_OTHER: Final = "other"
_LONGEST_SUMMARY: Final = 140
"""Characters of one entry in the notification."""

_NOUNS: Final[Mapping[str, str]] = {"tags": "tag", "alerts": "alert", "changes": "change"}
_TEXT_LIMITS: Final = (limits.SECTION_TEXT, 1_500, 800, 400, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One rendered entry."""

    parts: tuple[Part, ...] = ()
    summary: str = ""
    failures: tuple[TemplateFailure, ...] = ()
    builtin: bool = False


def render_reply(
    library: TemplateLibrary, template: str, request: RenderRequest, entries: Sequence[Mapping[str, Any]]
) -> RenderedMessage:
    """Render a reply with all these entries, in their order.

    An entry is a plain mapping: `kind` (a template file without `.j2`; `other.j2` renders unknown kinds), and of `at`
    (Unix seconds), `actor`, `old`, `new`, `text` and `items` what its kind has. If the template of an entry fails as a
    whole, the built-in text replaces it, and a line of small print says so.
    """
    paragraphs = [_paragraph(library, template, request, entry) for entry in entries]
    if not any(paragraph.parts for paragraph in paragraphs):
        paragraphs = [_built_in(request, entry, ()) for entry in entries]
    return joined_paragraphs(paragraphs, request, subject=reply_subject(request.variables), title=title_of(request))


def joined_paragraphs(
    paragraphs: Sequence[Paragraph], request: RenderRequest, *, subject: str, title: str, longest: int = BUDGET
) -> RenderedMessage:
    """The message with all these paragraphs; its notification begins with the `subject`.

    `title` stands for the message where nothing else fits. After the subject come at most `longest` characters.
    """
    failures = tuple(failure for each in paragraphs for failure in each.failures)
    built_in = any(paragraph.builtin for paragraph in paragraphs)
    if built_in and failures:
        request = replace(request, notices=(*request.notices, built_in_notice("wording", failures[-1])))
    said = "; ".join(dict.fromkeys(paragraph.summary for paragraph in paragraphs if paragraph.summary))
    summary = ": ".join(
        filter(None, (subject, said if len(said) <= longest else said[: safe_cut(said, longest)] + "…"))
    )
    draft = Draft(top=_joined(_shortened(paragraphs)), summary=[Atom(summary)])
    return RenderedMessage(message=fitted(completed(draft, request), title), failures=failures, builtin=built_in)


def paragraph_of(
    library: TemplateLibrary, name: str, request: RenderRequest, own: Mapping[str, Any], built_in: str
) -> Paragraph:
    """Render one paragraph by the template `name`, with variables of its `own`; `built_in` replaces one that fails."""
    try:
        output = library.run(name, {**request.variables, **own})
        if not output.text.strip():
            return Paragraph()
        return _of_draft(draft_of(output, request, name), output.failures)
    except TemplateFailed as failed:
        return replace(_of_draft(compose(parse(built_in), request), failed.failures), builtin=True)


def _paragraph(library: TemplateLibrary, template: str, request: RenderRequest, entry: Mapping[str, Any]) -> Paragraph:
    kind = entry.get("kind")
    name = f"{template}/{kind if kind in ENTRY_TEMPLATES else _OTHER}.j2"
    values = _variables(entry)
    return paragraph_of(library, name, request, {"entry": values}, fallback.entry(values))


def _built_in(request: RenderRequest, entry: Mapping[str, Any], failures: tuple[TemplateFailure, ...]) -> Paragraph:
    draft = compose(parse(fallback.entry(_variables(entry))), request)
    return replace(_of_draft(draft, failures), builtin=True)


def _of_draft(draft: Draft, failures: tuple[TemplateFailure, ...]) -> Paragraph:
    """A thread has no bar: its parts join the others."""
    parts = (*draft.top, *draft.bar)
    texts = [part.flow for part in parts if isinstance(part, Section)]
    summary = one_line(draft.summary or (texts[0] if texts else ()))
    if len(summary) > _LONGEST_SUMMARY:
        summary = summary[: safe_cut(summary, _LONGEST_SUMMARY - 1)].rstrip() + "…"
    return Paragraph(parts=parts, summary=summary, failures=failures)


def _variables(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as templates see it: without marks and absent values, and with items that can be counted."""
    values = {name: value for name, value in template_values(entry).items() if value is not None}
    noun = _NOUNS.get(str(entry.get("kind")), "item")
    items = values["items"] if isinstance(values.get("items"), list) else []
    return {**values, "items": [Item(noun, item) if isinstance(item, Mapping) else item for item in items]}


def _shortened(paragraphs: Sequence[Paragraph]) -> list[Part]:
    """All parts. If they are too long together, every text is shortened alike, so that each entry stays."""
    parts = [part for paragraph in paragraphs for part in paragraph.parts]
    lengths = [length(part.flow) for part in parts if isinstance(part, Section)]
    fitting = (limit for limit in _TEXT_LIMITS if sum(min(limit, text) for text in lengths) <= BUDGET)
    limit = next(fitting, _TEXT_LIMITS[-1])
    return [replace(part, flow=shortened(part.flow, limit)) if isinstance(part, Section) else part for part in parts]


def _joined(parts: Sequence[Part]) -> list[Part]:
    """The parts, with neighbouring texts in one block while they fit."""
    joined: list[Part] = []
    for part in parts:
        match [*joined[-1:], part]:
            case [Section(accessory=None, group=None) as last, Section(accessory=None, group=None) as text]:
                flow = tidy([*last.flow, Atom("\n"), *text.flow])
                if length(flow) <= limits.SECTION_TEXT:
                    joined[-1] = replace(last, flow=flow)
                    continue
        joined.append(part)
    return joined
