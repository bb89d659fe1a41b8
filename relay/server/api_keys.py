"""API keys: compared in constant time, whichever key it is and however long."""

import hashlib
import hmac
from collections.abc import Iterable

from multidict import CIMultiDictProxy

_BEARER = "bearer "


class ApiKeys:
    """The valid keys. Only their digests are held: all have the same length, and no key can be printed."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def accepts(self, values: Iterable[str]) -> bool:
        """Return whether one of the values is a valid key. Every pair is compared, also after a match."""
        digests = [_digest(value) for value in values]
        return any([hmac.compare_digest(key, value) for value in digests for key in self._digests])  # noqa: C419  a generator would stop at the first match


def presented_keys(headers: CIMultiDictProxy[str], header: str | None = None) -> list[str]:
    """List the keys that a request presents: the values of `header`, and of `Authorization: Bearer`."""
    tokens = [
        value[len(_BEARER) :].strip()
        for value in headers.getall("Authorization", [])
        if value[: len(_BEARER)].lower() == _BEARER
    ]
    return tokens if header is None else [*headers.getall(header, []), *tokens]


def _digest(key: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as lone surrogates; they must not make the encoding fail.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
