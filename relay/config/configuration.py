"""The configuration: the routes and templates that are active together, checked and compiled."""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.model.buttons import Clicks
from relay.model.errors import Fault
from relay.model.struct import replace
from relay.model.tag_labels import TagDefinition
from relay.rendering.library import TemplateLibrary
from relay.routes.rulebook import Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Routes and templates as one immutable value, replaced as a whole.

    `templates` are the sources of the operator's own templates, by name (`incident/card.j2`). `hash` identifies them
    and the routes. `clicks` says which buttons work with the settings of this relay, `board` is the public address of
    its board (empty without one).
    """

    rulebook: Rulebook
    library: TemplateLibrary
    templates: Mapping[str, str]
    hash: str
    clicks: Clicks = Clicks.CARRIED_OUT
    board: str = ""

    @property
    def without_templates(self) -> "Configuration":
        """The same with relay's built-in cards only, which Slack is known to accept."""
        return replace(self, library=_NO_TEMPLATES)

    def with_tag_definitions(
        self, definitions: Mapping[str, TagDefinition], *, clicks: Clicks, board: str = ""
    ) -> "Configuration":
        """Return the same with BigPanda's tag definitions (by id, casefolded), the buttons that work, and the board."""
        return replace(self, rulebook=self.rulebook.with_tag_definitions(definitions), clicks=clicks, board=board)


_NO_TEMPLATES = TemplateLibrary({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadState:
    """The result of the last reload, for `/readyz` and metrics. Times are Unix seconds.

    `hash` identifies the active configuration, which was valid at `last_success_at`. The files on disk have
    these `faults`: while there are any, the last valid configuration stays active.
    """

    hash: str
    last_success_at: float
    faults: tuple[Fault, ...] = ()

    @property
    def successful(self) -> bool:
        """Whether the files on disk are valid."""
        return not self.faults
