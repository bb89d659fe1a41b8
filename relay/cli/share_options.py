"""The shares that `relay explain` and `relay render` work on, by the options of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run_on_live_store
from relay.cli.options import parse_headers, split_pair
from relay.cli.output import fail
from relay.model.incident import State

if TYPE_CHECKING:
    from relay.bigpanda.webhook.share import Share
    from relay.store.types import ShareBody
    from relay.tools.share_source import ShareChanges

Sample = Annotated[bool, typer.Option("--sample", help="Use BigPanda's documented sample; the default without a file.")]
IncidentId = Annotated[
    str, typer.Option("--incident", metavar="ID", help="Use an incident in the database of a running relay.")
]
StateOption = Annotated[State | None, typer.Option("--state", help="Change the state.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="NAME=VALUE", help="Set a tag; NAME= removes it. Repeatable."),
]
EnvironmentOption = Annotated[str, typer.Option("--environment", metavar="NAME", help="Change the environment.")]
At = Annotated[
    str,
    typer.Option("--at", metavar="TIME", help="When it arrives: 2026-11-30T09:00+01:00; without an offset it is UTC."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOptions:
    """The options as they were given."""

    files: Sequence[Path]
    sample: bool
    incident: str
    state: State | None
    tags: Sequence[str] | None
    environment: str
    at: str
    headers: list[str] | None

    def shares(self) -> "list[Share]":
        """All shares that the options name. Raises typer.BadParameter, or exits with 1 for an unknown incident."""
        from relay.tools.share_source import all_shares, shares_of_files

        changes = self._changes()
        return all_shares(self._stored(), changes) if self.incident else shares_of_files(self.files, changes)

    def newest(self) -> "Share":
        """The last share that the options name; the same."""
        from relay.tools.share_source import newest_share, shares_of_files

        changes = self._changes()
        return newest_share(self._stored(), changes) if self.incident else shares_of_files(self.files, changes)[-1]

    def _stored(self) -> "tuple[ShareBody, ...]":
        bodies = run_on_live_store(lambda store: store.recorded_incident(self.incident))
        if not bodies:
            fail(f"There is no incident {self.incident} with shares in the database; `relay incidents` lists them.")
        return bodies

    def _changes(self) -> "ShareChanges":
        from relay.tools.share_source import ShareChanges

        if sum(map(bool, (self.files, self.sample, self.incident))) > 1:
            raise typer.BadParameter("Give either files, or --sample, or --incident.", param_hint="SHARE.json")
        given = (self.files, self.sample, self.incident, self.state, self.tags, self.environment, self.at)
        if not any(given):
            raise typer.BadParameter(
                "Give a file, or --incident ID, or --sample, perhaps with --state, --tag and --environment.",
                param_hint="SHARE.json",
            )
        return ShareChanges(
            state=self.state,
            environment=self.environment or None,
            tags=_parse_tags(self.tags or ()),
            headers=parse_headers(self.headers),
            at=parse_at(self.at) if self.at else None,
        )


def parse_at(text: str) -> float:
    """Parse the value of `--at`, in Unix seconds. Raises typer.BadParameter."""
    from relay.tools.share_source import parse_moment

    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--at") from error


def _parse_tags(texts: Sequence[str]) -> dict[str, str | list[str] | None]:
    """Parse `--tag name=value`; a name that is given twice has both values, one without a value is removed."""
    values: dict[str, list[str]] = {}
    for text in texts:
        name, value = split_pair(text, "tag", "team=payments")
        values.setdefault(name, []).extend([value] if value else [])
    return {name: each[0] if len(each) == 1 else each or None for name, each in values.items()}
