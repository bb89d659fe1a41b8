"""A SHARE.json becomes a share: a webhook body, or one that was recorded with its moment and its headers."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite
from pathlib import Path

from relay.bigpanda.webhook.parsing import parse_recorded_share, parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.errors import RelayError, ShareError

STEP = 60.0
"""Seconds between two shares where nothing says when they came."""

START = 1_700_000_000.0
"""When the first one came, where nothing says so."""


class ShareFileError(RelayError):
    """A SHARE.json that cannot be read, or is no share."""


def read_shares(paths: Iterable[Path], headers: Mapping[str, str] | None = None) -> list[Share]:
    """The shares of these files, in their order; one that does not say when it came follows the one before it.

    Raises:
        ShareFileError: for the first file that cannot be read, or holds no share.
    """
    shares: list[Share] = []
    for path in paths:
        try:
            shares.append(parse_share_file(path.read_bytes(), headers or {}, after=shares))
        except OSError as error:
            raise ShareFileError(f"{path} cannot be read: {error.strerror or error}.") from error
        except ShareError as error:
            raise ShareFileError(f"{path} holds no share. {error}") from error
    return shares


def parse_share_file(document: bytes, headers: Mapping[str, str], *, after: Sequence[Share] = ()) -> Share:
    """The share of a document, with these headers beside its own.

    It came when it says so, else at the moment of its own news; where that is not after the shares before it, a minute
    after the last of them.

    Raises:
        ShareError: it is no share.
    """
    found = parse_recorded_share(document)
    known = {**found.headers, **headers}
    if found.received is not None:
        return parse_share(found.body, known, found.received)
    news = parse_share(found.body, known, inf).as_of
    if after and not (isfinite(news) and news > after[-1].received):
        return parse_share(found.body, known, after[-1].received + STEP)
    return parse_share(found.body, known, news if isfinite(news) else START)
