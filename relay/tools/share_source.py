"""The shares that `relay explain` and `relay render` work on: files, the packaged sample, or those of an incident.

Options change the last of them, as in a test file: state, environment, tags, time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.routes.yaml_reader.context import Position
from relay.samples import read_sample
from relay.store.types import ShareBody
from relay.tools.share_files import ShareFileError, read_document, read_shares
from relay.tools.testing.model import ShareSpec
from relay.tools.testing.moments import WrittenMoment
from relay.tools.testing.steps import StepError, build_shares

SAMPLE = "documented"

_NOWHERE = Position(line=0, column=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareChanges:
    """What the options change in a share.

    `tags` is name to value, values, or None to remove it; `at` is Unix seconds.
    """

    state: str | None = None
    environment: str | None = None
    tags: Mapping[str, JSON] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    at: float | None = None


def shares_of_files(paths: Sequence[Path], changes: ShareChanges) -> list[Share]:
    """The shares of these files (of the sample, without any), in order; the last one with the changes.

    Raises ShareFileError: a file cannot be read, or is not a share; or `at` is before the share before.
    """
    if paths and replace(changes, headers={}) == ShareChanges():
        return read_shares(paths, changes.headers)
    documents = [read_document(path) for path in paths] or [read_sample(SAMPLE)]
    return _build([ShareSpec(position=_NOWHERE, document=each, headers=changes.headers) for each in documents], changes)


def newest_share(bodies: Sequence[ShareBody], changes: ShareChanges) -> Share:
    """The newest of an incident's stored shares, with the changes. Raises ShareFileError as `shares_of_files`."""
    newest = bodies[-1]
    if changes == ShareChanges():
        return _parsed(newest)
    return _build([_stored(newest)], changes)[-1]


def all_shares(bodies: Sequence[ShareBody], changes: ShareChanges) -> list[Share]:
    """An incident's stored shares. If there are changes, one more share follows a minute later: the newest with them.

    Raises ShareFileError as `shares_of_files`.
    """
    if changes == ShareChanges():
        return [_parsed(each) for each in bodies]
    return _build([*map(_stored, bodies), ShareSpec(position=_NOWHERE)], changes)


def _parsed(share: ShareBody) -> Share:
    return parse_share(share.body, share.headers, share.received)


def _stored(share: ShareBody) -> ShareSpec:
    text = share.body.decode(errors="replace")
    recorded = {"received": share.received, "headers": dict(share.headers), "body": text}
    return ShareSpec(position=_NOWHERE, document=orjson.dumps(recorded))


def _build(specs: Sequence[ShareSpec], changes: ShareChanges) -> list[Share]:
    *before, last = specs
    last = replace(
        last,
        state=changes.state,
        environment=changes.environment,
        tags=changes.tags,
        headers={**last.headers, **changes.headers},
    )
    try:
        shares = list(build_shares([*before, last]))
        if changes.at is not None:  # a spec has its time relative to the first share
            shares = list(
                build_shares([*before, replace(last, at=WrittenMoment.after_first(changes.at - shares[0].received))])
            )
    except StepError as error:
        raise ShareFileError(f"The share cannot be built. {error}") from error
    return shares


def parse_moment(text: str) -> float:
    """Parse a time such as `2026-11-30T09:00+01:00`, in UTC if it has no offset. Returns Unix seconds.

    Raises ValueError, with what is expected.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not a time; expected one such as 2026-11-30T09:00+01:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
