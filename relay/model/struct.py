"""The base of the values that relay makes for every share: frozen, and many times cheaper to make than dataclasses."""

import dataclasses
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Struct(msgspec.Struct, frozen=True):
    """A frozen value. Write `class Name(Struct, kw_only=True)`, and `field(default_factory=...)` from `msgspec`."""


def replace(value: T, /, **changes: Any) -> T:
    """Return a copy of a struct, or of a dataclass, with other values in these fields."""
    if isinstance(value, Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # noqa: TID251  anything else fails here


def plain(value: object) -> dict[str, Any]:
    """Return the fields of a struct by name: `default` for `orjson.dumps`, which knows dataclasses only.

    Raises TypeError: it is no struct.
    """
    return msgspec.structs.asdict(value)  # type: ignore[arg-type]  # anything else fails here
