"""From a template and a scene to a message: the card, and the pointer that is left of a card followed elsewhere."""

import re
from dataclasses import replace
from typing import Any, Final

from relay.rendering import fallback
from relay.rendering.blocks.compose import Draft, completed, compose
from relay.rendering.blocks.fit import fitted
from relay.rendering.blocks.inline import flow_of
from relay.rendering.blocks.parts import Context, Header
from relay.rendering.blocks.rich_text import Atom, escaped, tidy
from relay.rendering.blocks.tree import parse
from relay.rendering.blocks.urls import address
from relay.rendering.engine.budget import failure
from relay.rendering.engine.filters import emoji
from relay.rendering.library import CARD, TemplateFailed, TemplateLibrary, TemplateOutput
from relay.rendering.request import RenderedMessage, RenderRequest, TemplateFailure
from relay.slack.message import Message

_CHANNEL: Final = re.compile(r"[CG][A-Z0-9]+")


def render_card(library: TemplateLibrary, template: str, request: RenderRequest) -> RenderedMessage:
    """The card of this scene. Where the template fails as a whole the built-in card stands in, and says so."""
    name = f"{template}/{CARD}.j2"
    try:
        printed = library.run(name, request.variables)
        message = _card(drafted(printed, request, name), request)
    except TemplateFailed as failed:
        notices = (*request.notices, built_in_notice("card", failed.failures[-1]))
        request = replace(request, notices=notices)
        draft = compose(parse(fallback.card(request.variables)), request)
        return RenderedMessage(message=_card(draft, request), failures=failed.failures, builtin=True)
    return RenderedMessage(message=message, failures=printed.failures)


def render_pointer(request: RenderRequest, channel: str, permalink: str = "") -> RenderedMessage:
    """What is left of a card that is followed in another channel (its id, or a name), with a link to the card there."""
    link = _CHANNEL.fullmatch(channel)
    place = [Atom("followed in "), Atom("", f"<#{channel}>") if link else Atom(channel)]
    if url := address(permalink):
        place += [Atom(" · "), Atom("open the card", f"<{escaped(url)}|", ">")]
    head = flow_of([f"{emoji(state_of(request))} {title_of(request)}"])
    draft = Draft(top=[Header(flow=head), Context(elements=[tidy(place)])])
    quiet = replace(request, mentions=(), buttons=())
    return RenderedMessage(message=fitted(completed(draft, quiet), title_of(request)))


def drafted(printed: TemplateOutput, scene: RenderRequest, name: str) -> Draft:
    """The draft of what a template printed; raises `TemplateFailed` where that is nothing."""
    try:
        draft = compose(parse(printed.text), scene)
        says_something = draft.says_something
    except Exception as error:  # whatever a template prints, its message must not be lost
        raise TemplateFailed(*printed.failures, failure(error)) from error
    if not says_something:
        nothing = TemplateFailure(file=name, line=0, message="it prints nothing")
        raise TemplateFailed(*printed.failures, nothing)
    return draft


def built_in_notice(what: str, reason: TemplateFailure) -> str:
    """The small line under a message in relay's own wording."""
    place = f"{reason.file}:{reason.line}" if reason.line else reason.file
    return f"built-in {what}: the template failed ({place or 'unknown place'})"


def title_of(scene: RenderRequest) -> str:
    """The incident's title, or what comes nearest to one."""
    incident: Any = scene.variables.get("incident") or {}
    return str(incident.get("title") or incident.get("id") or "Incident")


def state_of(scene: RenderRequest) -> str:
    """The incident's state."""
    incident: Any = scene.variables.get("incident") or {}
    return str(incident.get("state", ""))


def _card(draft: Draft, scene: RenderRequest) -> Message:
    return fitted(completed(draft, scene), title_of(scene))
