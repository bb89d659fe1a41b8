"""Keeps the code of compiled templates in memory, so that a library with the same files does not compile them again.

This is Jinja's own hook (https://jinja.palletsprojects.com/en/stable/api/#bytecode-cache), without files: every
reload that changes one template makes a new library of all.
"""

from collections import OrderedDict
from contextlib import suppress
from types import CodeType

from jinja2.bccache import Bucket, BytecodeCache


class CodeCache(BytecodeCache):
    """The `most` templates that were used last, by their name and a checksum of their source.

    Threads may share it: each step is atomic, and code that another thread has just dropped is compiled again.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], CodeType] = OrderedDict()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the bucket the code, if it is here."""
        key = (bucket.key, bucket.checksum)
        bucket.code = self._kept.get(key)
        with suppress(KeyError):
            self._kept.move_to_end(key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of the bucket."""
        if bucket.code is not None:
            self._kept[bucket.key, bucket.checksum] = bucket.code
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
