"""Finds secrets in text, in every spelling."""

import re
from collections.abc import Iterable
from urllib.parse import quote


def secret_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Make a pattern that finds each secret: as it is, as in a URL, and as in a repr; None if there are no secrets."""
    spellings = {
        spelling
        for secret in filter(None, secrets)
        for spelling in (secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1])
    }
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if spellings else None
