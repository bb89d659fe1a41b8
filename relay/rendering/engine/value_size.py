"""How much a value holds, which is what it costs to read, compare or print it."""

from collections.abc import Iterable, Sized
from typing import Any, Final

_NESTED: Final = (list, tuple, set, frozenset)


def value_size(value: Any, limit: int) -> int:
    """Count the characters and entries in a value and everything inside it; stop soon after `limit`.

    A list that holds one other list a thousand times is as large as it is to read, although it takes little memory.
    A sequence that makes its entries on demand counts by its length.
    """
    if isinstance(value, str):  # almost every value
        return 1 + len(value)
    total = 0
    pending: list[Iterable[Any]] = [(value,)]
    while pending and total <= limit:
        for each in pending.pop():
            if isinstance(each, dict):
                pending += (each.keys(), each.values())
            elif isinstance(each, _NESTED):
                pending.append(each)
            total += 1 + (len(each) if isinstance(each, Sized) else 0)
            if total > limit:
                break
    return total
