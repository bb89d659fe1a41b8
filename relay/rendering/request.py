"""What a rendering takes and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.model.buttons import ButtonPlace
from relay.slack.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One of relay's own buttons. `style` is `primary`, `danger` or empty; `value` holds ids, never content.

    `place` is its place in its row.
    """

    action_id: str
    text: str
    value: str = ""
    style: str = ""
    place: ButtonPlace = ButtonPlace.FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """Everything beside the template: the same request and template make the same message.

    `variables` come from `rendering.context.template_variables`.
    `mentions` are ids of user groups (`S...`) and users (`U...`, `W...`), `here` or `channel`; only these are pinged.
    `diversions` are relay's own first lines: why the card is not in the channel for which it is meant.
    `notices` are relay's own lines of small print. They come last in every message and may hold the mark of a date.
    `buttons` appear where the template writes `{% relay_actions %}`; the menu and the last ones end that row.
    Without `clickable`, a button that opens an address is a link in the text, since nobody acknowledges a click.
    `color` (`#rrggbb`) replaces the bar's colour, and `emoji` the sign of the state in the headline.
    """

    variables: Mapping[str, Any]
    mentions: tuple[str, ...] = ()
    diversions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    clickable: bool = True
    color: str = ""
    emoji: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFailure:
    """A template, or one tag of it, that failed while it ran. Line 0 means that the line is unknown.

    `absent_value` is True if the template uses a value that this incident does not have.
    """

    file: str
    line: int
    message: str
    absent_value: bool = False

    def __str__(self) -> str:
        return ":".join(map(str, filter(None, (self.file, self.line)))) + f": {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedMessage:
    """A message within all limits, what failed on the way, and whether the built-in text replaced a template."""

    message: Message
    failures: tuple[TemplateFailure, ...] = ()
    builtin: bool = False
