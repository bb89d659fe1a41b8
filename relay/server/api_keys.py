"""API keys: compared in constant time for every key and length."""

import hashlib
import hmac
from collections.abc import Iterable

from multidict import CIMultiDictProxy

_BEARER = "bearer "


class ApiKeys:
    """The valid keys. Only their digests are held: all have the same length, and no key can be printed."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    def find(self, values: Iterable[str]) -> int | None:
        """Return the number (from 0) of a valid key that is among the values; None if there is none.

        Every key is compared with every value, also after a match.
        """
        digests = [_digest(value) for value in values]
        pairs = [(number, key, value) for value in digests for number, key in enumerate(self._digests)]
        found = [number for number, key, value in pairs if hmac.compare_digest(key, value)]
        return found[0] if found else None


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
