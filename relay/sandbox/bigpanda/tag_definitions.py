"""Definitions of incident tags."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeTagDefinition:
    """An incident tag (https://docs.bigpanda.io/reference/incident-tags-definitions-object).

    `type` is Text, MultiValue, Priority, ClosedListValuesMulti or ClosedListValuesSingle. `values` are the levels of a
    Priority, the most urgent first, or the values of a closed list.
    """

    id: str
    name: str
    type: str = "Text"
    values: tuple[str, ...] = ()
    active: bool = True

    def as_json(self) -> dict[str, Any]:
        """The object; its times are milliseconds."""
        return {
            "id": self.id,
            "name": self.name,
            "description": "",
            "type": self.type,
            "active": self.active,
            "deleted": False,
            "canManualInput": True,
            "config": self._config(),
            "created_at": 1_493_922_189_000,
            "created_by": "5506e4fbe7e0e40000000001",
            "updated_at": 1_493_922_189_000,
            "updated_by": "5506e4fbe7e0e40000000001",
        }

    def _config(self) -> dict[str, Any]:
        if self.type == "Priority":
            levels = [
                {"display_name": level, "description": "", "order_id": rank, "active": True}
                for rank, level in enumerate(self.values, 1)
            ]
            return {"ordered_list": levels}
        return {"incident_tag_values": list(self.values)} if self.values else {}
