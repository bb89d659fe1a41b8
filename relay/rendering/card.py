"""Renders a card, and the pointer that remains of a card whose incident is shown in another channel."""

import re
from typing import Any, Final

from relay.model.struct import replace
from relay.rendering import fallback
from relay.rendering.blocks.compose import Draft, completed, compose
from relay.rendering.blocks.fit import fitted
from relay.rendering.blocks.inline import flow_of
from relay.rendering.blocks.parts import Context, Header, Omission
from relay.rendering.blocks.rich_text import Atom, escaped, tidy
from relay.rendering.blocks.tree import parse
from relay.rendering.blocks.urls import valid_url
from relay.rendering.context import without_marks
from relay.rendering.engine.failures import failure_of
from relay.rendering.engine.filters import emoji
from relay.rendering.library import CARD, TemplateFailed, TemplateLibrary, TemplateOutput
from relay.rendering.request import RenderedMessage, RenderRequest, TemplateFailure
from relay.slack.message import Message

_CHANNEL: Final = re.compile(r"[CG][A-Z0-9]+")


def render_card(library: TemplateLibrary, template: str, request: RenderRequest) -> RenderedMessage:
    """Render the card. If the template fails as a whole, the built-in card replaces it and says so."""
    name = f"{template}/{CARD}.j2"
    try:
        output = library.run(name, request.variables)
        draft = draft_of(output, request, name)
        draft.summary = draft.summary or [Atom(str(request.variables.get("lock_screen", "")))]
        message = _message(draft, request)
        return RenderedMessage(message=message, failures=output.failures)
    except TemplateFailed as failed:
        request = replace(request, notices=(*request.notices, built_in_notice("card", failed.failures[-1])))
        draft = compose(parse(fallback.card(request.variables)), request)
        return RenderedMessage(message=_message(draft, request), failures=failed.failures, builtin=True)


def render_pointer(request: RenderRequest, channel: str, permalink: str = "") -> RenderedMessage:
    """Render what remains of a card that is shown in another channel (an id or a name), with a link to it."""
    is_id = _CHANNEL.fullmatch(channel)
    place = [Atom("updates are in "), Atom("", f"<#{channel}>") if is_id else Atom(channel)]
    if url := valid_url(without_marks(permalink)):
        place += [Atom(" · "), Atom("open the card", f"<{escaped(url)}|", ">")]
    state = str(_incident(request).get("state", ""))
    headline = flow_of([f"{emoji(state)} {title_of(request)}"])
    draft = Draft(top=[Header(flow=headline), Context(elements=[tidy(place)])])
    return RenderedMessage(message=_message(draft, replace(request, mentions=(), buttons=())))


def draft_of(output: TemplateOutput, request: RenderRequest, name: str) -> Draft:
    """Compose a template's output; raises `TemplateFailed` if it shows nothing."""
    try:
        draft = compose(parse(output.text), request)
        is_empty = all(isinstance(part, Omission) for part in (*draft.top, *draft.bar))
    except Exception as error:  # no output may cost the message
        raise TemplateFailed(*output.failures, failure_of(error)) from error
    if is_empty:
        raise TemplateFailed(*output.failures, TemplateFailure(file=name, line=0, message="it prints nothing"))
    return draft


def built_in_notice(what: str, reason: TemplateFailure) -> str:
    """Say in small print that the built-in card or text replaces a template."""
    place = f"{reason.file}:{reason.line}" if reason.line else reason.file
    return f"built-in {what}: the template failed ({place or 'unknown place'})"


def title_of(request: RenderRequest) -> str:
    """Return the incident's title, or else its id."""
    incident = _incident(request)
    return str(incident.get("title") or incident.get("id") or "Incident")


def _incident(request: RenderRequest) -> Any:
    return request.variables.get("incident") or {}


def _message(draft: Draft, request: RenderRequest) -> Message:
    return fitted(completed(draft, request), title_of(request))
