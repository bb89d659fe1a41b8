"""Storms: above which number of first posts further new cards of a channel are held."""

from dataclasses import dataclass
from typing import Final

from relay.routes.key_types import AT_LEAST_A_MINUTE, WORD, KeyType, whole_number
from relay.routes.parts import Parts, parts, switchable


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """More than `over` first posts in `within` seconds are a storm; its incidents are grouped by the tag `by`.

    Without `by` it is the first of `show_tags` that the incidents have. `over` of 0 is `off`: nothing is a storm.
    """

    over: int = 30
    within: float = 300.0
    by: str = ""

    def __bool__(self) -> bool:
        """Whether there can be one."""
        return self.over > 0


NO_STORM: Final = Storm(over=0)
STORM_PARTS: Final[Parts] = parts(
    ("over", whole_number(1, 1000), Storm().over, "more new cards than this are a storm"),
    ("within", AT_LEAST_A_MINUTE, Storm().within, "the time in which they are counted"),
    ("by", WORD, "", "the tag by which incidents are grouped; without it, the first of `show_tags` that they have"),
)
STORM: Final[KeyType[Storm]] = switchable("storm", STORM_PARTS, Storm, "{over: 30, within: 5m}", off=NO_STORM)
