"""What a rendering is given, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.slack.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One of relay's own buttons. `style` is `primary`, `danger` or nothing; `value` holds ids, never content."""

    action_id: str
    text: str
    value: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """All that a message is made of beside its template: the same scene and template make the same message.

    `variables` are those of `rendering.context`. `mentions` are the ids of user groups (`S...`) and users (`U...`,
    `W...`), `here` and `channel`: they are pinged, and nobody else. `notices` are relay's own small lines, put last
    whatever the template does, and may hold the mark of a date; `buttons` stand where the template puts
    `{% relay_actions %}`. A `color` (`#rrggbb`) is the bar's in place of the template's, and
    an `emoji` stands in the headline in place of a state's.
    """

    variables: Mapping[str, Any]
    mentions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    color: str = ""
    emoji: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFailure:
    """A template, or a part of one, that failed at run time: where (0: nobody knows the line), and why."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """Read as `file:line: message`."""
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedMessage:
    """A message within all limits; what failed on the way to it; whether the built-in wording had to stand in."""

    message: Message
    failures: tuple[TemplateFailure, ...] = ()
    builtin: bool = False
