"""Parses a webhook's body: the incident's own fields, and what is said about the share itself."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from relay.sandbox.bigpanda.incident import Body
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeBigPandaUser


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedShare:
    """One body. `fields` are those of `incident`, `siblings` the other blocks (`links`, ...).

    `people` are assignee and assigner where they are named, `tags` values by tag id, `environment` id and name.
    """

    fields: Body
    siblings: Body
    tags: Body
    people: Mapping[str, FakeBigPandaUser | None]
    environment: tuple[str, str] | None
    event: str | None
    comment: str | None
    sender: FakeBigPandaUser

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> "ParsedShare":
        """Parse a body as the documentation prints it."""
        siblings = dict(deepcopy(body))
        fields, metadata = siblings.pop("incident"), siblings.pop("metadata", None) or {}
        tags = {tag["id"]: tag["value"] for tag in siblings.pop("incidentTags", None) or []}
        events = siblings.pop("event_types", None) or []
        environment = metadata.get("environment_id")
        comment = metadata.get("comment")
        text = comment.get("comment") if isinstance(comment, Mapping) else comment
        return cls(
            fields=fields,
            siblings=siblings,
            tags=tags,
            people={role: _user(metadata[role]) for role in ("assignee", "assigner") if role in metadata},
            environment=(environment, metadata.get("environment", environment)) if environment else None,
            event=events[0]["event"] if events else None,
            comment=text if isinstance(text, str) else None,
            sender=_user(metadata.get("sender")) or AUTOSHARE,
        )


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Body:
    """The new and the changed fields; removed ones are left out."""
    return deepcopy({name: value for name, value in after.items() if name not in before or before[name] != value})


def _user(value: Mapping[str, str] | None) -> FakeBigPandaUser | None:
    if not value:
        return None
    name, email = value.get("name", ""), value.get("email", "")
    return FakeBigPandaUser(id=value.get("userId") or email or name, name=name, email=email)
