"""The doctor's round in Slack: the token, its scopes, the channels of the routes, the user groups that they mention."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from relay.cards.model import Channel as Known
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.client import SlackClient
from relay.slack.outcomes import Read, Rejected, Retryable, SlackOutcome
from relay.slack.responses import ChannelInfo, channel_of, channels_of, cursor_of, identity_of, user_groups_of
from relay.slack.scopes import ACTION_SCOPES, MISSING_SCOPE_EFFECTS, REQUIRED_SCOPES
from relay.tools.doctor import references
from relay.tools.doctor.references import ChannelUse
from relay.tools.doctor.report import Finding, error, listed, note, ok, warning

TRIES = 4
"""How often one thing is asked while Slack has no time for it."""

LONGEST_WAIT = 60.0
"""Seconds. The longest wait between two tries."""

FEW = 20
"""Up to so many ids are asked for one by one; more are read from the list of all channels."""

_UNREACHED = "Check the network between here and Slack, and SLACK_API_URL."


class SlackChecks:
    """One visit to a workspace. `known` is what the database holds about channels, by reference."""

    def __init__(self, slack: SlackClient, rulebook: Rulebook | None, known: Mapping[str, Known], clock: Clock) -> None:
        """Take the door, what the routes want, and what is known from before."""
        self._slack = slack
        self._rulebook = rulebook
        self._known = known
        self._clock = clock
        self._scopes: tuple[str, ...] = ()
        self._listed: dict[str, ChannelInfo] | None = None

    async def findings(self) -> list[Finding]:
        """All of them; where the token does not work, that is all there is to find."""
        answer = await self._ask(self._slack.auth_test)
        if not isinstance(answer, Read):
            return [error("Slack token", f"Slack does not let relay in: {answer.reason}.", _remedy(answer))]
        identity = identity_of(answer)
        self._scopes = identity.scopes
        found = [ok("Slack token", f"it is valid, for {identity.team or identity.team_id} ({identity.url}).")]
        used = list(references.channels(self._rulebook)) if self._rulebook else []
        found += self._scope_findings(by_name=any(use.ref.startswith("#") for use in used))
        if self._rulebook is not None:
            found += await self._channel_findings(used)
            found += list(_expressions(self._rulebook))
            found += await self._user_group_findings(self._rulebook)
        return found

    async def _ask(self, call: Callable[[], Awaitable[SlackOutcome]]) -> SlackOutcome:
        """Ask once, or again where Slack surely did not listen."""
        answer = await call()
        for number in range(1, TRIES):
            if not isinstance(answer, Retryable):
                break
            await self._clock.sleep(min(LONGEST_WAIT, answer.retry_after or float(number)))
            answer = await call()
        return answer

    # Scopes

    def _scope_findings(self, *, by_name: bool) -> list[Finding]:
        if not self._scopes:
            return [note("Slack scopes", "Slack does not say which ones the token has.")]
        acts = self._rulebook is not None and references.accepts_actions(self._rulebook)
        needed = sorted({*REQUIRED_SCOPES, *(ACTION_SCOPES if acts else ())})
        missing = [scope for scope in needed if scope not in self._scopes]
        if not missing:
            return [ok("Slack scopes", f"all {len(needed)} are there.")]
        losing = {
            "chat:write",
            *(("channels:read", "groups:read") if by_name else ()),
            *(ACTION_SCOPES if acts else ()),
        }
        return [
            (error if scope in losing else warning)(
                f"Slack scope {scope}",
                f"the token does not have it: {MISSING_SCOPE_EFFECTS[scope]}.",
                f"Add {scope} to relay's Slack app and install it again; `relay manifest` prints all that relay uses.",
            )
            for scope in missing
        ]

    # Channels

    async def _channel_findings(self, used: Sequence[ChannelUse]) -> list[Finding]:
        by_ref: dict[str, list[ChannelUse]] = {}
        for use in used:
            by_ref.setdefault(use.ref, []).append(use)
        if any(ref.startswith("#") for ref in by_ref) or len(by_ref) > FEW:
            answer = await self._list()
            if answer is not None and any(ref.startswith("#") for ref in by_ref):
                names = listed(ref for ref in by_ref if ref.startswith("#"))
                what = f"the list of channels cannot be read ({answer.reason}), so no name is found: {names}."
                return [
                    error("channels", what, _remedy(answer)),
                    *[each for ref in by_ref if not ref.startswith("#") for each in await self._id(ref, by_ref[ref])],
                ]
        found: list[Finding] = []
        for ref, where in by_ref.items():
            found += await (self._name(ref, where) if ref.startswith("#") else self._id(ref, where))
        return found

    async def _list(self) -> SlackOutcome | None:
        """Read the list of all channels; what came instead, where it cannot be read."""
        listed_so_far: dict[str, ChannelInfo] = {}
        cursor: str | None = None
        while True:
            asked = cursor
            answer = await self._ask(lambda: self._slack.channels(asked))  # noqa: B023  it is called at once
            if not isinstance(answer, Read):
                return answer
            listed_so_far |= {channel.id: channel for channel in channels_of(answer)}
            if (cursor := cursor_of(answer)) is None:
                self._listed = listed_so_far
                return None

    async def _id(self, ref: str, where: Sequence[ChannelUse]) -> list[Finding]:
        """A channel by its id; one that was renamed is still the same."""
        found = await self._by_id(ref)
        if not isinstance(found, ChannelInfo):
            return [_unfound(_about(where), where, found)]
        before = str(self._known[ref].facts.get("name") or "") if ref in self._known else ""
        renamed = before not in ("", found.name)
        told = (
            [note(_about(where), f"it was renamed from #{before} to #{found.name}; the id stays.")] if renamed else []
        )
        return [*told, *self._judged(found, where)]

    async def _name(self, ref: str, where: Sequence[ChannelUse]) -> list[Finding]:
        """A channel by its name: relay keeps the id that the name had when it was found first."""
        about = _about(where)
        by_name = {f"#{each.name}": each for each in sorted(self._all(), key=lambda each: not each.archived)}
        found, known = by_name.get(ref), self._known.get(ref)
        if known is None or known.slack_id is None or (found is not None and found.id == known.slack_id):
            return self._judged(found, where) if found is not None else [_nowhere(about, where)]
        followed = await self._by_id(known.slack_id)
        if not isinstance(followed, ChannelInfo):
            return [_unfound(about, where, followed)]
        now = f"it is called #{followed.name} now"
        if found is not None:
            now += f", and {ref} is another channel ({found.id})"
        write = f"Write the id of the one that is meant: {known.slack_id} is the one that relay posts to."
        return [warning(about, f"{now}; relay follows it by its id.", write), *self._judged(followed, where)]

    def _all(self) -> list[ChannelInfo]:
        return list((self._listed or {}).values())

    async def _by_id(self, slack_id: str) -> ChannelInfo | SlackOutcome:
        if self._listed is not None and slack_id in self._listed:
            return self._listed[slack_id]
        answer = await self._ask(lambda: self._slack.channel(slack_id))
        return (channel_of(answer) or answer) if isinstance(answer, Read) else answer

    def _judged(self, found: ChannelInfo, where: Sequence[ChannelUse]) -> list[Finding]:
        """Whether relay can post there."""
        about, routes = _about(where), _routes(where)
        if found.archived:
            return [error(about, f"it is archived ({routes}).", "Unarchive it, or send its routes to another channel.")]
        strict = [use for use in where if not use.allow_external]
        if found.external and strict:
            what = f"it is shared with another organisation, and {_routes(strict)} does not allow that."
            remedy = "Set allow_external: true where outsiders may read incidents, or name an internal channel."
            return [error(about, what, remedy)]
        if not found.member and found.private:
            return [error(about, f"relay is not in this private channel ({routes}).", "Invite it: /invite @relay.")]
        if not found.member and self._scopes and "channels:join" not in self._scopes:
            remedy = "Invite it (/invite @relay), or add channels:join to relay's Slack app."
            return [error(about, f"relay is not in it and cannot join it by itself ({routes}).", remedy)]
        joins = "" if found.member else "; relay joins it before its first post"
        return [ok(about, f"#{found.name} ({found.id}) takes messages{joins}.")]

    # User groups

    async def _user_group_findings(self, rulebook: Rulebook) -> list[Finding]:
        wanted = references.user_groups(rulebook)
        if not wanted:
            return []
        answer = await self._ask(self._slack.user_groups)
        if not isinstance(answer, Read):
            what = f"{listed(wanted)} cannot be looked up: {answer.reason}."
            return [warning("user groups", what, _remedy(answer))]
        known = {group.id: group for group in user_groups_of(answer)}
        return [
            ok(f"user group {group}", f"@{known[group].handle} is there.")
            if group in known
            else warning(
                f"user group {group}",
                f"there is none with this id that is active, so {listed(routes)} would ping nobody by it.",
                "Correct the id in routes.yaml (it begins with S), or enable the group again.",
            )
            for group, routes in wanted.items()
        ]


def _expressions(rulebook: Rulebook) -> Iterator[Finding]:
    for written, routes in references.expressions(rulebook).items():
        what = f"it depends on the incident ({listed(routes)}), so it is looked for when it is first needed."
        yield note(f"channel {written}", what)


def _about(where: Sequence[ChannelUse]) -> str:
    first = where[0]
    return f"channel {first.written}" + (f" ({first.ref})" if first.written != first.ref else "")


def _routes(where: Sequence[ChannelUse]) -> str:
    return listed(use.where for use in where)


def _nowhere(about: str, where: Sequence[ChannelUse]) -> Finding:
    what = f"no channel that relay can see has this name ({_routes(where)})."
    return error(about, what, "Correct the name; if the channel is private, invite relay to it: /invite @relay.")


def _unfound(about: str, where: Sequence[ChannelUse], answer: SlackOutcome) -> Finding:
    """An id that tells nothing. Without the scope to look, posting shows whether it works: relay tries."""
    if isinstance(answer, Rejected) and answer.reason == "missing_scope":
        return warning(about, "it cannot be looked at: the token lacks the scope.", answer.remedy)
    return error(about, f"it is not to be had ({answer.reason}; {_routes(where)}).", _remedy(answer))


def _remedy(answer: SlackOutcome) -> str:
    return getattr(answer, "remedy", "") or _UNREACHED
