"""The sentences that one person reads, privately, about what they pressed or wrote."""

from collections.abc import Mapping, Sequence
from typing import Final

from relay.cards.model import TaskKind

STARTED: Final[Mapping[str, str]] = {
    TaskKind.ASSIGN: "Under way: BigPanda is asked to assign this to you. The card changes when it confirms.",
    TaskKind.COMMENT: "Under way: your comment goes to BigPanda, and into the thread when it confirms.",
    TaskKind.SNOOZE: "Under way: BigPanda is asked to snooze this. The card changes when it confirms.",
    TaskKind.RESOLVE: "Under way: BigPanda is asked to resolve this. The card changes when it confirms.",
}

_WHAT: Final[Mapping[str, str]] = {
    TaskKind.ASSIGN: "Nothing was assigned",
    TaskKind.COMMENT: "Your comment is not in BigPanda",
    TaskKind.SNOOZE: "Nothing was snoozed",
    TaskKind.RESOLVE: "Nothing was resolved",
    TaskKind.REPLY: "Your reply is not in BigPanda",
}

_WHY: Final[Mapping[str, str]] = {
    "not_offered": "this card does not offer that any more",
    "no_environment": (
        "BigPanda never told relay the incident's environment, without which it takes no action. Whoever looks after "
        "relay can have BigPanda's support switch on addMetadata for its webhook"
    ),
    "unknown_user": (
        "BigPanda knows nobody by your e-mail address. Whoever looks after relay can name you under `users:` in "
        "routes.yaml"
    ),
    "no_email": (
        "Slack does not tell relay your e-mail address, by which BigPanda would know you. Whoever looks after relay "
        "can give its Slack app the scope users:read.email"
    ),
    "unknown_person": "Slack does not tell relay who you are",
    "already_resolved": "it is resolved already",
    "already_assigned": "it is yours already",
    "under_way": "the same is under way already",
    "not_found": "BigPanda does not know this incident any more: it may be merged into another, or deleted",
    "gone": "BigPanda does not know this incident any more: it may be merged into another, or deleted",
    "key_invalid": "BigPanda refuses relay's key. Tell whoever looks after relay",
    "forbidden": "BigPanda does not let relay's user do this here. Tell whoever looks after relay",
    "missing_scope": "relay's Slack app lacks a scope that it needs for this. Tell whoever looks after relay",
    "group_not_found": (
        "Slack does not know a user group that may do this here. Tell whoever looks after relay: it stands under "
        "`actors:` in routes.yaml"
    ),
    "empty": "there is nothing in it that BigPanda could show",
}


def not_allowed(kind: str, groups: Sequence[str]) -> str:
    """Somebody pressed a button that the route gives to others."""
    who = " or ".join(f"<!subteam^{group}>" for group in groups)
    return f"{_WHAT[kind]}: on this card only {who} may do that."


def rejected(kind: str, reason: str) -> str:
    """It was not done, and will not be."""
    return f"{_WHAT[kind]}: {_WHY.get(reason, f'BigPanda did not take it ({_plainly(reason)})')}."


def given_up(kind: str, reason: str) -> str:
    """It was tried for as long as makes sense, or there was nothing more to try for."""
    if reason in _WHY:
        return rejected(kind, reason)
    return (
        f"{_WHAT[kind]}: BigPanda could not be reached for too long ({_plainly(reason)}). Try it again, or in BigPanda."
    )


def in_doubt(kind: str) -> str:
    """Nobody knows whether BigPanda has the comment."""
    what = "your reply" if kind == TaskKind.REPLY else "your comment"
    return f"BigPanda did not say whether it has {what}. Relay does not send it twice: look in BigPanda, please."


UNKNOWN_CARD: Final = (
    "Relay does not know this message any more, so nothing was done. Use the newest card of the incident."
)
MODAL_NOT_OPENED: Final = "Slack did not open the dialog in time. Press the button once more, please."


def _plainly(reason: str) -> str:
    return reason.replace("_", " ")
