"""Returns freed memory to the system."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Give back what the C library keeps for later, as after something large was compiled; it may run in a thread.

    It does nothing if the C library is not glibc (https://man7.org/linux/man-pages/man3/malloc_trim.3.html).
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
