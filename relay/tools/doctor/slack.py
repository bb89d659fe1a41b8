"""The doctor's checks in Slack: the token, its scopes, and the channels and user groups of the routes."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from relay.cards.model import Channel
from relay.routes.channel_template import ExpressionChannel
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.methods import ACTION_SCOPES, COMMANDS_SCOPE, MISSING_SCOPE_EFFECTS, REQUIRED_SCOPES
from relay.slack.outcomes import Read, Rejected, Retryable, SlackOutcome
from relay.slack.pages import read_channels
from relay.slack.responses import (
    ChannelInfo,
    channel_of,
    identity_of,
    user_groups_of,
    user_of,
)
from relay.slack.workspace import SlackWorkspace, token_rejection, workspace_of
from relay.tools.doctor import references
from relay.tools.doctor.references import ChannelUse
from relay.tools.doctor.report import Finding, Level, error, join_names, note, ok, warning

MAX_TRIES = 4
"""How often a request is tried while Slack asks to retry."""

MAX_WAIT = 60.0
"""The longest wait between two tries, in seconds."""

MAX_LOOKUPS = 20
"""Up to this many channel ids are looked up one by one; more are read from the list of all channels."""

_NETWORK_REMEDY = "Check the network from here to Slack, and SLACK_API_URL."


class SlackChecks:
    """The checks of one workspace.

    `known` are the channels in the database, by reference; `bound` is the workspace that the database belongs to.
    `reachable`: Slack can send clicks and commands to relay.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each is a part of its own
        self,
        slack: SlackGateway,
        rulebook: Rulebook | None,
        known: Mapping[str, Channel],
        clock: Clock,
        bound: SlackWorkspace | None = None,
        reachable: bool = False,  # noqa: FBT001, FBT002  the same
    ) -> None:
        self._slack = slack
        self._rulebook = rulebook
        self._known = known
        self._bound = bound
        self._clock = clock
        self._reachable = reachable
        self._scopes: tuple[str, ...] = ()
        self._channels: dict[str, ChannelInfo] = {}

    async def findings(self) -> list[Finding]:
        """Run all checks. If the token does not work, that is the only finding."""
        answer = await self._call(self._slack.auth_test)
        if not isinstance(answer, Read):
            return [error("Slack token", f"Slack does not accept it: {answer.reason}.", _remedy(answer))]
        identity = identity_of(answer)
        self._scopes = identity.scopes
        findings = [ok("Slack token", f"it is valid, for {identity.team or identity.team_id} ({identity.url}).")]
        if self._bound and (rejected := token_rejection(self._bound, workspace_of(identity))):
            reason = rejected.reason.replace("_", " ")
            findings.append(
                error("Slack workspace", f"the token is for {reason}: relay sends nothing.", rejected.remedy)
            )
        uses = list(references.channels(self._rulebook)) if self._rulebook else []
        findings += self._check_scopes(by_name=any(use.ref.startswith("#") for use in uses))
        if self._rulebook is not None:
            findings += await self._check_channels(uses)
            findings += await self._check_made_channels(self._rulebook)
            findings += await self._check_people(self._rulebook)
        return findings

    async def _call(self, method: Callable[[], Awaitable[SlackOutcome]]) -> SlackOutcome:
        """Call Slack, and retry while it asks to."""
        answer = await method()
        for number in range(1, MAX_TRIES):
            if not isinstance(answer, Retryable):
                break
            await self._clock.sleep(min(MAX_WAIT, answer.retry_after or float(number)))
            answer = await method()
        return answer

    # Scopes

    def _check_scopes(self, *, by_name: bool) -> list[Finding]:
        if not self._scopes:
            return [note("Slack scopes", "Slack does not report the scopes of the token.")]
        for_actions = self._rulebook is not None and references.accepts_actions(self._rulebook)
        action_scopes = ACTION_SCOPES if for_actions else ()
        required = sorted({*REQUIRED_SCOPES, *action_scopes, *([COMMANDS_SCOPE] if self._reachable else ())})
        missing = [scope for scope in required if scope not in self._scopes]
        if not missing:
            return [ok("Slack scopes", f"the token has all {len(required)}.")]
        essential = {"chat:write", *(("channels:read", "groups:read") if by_name else ()), *action_scopes}
        return [
            (error if scope in essential else warning)(
                f"Slack scope {scope}",
                f"the token does not have it: {MISSING_SCOPE_EFFECTS[scope]}.",
                f"Add {scope} to relay's Slack app and reinstall it; `relay manifest` prints all scopes.",
            )
            for scope in missing
        ]

    # Channels

    async def _check_channels(self, uses: Sequence[ChannelUse]) -> list[Finding]:
        by_ref: defaultdict[str, list[ChannelUse]] = defaultdict(list)
        for use in uses:
            by_ref[use.ref].append(use)
        findings: list[Finding] = []
        names = [ref for ref in by_ref if ref.startswith("#")]
        failure = await self._load_channels() if names or len(by_ref) > MAX_LOOKUPS else None
        if failure is not None and names:
            message = f"the list of channels cannot be read ({failure.reason}), so relay cannot find these names: "
            findings.append(error("channels", f"{message}{join_names(names)}.", _remedy(failure)))
        for ref, where in by_ref.items():
            if ref not in names:
                findings += await self._check_id(ref, where)
            elif failure is None:
                findings += await self._check_name(ref, where)
        return findings

    async def _check_made_channels(self, rulebook: Rulebook) -> list[Finding]:
        """Count the channels that an incident may choose, since their names are made from it."""
        made = references.channel_templates(rulebook)
        failure = None if not made or self._channels else await self._load_channels()
        if failure is not None:
            return [note(f"channel {each.source}", f"not checked: {failure.reason}.") for each in made]
        return [self._check_made(channel, routes) for channel, routes in made.items()]

    def _check_made(self, channel: ExpressionChannel, routes: Sequence[str]) -> Finding:
        names = [
            each.name for each in self._channels.values() if not each.archived and channel.permits(f"#{each.name}")
        ]
        subject, used_by = f"channel {channel.source}", join_names(routes)
        if not names:
            remedy = "Create such channels; if they are private, invite relay to them: /invite @relay."
            return warning(subject, f"relay can see no channel that it may name ({channel.shape}; {used_by}).", remedy)
        found = join_names(f"#{name}" for name in sorted(names))
        return ok(subject, f"it depends on the incident; relay can see {found} ({used_by}).")

    async def _load_channels(self) -> SlackOutcome | None:
        """Load the list of all channels; return Slack's answer if that fails."""
        channels = await read_channels(lambda cursor: self._call(partial(self._slack.channels, cursor)))
        if not isinstance(channels, tuple):
            return channels
        self._channels = {channel.id: channel for channel in channels}
        return None

    async def _check_id(self, ref: str, uses: Sequence[ChannelUse]) -> list[Finding]:
        """Check a channel by its id, which stays the same if the channel is renamed."""
        found = await self._look_up(ref)
        if not isinstance(found, ChannelInfo):
            return [_not_found(uses, found)]
        before = self._known[ref].slack_name if ref in self._known else ""
        findings = self._check_posting(found, uses)
        if before in ("", f"#{found.name}"):
            return findings
        return [note(_subject(uses), f"it was renamed from {before} to #{found.name}; the id is the same."), *findings]

    async def _check_name(self, ref: str, uses: Sequence[ChannelUse]) -> list[Finding]:
        """Check a channel by its name. Relay keeps using the id that the name had when relay first found it."""
        subject = _subject(uses)
        channels = sorted(self._channels.values(), key=lambda each: not each.archived)
        found, known = {f"#{each.name}": each for each in channels}.get(ref), self._known.get(ref)
        if found is not None and (known is None or known.slack_id in (None, found.id)):
            return self._check_posting(found, uses)
        if known is None or known.slack_id is None:
            remedy = "Correct the name; if the channel is private, invite relay to it: /invite @relay."
            return [error(subject, f"relay can see no channel with this name ({_used_by(uses)}).", remedy)]
        used = await self._look_up(known.slack_id)
        if not isinstance(used, ChannelInfo):
            return [_not_found(uses, used)]
        message = f"it is called #{used.name} now"
        if found is not None:
            message += f", and {ref} is another channel ({found.id})"
        remedy = f"Write the id of the right channel into routes.yaml; relay posts to {known.slack_id}."
        finding = warning(subject, f"{message}; relay continues to use it by its id.", remedy)
        return [finding, *self._check_posting(used, uses)]

    async def _look_up(self, slack_id: str) -> ChannelInfo | SlackOutcome:
        if slack_id in self._channels:
            return self._channels[slack_id]
        answer = await self._call(partial(self._slack.channel, slack_id))
        return (channel_of(answer) or answer) if isinstance(answer, Read) else answer

    def _check_posting(self, channel: ChannelInfo, uses: Sequence[ChannelUse]) -> list[Finding]:
        """Check whether relay can post to the channel."""
        subject, routes = _subject(uses), _used_by(uses)
        if channel.archived:
            remedy = "Unarchive it, or send its routes to another channel."
            return [error(subject, f"it is archived ({routes}).", remedy)]
        internal_only = [use for use in uses if not use.allow_external]
        if channel.external and internal_only:
            message = f"it is shared with another organisation, which {_used_by(internal_only)} does not allow."
            remedy = "Set allow_external: true if outsiders may read incidents, or name an internal channel."
            return [error(subject, message, remedy)]
        if not channel.member and channel.private:
            return [error(subject, f"relay is not in this private channel ({routes}).", "Invite it: /invite @relay.")]
        if not channel.member and self._scopes and "channels:join" not in self._scopes:
            remedy = "Invite relay (/invite @relay), or add channels:join to relay's Slack app."
            return [error(subject, f"relay is not in this channel and may not join it ({routes}).", remedy)]
        joins = "" if channel.member else "; relay joins it before its first post"
        return [ok(subject, f"relay can post to #{channel.name} ({channel.id}){joins}.")]

    # People

    async def _check_people(self, rulebook: Rulebook) -> list[Finding]:
        used = references.people(rulebook)
        groups = {target: routes for target, routes in used.items() if target.startswith("S")}
        users = {target: routes for target, routes in used.items() if target not in groups}
        findings = await self._check_user_groups(groups) if groups else []
        return [*findings, *[await self._check_user(user, routes) for user, routes in users.items()]]

    async def _check_user_groups(self, used: Mapping[str, Sequence[str]]) -> list[Finding]:
        answer = await self._call(self._slack.user_groups)
        if not isinstance(answer, Read):
            message = (
                f"{join_names(used)} cannot be looked up ({answer.reason}), so relay does not know whom they ping."
            )
            return [error("user groups", message, _remedy(answer))]
        handles = user_groups_of(answer)
        remedy = "Correct the id in routes.yaml (it begins with S), or enable the group again."
        return [
            ok(f"user group {group}", f"it is @{handles[group]}.")
            if group in handles
            else error(
                f"user group {group}",
                f"no active user group has this id, so {join_names(routes)} would ping nobody with it.",
                remedy,
            )
            for group, routes in used.items()
        ]

    async def _check_user(self, user: str, routes: Sequence[str]) -> Finding:
        answer = await self._call(partial(self._slack.user, user))
        subject = f"user {user}"
        if not isinstance(answer, Read):
            if answer.reason == "person_not_found":
                remedy = "Correct the id in routes.yaml (it is in the person's Slack profile, under Copy member ID)."
                return error(subject, f"Slack knows no such user ({join_names(routes)}).", remedy)
            return error(subject, f"it cannot be looked up ({answer.reason}; {join_names(routes)}).", _remedy(answer))
        found = user_of(answer)
        if found is None or found.deactivated:
            message = f"this account is deactivated, so {join_names(routes)} would ping nobody with it."
            return error(subject, message, "Write the id of another person or of a user group into routes.yaml.")
        return ok(subject, f"it is {found.name}.")


def slack_works(findings: Sequence[Finding]) -> bool:
    """Whether these findings say that the token works."""
    return any(finding.subject == "Slack token" and finding.level is Level.OK for finding in findings)


def _subject(uses: Sequence[ChannelUse]) -> str:
    first = uses[0]
    return f"channel {first.source}" + (f" ({first.ref})" if first.source != first.ref else "")


def _used_by(uses: Sequence[ChannelUse]) -> str:
    return join_names(use.used_by for use in uses)


def _not_found(uses: Sequence[ChannelUse], answer: SlackOutcome) -> Finding:
    """The finding if an id cannot be looked up. If only the scope for that is missing, posting may still work."""
    if isinstance(answer, Rejected) and answer.reason == "missing_scope":
        return warning(_subject(uses), "it cannot be checked: the token lacks the scope.", answer.remedy)
    return error(_subject(uses), f"Slack does not return it ({answer.reason}; {_used_by(uses)}).", _remedy(answer))


def _remedy(answer: SlackOutcome) -> str:
    return answer.remedy or _NETWORK_REMEDY
