"""What people call incident tags and their values: as routes.yaml says, else as BigPanda defines them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

TagValueLabels = Mapping[str, Mapping[str, str]]
"""`tag_values` of routes.yaml: tag (id or readable name, casefolded) -> raw value as text -> label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDefinition:
    """BigPanda's definition of an incident tag: its name, and the labels of its ranks.

    `ranks` is raw value as text -> label. https://docs.bigpanda.io/reference/incident-tags-definitions-object
    """

    id: str
    name: str = ""
    ranks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagLabels:
    """The names of tags and the labels of their values. `definitions` has the casefolded tag ids as keys."""

    values: TagValueLabels = field(default_factory=dict)
    definitions: Mapping[str, TagDefinition] = field(default_factory=dict)

    def name(self, tag_id: str) -> str:
        """A tag's name for people."""
        defined = self.definitions.get(tag_id.casefold())
        return defined.name if defined and defined.name else readable_tag_name(tag_id)

    def value_labels(self, tag_id: str) -> Mapping[str, str]:
        """The labels of a tag's raw values. Those of routes.yaml replace all of BigPanda's."""
        configured = self.values.get(tag_id.casefold()) or self.values.get(self.name(tag_id).casefold())
        defined = self.definitions.get(tag_id.casefold())
        return configured or (defined.ranks if defined else {})


NO_TAG_LABELS = TagLabels()


_INTERNAL_ID = re.compile(r"itd_(?P<name>.+?)(?:_\d+)?")


@lru_cache(maxsize=1024)
def readable_tag_name(tag_id: str) -> str:
    """A tag's name for people where no definition gives one: `itd_priority_1` is `priority`."""
    match = _INTERNAL_ID.fullmatch(tag_id)
    return match["name"] if match else tag_id
