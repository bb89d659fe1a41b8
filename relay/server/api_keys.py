"""Keys that open a door: compared in constant time, whichever of them it is and however long."""

import hashlib
import hmac
from collections.abc import Iterable

from multidict import CIMultiDictProxy

_BEARER = "bearer "


class ApiKeys:
    """The keys that are accepted. Only their digests are held: they have one length, and no key can be printed."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take the keys in clear."""
        self._digests = tuple(_digest(key) for key in keys)

    def accepts(self, offered: Iterable[str]) -> bool:
        """Say whether one of the values offered is a key. Every pair is compared, also after one has fitted."""
        digests = [_digest(value) for value in offered]
        return any([hmac.compare_digest(known, given) for given in digests for known in self._digests])  # noqa: C419  a generator would stop at the first that fits


def presented_keys(headers: CIMultiDictProxy[str], header: str | None = None) -> list[str]:
    """List what a request shows as its key: the values of `header`, and `Authorization: Bearer`."""
    tokens = [
        value[len(_BEARER) :].strip()
        for value in headers.getall("Authorization", [])
        if value[: len(_BEARER)].lower() == _BEARER
    ]
    return tokens if header is None else [*headers.getall(header, []), *tokens]


def _digest(key: str) -> bytes:
    # aiohttp keeps bytes that are not UTF-8 as lone surrogates; they must not make the encoding fail.
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
