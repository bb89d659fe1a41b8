"""Who is signed in: a cookie that is signed with a key made from the key that signed in.

Nothing is stored. So all relays with the same keys accept the cookie, and to change a key signs its holders out. A
session ends twelve hours after its beginning, however often its pages refresh themselves.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

LIFETIME: Final = 12 * 3600.0
"""Seconds for which a session is valid."""

CLOCK_SKEW: Final = 300.0
"""Seconds by which the clock of another relay may be ahead."""

MAX_NAME: Final = 60
"""Characters of the name that a person gives."""

_MAX_COOKIE: Final = 1000
_PURPOSE: Final = b"relay board session 1"


class Role(StrEnum):
    """What a session may do: a reader sees everything, an operator also acts."""

    READER = "reader"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person who is signed in. `name` is what the person says; the key proves only the role.

    `csrf` is the token that every change must carry.
    """

    role: Role
    name: str
    csrf: str

    @property
    def acts(self) -> bool:
        """Whether the person may change something."""
        return self.role is Role.OPERATOR


class Sessions:
    """Makes and checks cookies. Holds digests of the keys, from which no key can be read."""

    def __init__(self, keys: Mapping[Role, str]) -> None:
        """`keys` are those that are set."""
        self._digests = {role: hashlib.sha256(_encoded(key)).digest() for role, key in keys.items()}

    def sign_in(self, key: str, name: str, now: float) -> str | None:
        """Return the cookie for a key; None if it is not valid. One that both roles have makes an operator.

        It compares with every key, in constant time.
        """
        digest = hashlib.sha256(_encoded(key)).digest()
        found = [role for role, each in self._digests.items() if hmac.compare_digest(each, digest)]
        if not found:
            return None
        role = Role.OPERATOR if Role.OPERATOR in found else found[0]
        content = {"name": " ".join(name.split())[:MAX_NAME], "since": now, "salt": secrets.token_hex(8)}
        payload = urlsafe_b64encode(orjson.dumps(content)).decode()
        return f"{payload}.{self._signature(role, 'cookie', payload)}"

    def read(self, cookie: str, now: float) -> Session | None:
        """Return the session of a cookie; None if it is invalid or has ended."""
        payload, _, signature = cookie.partition(".")
        if len(cookie) > _MAX_COOKIE:
            return None
        for role in self._digests:
            if hmac.compare_digest(_encoded(self._signature(role, "cookie", payload)), _encoded(signature)):
                break
        else:
            return None
        try:
            content = orjson.loads(urlsafe_b64decode(_encoded(payload)))
        except (NotBase64, ValueError):
            return None
        if not now - LIFETIME < content["since"] <= now + CLOCK_SKEW:
            return None
        return Session(role=role, name=content["name"], csrf=self._signature(role, "csrf", payload))

    def _signature(self, role: Role, use: str, text: str) -> str:
        key = hmac.digest(self._digests[role], _PURPOSE + f" {role} {use}".encode(), "sha256")
        return hmac.new(key, _encoded(text), "sha256").hexdigest()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
