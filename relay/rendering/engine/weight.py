"""How much a value holds: what it costs to read, to compare or to print all of it."""

from collections.abc import Iterable, Sized
from typing import Any, Final

_DEEP: Final = (list, tuple, set, frozenset)


def weight(value: Any, most: int) -> int:
    """Characters and entries of a value with all that is in it; of more than `most`, no more than that is counted.

    A list that holds one other list a thousand times weighs as much as it would take to read: that it is small in
    memory does not make it small where it is printed. What lists its entries only when asked weighs its length.
    """
    if isinstance(value, str):  # as almost everything is
        return 1 + len(value)
    total = 0
    todo: list[Iterable[Any]] = [(value,)]
    while todo and total <= most:
        for each in todo.pop():
            if isinstance(each, dict):
                todo += (each.keys(), each.values())
            elif isinstance(each, _DEEP):
                todo.append(each)
            total += 1 + (len(each) if isinstance(each, Sized) else 0)
            if total > most:
                break
    return total
