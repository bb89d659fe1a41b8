"""The workspace and the bot of a token, compared with those that the database belongs to.

The cards in the database are messages of one bot in one workspace. With the token of another one, relay would find none
of them, and post alerts where nobody expects them.
"""

from dataclasses import dataclass

from relay.slack.outcomes import Rejected, RejectionScope
from relay.slack.responses import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackWorkspace:
    """A Slack workspace and relay's bot in it, by Slack's ids; `team` is the workspace's name."""

    team_id: str
    team: str
    bot_id: str


MISMATCHES = frozenset({"another_workspace", "another_bot"})
"""The reasons of `token_rejection`."""


def workspace_of(identity: Identity) -> SlackWorkspace:
    """Return the workspace and the bot of a token."""
    return SlackWorkspace(team_id=identity.team_id, team=identity.team, bot_id=identity.bot_id)


def token_rejection(bound: SlackWorkspace, found: SlackWorkspace) -> Rejected | None:
    """Return what is wrong with a token, given the workspace that the database belongs to; None if nothing is."""
    if bound.team_id != found.team_id:
        reason, what = "another_workspace", f"workspace {_named(found)}, but this database belongs to {_named(bound)}"
    elif bound.bot_id != found.bot_id:
        reason, what = "another_bot", f"bot {found.bot_id}, but the cards in this database are of bot {bound.bot_id}"
    else:
        return None
    remedy = f"SLACK_BOT_TOKEN is for {what}. {_REMEDY}"
    return Rejected(code="", scope=RejectionScope.CREDENTIALS, reason=reason, remedy=remedy)


_REMEDY = "Put the former token back; if the change is intended, run `relay workspace --accept`."


def _named(workspace: SlackWorkspace) -> str:
    return f"{workspace.team} ({workspace.team_id})" if workspace.team else workspace.team_id
