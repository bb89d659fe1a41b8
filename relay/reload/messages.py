"""What relay reports about itself: a row for each kind of notice, and its messages, which link only to the board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from relay.model.board_links import CHANNELS, LETTERS, PAGE_NAMES, ROUTES
from relay.model.counting import counted
from relay.slack.limits import SECTION_TEXT
from relay.slack.message import Message

MAX_LISTED = 10
"""How many lines a notice lists."""


class NoticeTopic(StrEnum):
    """What relay reports about itself. There is at most one open notice of each kind."""

    CONFIGURATION = "configuration"
    CHANNELS = "channels"
    DATABASE = "database"
    SHARES = "shares"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """How a kind is reported.

    `headline` may count the problems, which `noun` names; `effect` follows it. `remedy` is below them. `over` takes
    the place of all that once there is no problem left. `page` is the board's page that shows the problems.

    `gathers` are the seconds for which the problems must not change. `leader_first` are the seconds that the relay that
    delivers has to report it before another one does. `in_store` says that the database knows the notice; any other is
    searched for in Slack after a restart.
    """

    headline: str
    noun: str
    effect: str
    over: str
    remedy: str = ""
    page: str = ""
    gathers: float = 0.0
    leader_first: float = 0.0
    in_store: bool = True


ROWS: Final[Mapping[NoticeTopic, NoticeRow]] = {
    NoticeTopic.CONFIGURATION: NoticeRow(
        headline="⚠️ Invalid configuration change, not applied ({count}).",
        noun="fault",
        effect="The previous configuration stays active, and nothing is lost.",
        remedy="`relay check` lists all faults. Once the files are valid, relay applies them at once.",
        page=ROUTES,
        over="✅ The configuration is valid again: relay uses the routes and templates on disk.",
        leader_first=30.0,
    ),
    NoticeTopic.CHANNELS: NoticeRow(
        headline="⚠️ routes.yaml names {count} that relay cannot post to.",
        noun="channel",
        effect="Incidents for them go to the fallback instead.",
        remedy="`relay doctor` lists all of them. Relay looks them up again every five minutes.",
        page=CHANNELS,
        over="✅ Relay can post to all channels that routes.yaml names again.",
        gathers=2.0,
    ),
    NoticeTopic.DATABASE: NoticeRow(
        headline="🚨 Relay cannot store shares.",
        noun="problem",
        effect="It answers BigPanda with 503 until somebody acts.",
        over="✅ Relay stores shares again.",
        in_store=False,
    ),
    NoticeTopic.SHARES: NoticeRow(
        headline="🚨 Relay cannot process {count}.",
        noun="share",
        effect="These changes are on no card: look at the incidents in BigPanda. Relay keeps them, and tries again.",
        remedy="`relay letters` lists all of them.",
        page=LETTERS,
        over="✅ Relay has processed all shares.",
    ),
}


def open_message(kind: NoticeTopic, problems: Sequence[str], board: str = "") -> Message:
    """Say what is wrong: the first problems, cut to one line each, and how many more there are.

    `board` is the address of the board, if there is one.
    """
    row = ROWS[kind]
    headline = row.headline.format(count=counted(len(problems), row.noun))
    more = [f"… and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
    longest = SECTION_TEXT // (min(len(problems), MAX_LISTED) + 1) - 1
    listed = "\n".join([*(_cut(each, longest) for each in problems[:MAX_LISTED]), *more])
    blocks = [
        _section({"type": "mrkdwn", "text": f"*{headline}* {row.effect}", "verbatim": True}),
        _section({"type": "plain_text", "text": listed, "emoji": False}),  # operators' words
    ]
    link = f"<{board}{row.page}|{PAGE_NAMES[row.page]} on the board>" if board and row.page else ""
    if row.remedy:
        text = " ".join(filter(None, (row.remedy, link)))
        remedy = {"type": "mrkdwn", "text": text, "verbatim": True}
        blocks.append({"type": "context", "elements": [remedy]})
    return Message(text=headline, blocks=tuple(blocks))


def over_message(kind: NoticeTopic) -> Message:
    """Say that nothing is wrong any more."""
    text = ROWS[kind].over
    return Message(text=text, blocks=(_section({"type": "mrkdwn", "text": text, "verbatim": True}),))


def _cut(problem: str, longest: int) -> str:
    text = " ".join(problem.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _section(text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": text}
