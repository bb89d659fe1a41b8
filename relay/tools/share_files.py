"""Reads shares from files: a webhook's body, or a share that was recorded with its time and headers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import inf, isfinite
from pathlib import Path

from relay.bigpanda.webhook.parsing import parse_recorded_share, parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.errors import RelayError, ShareError

STEP = 60.0
"""Seconds between two shares without a time."""

START = 1_700_000_000.0
"""The time of the first share (Unix seconds), if it has none."""


class ShareFileError(RelayError):
    """A file that cannot be read, or does not contain a share."""


def read_shares(paths: Iterable[Path], headers: Mapping[str, str] | None = None) -> list[Share]:
    """Read the shares of these files, in order. A share without a time follows the one before it.

    Raises ShareFileError if a file cannot be read, or does not contain a share.
    """
    shares: list[Share] = []
    for path in paths:
        try:
            shares.append(parse_share_file(read_document(path), headers or {}, after=shares))
        except ShareError as error:
            raise ShareFileError(f"{path} does not contain a share. {error}") from error
    return shares


def read_document(path: Path) -> bytes:
    """Read a file. Raises ShareFileError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ShareFileError(f"{path} cannot be read: {error.strerror or error}.") from error


def parse_share_file(document: bytes, headers: Mapping[str, str], *, after: Sequence[Share] = ()) -> Share:
    """Parse the share of a document, with these headers in addition to its own.

    Its time is the recorded one, else that of its incident's last change; if this is not after the shares before it,
    one minute after the last of them. Raises ShareError if it is not a share.
    """
    recorded = parse_recorded_share(document)
    parse = partial(parse_share, recorded.body, {**recorded.headers, **headers})
    if recorded.received is not None:
        return parse(recorded.received)
    as_of = parse(inf).as_of
    if after and not (isfinite(as_of) and as_of > after[-1].received):
        return parse(after[-1].received + STEP)
    return parse(as_of if isfinite(as_of) else START)
