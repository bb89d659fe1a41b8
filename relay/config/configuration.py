"""What operators write, checked and compiled: the routes and the templates that are live together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from relay.model.errors import Fault
from relay.model.tag_labels import TagDefinition
from relay.rendering.library import TemplateLibrary
from relay.routes.rulebook import Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Routes and templates as one immutable value, replaced as a whole.

    `templates` are the operator's own, as written, by name (`incident/card.j2`); `hash` names them and the routes.
    `acts` says whether buttons do anything here: without the settings for it, no card has any.
    """

    rulebook: Rulebook
    library: TemplateLibrary
    templates: Mapping[str, str]
    hash: str
    buttons_enabled: bool = True

    @property
    def without_templates(self) -> "Configuration":
        """The same without any template: relay's own wording, which Slack is known to take."""
        return replace(self, library=_NO_TEMPLATES)

    def with_tag_definitions(
        self, definitions: Mapping[str, TagDefinition], *, buttons_enabled: bool
    ) -> "Configuration":
        """The same with BigPanda's definitions of tags (by id, casefolded), and with buttons only where they act."""
        return replace(self, rulebook=self.rulebook.with_tag_definitions(definitions), buttons_enabled=buttons_enabled)


_NO_TEMPLATES = TemplateLibrary({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadState:
    """How the last reading of routes and templates went, for `/readyz` and metrics. Times are Unix seconds.

    `hash` names the configuration that is live, and `good_at` is when it was read without a fault. `at` is when what is
    on disk was judged last, and `faults` are what was wrong with it then: while there are any, what is live is the last
    good configuration.
    """

    hash: str
    last_success_at: float
    checked_at: float
    faults: tuple[Fault, ...] = ()

    @property
    def successful(self) -> bool:
        """Whether what is on disk works."""
        return not self.faults
