"""A webhook's body taken apart: what it tells of an incident, and what it says of itself."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from relay.sandbox.bigpanda.incident import Body
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeBigPandaUser


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedShare:
    """What one body says. `people` are assignee and assigner where it names them, `tags` are by their ids."""

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
        """Take a body apart, as the documentation prints it."""
        beside = dict(deepcopy(body))
        told, metadata = beside.pop("incident"), beside.pop("metadata", None) or {}
        tags = {tag["id"]: tag["value"] for tag in beside.pop("incidentTags", None) or []}
        events = beside.pop("event_types", None) or []
        known = metadata.get("environment_id")
        return cls(
            fields=told,
            siblings=beside,
            tags=tags,
            people={role: _user(metadata[role]) for role in ("assignee", "assigner") if role in metadata},
            environment=(known, metadata.get("environment", known)) if known else None,
            event=events[0]["event"] if events else None,
            comment=_comment(metadata.get("comment")),
            sender=_user(metadata.get("sender")) or AUTOSHARE,
        )


def changed_fields(before: Mapping[str, Any], now: Mapping[str, Any]) -> Body:
    """What `now` says otherwise than `before` did, or says first; what it says no more is left alone."""
    return deepcopy({name: value for name, value in now.items() if name not in before or before[name] != value})


def _comment(told: Any) -> str | None:
    text = told.get("comment") if isinstance(told, Mapping) else told
    return text if isinstance(text, str) else None


def _user(told: Mapping[str, str] | None) -> FakeBigPandaUser | None:
    if not told:
        return None
    name, email = told.get("name", ""), told.get("email", "")
    return FakeBigPandaUser(id=told.get("userId") or email or name, name=name, email=email)
