"""Decide what a card and a reply look like: the record, the card and the configuration become a message.

A card depends only on the record and on what relay notes on the card. It says nothing that becomes false by waiting.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.cards.attention import REASONS
from relay.cards.batches import batch_variables
from relay.cards.bulletins import CATCH_UP_LATE_AFTER, Bulletin, BulletinKind, BulletinLine, BulletinState, LineEnd
from relay.cards.failures import EXTERNAL
from relay.cards.model import IN_DOUBT, Broadcast, Card, CardContext, CardState, Entry
from relay.cards.notices import Notice, NoticeKind
from relay.cards.steps import Edit, EditBroadcast, EditLines, PostReply, ShownRoot, SlackStep, shown_root
from relay.config.configuration import Configuration
from relay.model.board_links import LETTERS, incident_path
from relay.model.buttons import BUTTONS, STORM_BUTTONS, ButtonPlace, CardButton, Clicks, Offered
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.model.reading import read_episode
from relay.model.struct import replace
from relay.rendering.bulletin import bulletin_variables, render_bulletin, render_lines
from relay.rendering.card import render_card, render_pointer
from relay.rendering.context import template_variables, without_marks
from relay.rendering.engine.filters import slack_time
from relay.rendering.reply import render_reply
from relay.rendering.request import Button, RenderedMessage, RenderRequest
from relay.rendering.wording import OUTDATED_COLOR, OUTDATED_EMOJI
from relay.slack.error_codes import CHANNEL_REASONS
from relay.slack.interactions import ACTION_PREFIX

DIVERSIONS = frozenset({NoticeKind.FOR_CARD, NoticeKind.FOR_THREAD, NoticeKind.UNNAMED, NoticeKind.ESCALATED})
"""The notices that a card begins with: why it is in this channel."""

SMALL_PRINT = frozenset(NoticeKind) - DIVERSIONS
"""The notices that it ends with."""

LATE_AFTER = 60.0
"""Seconds after which an entry says when it happened."""

PermalinkBuilder = Callable[[str, str], str]
"""The address of a message for people, by channel id and ts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnStep:
    """What a step sends: its context as the step leaves it, the message, and what Slack shows once it accepts it.

    `needs_call` is False for an edit to what Slack shows already.
    """

    context: CardContext
    rendered: RenderedMessage
    shown: ShownRoot
    needs_call: bool = True


def draw_step(
    configuration: Configuration, context: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
) -> DrawnStep:
    """The message of a step that is begun."""
    return drawn_step(context, step, render_step(configuration, context, step, link, now))


def drawn_step(context: CardContext, step: SlackStep, rendered: RenderedMessage) -> DrawnStep:
    """What a step sends, given its message."""
    context, fingerprint = _as_left(context, step), rendered.message.fingerprint
    return DrawnStep(
        context=context,
        rendered=rendered,
        shown=shown_root(context, fingerprint),
        needs_call=not (isinstance(step, Edit) and fingerprint == step.shown_hash),
    )


def render_step(
    configuration: Configuration, context: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
) -> RenderedMessage:
    """Render the message of a step that is begun. Everything but `link` can be pickled, and so can the result."""
    context = _as_left(context, step)
    if isinstance(context.topic, BulletinState):
        topic, card, cards, lines = context.topic, context.card, context.cards, _lines_of(step)
        pinged = step.reply.targets if isinstance(step, PostReply) else ()
        return draw_bulletin(configuration, topic, card, link=link, now=now, cards=cards, lines=lines, pinged=pinged)
    card, tag_labels = context.card, configuration.rulebook.tag_labels
    incident = read_episode(context.incident_state.record, card.episode, tag_labels)
    before = card.previous
    variables = template_variables(
        incident,
        muted=is_muted(card),
        board=configuration.board,
        route=card.route,
        show_tags=card.options.show_tags,
        runbook_tags=card.options.runbook_tags,
        previous={"at": int(before.at), "link": link(before.channel, before.ts)} if before else None,
    )
    clickable = configuration.clicks is not Clicks.UNSEEN
    if isinstance(step, EditBroadcast):
        request = RenderRequest(variables=variables, clickable=clickable)
        return render_reply(configuration.library, card.options.template, request, [over_variables(step.broadcast)])
    if isinstance(step, PostReply):
        asks = any(entry.kind is EntryKind.REMINDER for entry in step.reply.entries)
        asks_for = buttons(incident, card, _REMINDER_BUTTONS) if asks else ()
        request = RenderRequest(
            variables=variables,
            mentions=step.reply.targets,
            buttons=asks_for if configuration.clicks is Clicks.CARRIED_OUT else (),
            clickable=clickable,
        )
        entries = [entry_variables(entry, now, incident.started) for entry in step.reply.entries]
        return render_reply(configuration.library, card.options.template, request, entries)
    return _draw_card(configuration, context, incident, variables, link)


def _lines_of(step: SlackStep) -> Sequence[BulletinLine]:
    """The lines of a bulletin that the reply of a step has; none if the step is about its message."""
    shown = step.lines if isinstance(step, EditLines) else step.reply.entries if isinstance(step, PostReply) else ()
    return [line for line in shown if isinstance(line, BulletinLine)]


def draw_bulletin(  # noqa: PLR0913  each has a name
    configuration: Configuration,
    topic: BulletinState,
    card: Card,
    *,
    link: PermalinkBuilder,
    now: float,
    cards: Sequence[Card] = (),
    lines: Sequence[BulletinLine] = (),
    pinged: tuple[str, ...] = (),
) -> RenderedMessage:
    """The message of a bulletin, or with `lines` the reply that has these and pings `pinged`.

    `cards` are all of the bulletin.
    """
    request = RenderRequest(
        variables=_bulletin_variables(topic, card, link, now, configuration.board),
        clickable=configuration.clicks is not Clicks.UNSEEN,
    )
    if lines:
        request = replace(request, mentions=pinged)
        return render_lines(
            configuration.library, request, [line_variables(line, link, configuration.board) for line in lines]
        )
    if card.is_pointer and (other := _other_card(card, cards)) is not None:
        channel, ts = other.slack_channel or "", other.ts or ""
        return render_pointer(
            replace(request, variables={"incident": {"title": card.subject.capitalize()}}), channel, link(channel, ts)
        )
    request = replace(
        request,
        mentions=card.pinged if topic.is_open else (),
        diversions=tuple(notice_lines(card, DIVERSIONS)),
        notices=tuple(notice_lines(card, SMALL_PRINT)),
        buttons=storm_buttons(configuration, topic) if configuration.clicks is Clicks.CARRIED_OUT else (),
    )
    return render_bulletin(configuration.library, topic.bulletin.kind, request)


def draw_unposted(configuration: Configuration, bulletin: Bulletin, link: PermalinkBuilder) -> RenderedMessage:
    """The message of a bulletin that nobody posts: one person reads it, now."""
    topic = BulletinState(bulletin=bulletin)
    request = RenderRequest(variables=_bulletin_variables(topic, None, link, bulletin.opened_at))
    return render_bulletin(configuration.library, bulletin.kind, request)


def _bulletin_variables(
    topic: BulletinState, card: Card | None, link: PermalinkBuilder, now: float, board: str = ""
) -> dict[str, Any]:
    bulletin = topic.bulletin
    values = {
        **_with_links({name: value for name, value in bulletin.data.items() if name not in _NOT_SHOWN}, link),
        "kind": str(bulletin.kind),
        "opened": int(bulletin.opened_at),
        "closed": bulletin.closed_at and int(bulletin.closed_at),
        "late": _is_late(card, bulletin, now),
        "letters_page": f"{board}{LETTERS}" if board else "",
    }
    values |= {name: value for name, value in topic.summary.items() if name not in values}
    counts = {"all": sum(topic.counts.values()), "open": topic.counts.get(None, 0)}
    counts |= {str(end): topic.counts.get(end, 0) for end in LineEnd}
    lines = [*values.pop("lines", ()), *(line_variables(line, link, board) for line in topic.lines)]
    return bulletin_variables(values, lines, counts)


def _with_links(values: Mapping[str, Any], link: PermalinkBuilder) -> dict[str, Any]:
    """These values; wherever they say where a card is, its address."""
    linked = {name: _linked(value, link) for name, value in values.items()}
    return linked | ({"card": link(*values["card"]) if values["card"] else ""} if "card" in values else {})


def _linked(value: Any, link: PermalinkBuilder) -> Any:
    match value:
        case Mapping():
            return _with_links(value, link)
        case list() | tuple():
            return [_linked(each, link) for each in value]
        case _:
            return value


_NOT_SHOWN = frozenset({"sent", "owed"})
"""What relay notes on a bulletin for itself."""


def _is_late(card: Card | None, bulletin: Bulletin, now: float) -> bool:
    """Whether it was posted a while after the moment that it is about. An edit says the same as the first post."""
    moment = bulletin.data.get("moment")
    return moment is not None and (float(card.ts) if card and card.ts else now) - float(moment) > CATCH_UP_LATE_AFTER


def line_variables(line: BulletinLine, link: PermalinkBuilder, board: str = "") -> dict[str, JSON]:
    """A line of a bulletin as its template gets it; `card` is the address of its incident's card.

    Without an address in BigPanda, `url` is that of the incident's page on the board, if there is one.
    """
    card = line.data.get("card")
    batch = {"batch": batch_variables(line.data)} if line.is_batch else {}
    return {
        **line.data,
        **({"url": f"{board}{incident_path(line.incident)}"} if board and not line.data.get("url") else {}),
        **batch,
        "card": link(*card) if card else "",
        "state": str(line.state),
        "ended": line.ended and str(line.ended),
        "ended_at": line.ended_at and int(line.ended_at),
        "ping": line.is_ping,
    }


def _other_card(pointer: Card, cards: Iterable[Card]) -> Card | None:
    """The card to which a pointer points."""
    others = (each for each in cards if each.id != pointer.id and not each.is_pointer)
    return next((each for each in others if each.state is CardState.POSTED and each.ts), None)


def _as_left(context: CardContext, step: SlackStep) -> CardContext:
    """The context as the step leaves it."""
    return replace(context, card=step.update.cards[0]) if step.update.cards else context


def _draw_card(
    configuration: Configuration,
    context: CardContext,
    incident: Incident,
    variables: dict[str, Any],
    link: PermalinkBuilder,
) -> RenderedMessage:
    card = context.card
    if card.is_pointer and (other := _other_card(card, (each for each in context.cards if each.route))) is not None:
        channel, ts = other.slack_channel or "", other.ts or ""
        return render_pointer(RenderRequest(variables=variables), channel, link(channel, ts))
    request = RenderRequest(
        variables=variables,
        mentions=card.pinged if incident.active else (),
        diversions=tuple(notice_lines(card, DIVERSIONS)),
        notices=(*notice_lines(card, SMALL_PRINT), *held_lines(card), *omission_lines(incident)),
        buttons=buttons(incident, card) if configuration.clicks is Clicks.CARRIED_OUT else (),
        clickable=configuration.clicks is not Clicks.UNSEEN,
        **stale_style(card),
    )
    return render_card(configuration.library, card.options.template, request)


def permalink(workspace: str, channel: str, ts: str) -> str:
    """The address of a message for people, given the workspace's (auth.test's `url`); empty if that is not known."""
    if not (workspace and channel and ts):
        return ""
    return f"{workspace.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"


def notice_lines(
    card: Card, kinds: Collection[NoticeKind] = frozenset(NoticeKind), moment: Callable[[int], str] = slack_time
) -> Iterator[str]:
    """The notices of these kinds that a reader sees, each in a line of words; `moment` writes Unix seconds."""
    return filter(None, (_notice_line(notice, moment) for notice in card.notices if notice.kind in kinds))


def held_lines(card: Card) -> Iterator[str]:
    """What holds pings of the card, and until when: one line for each hold."""
    waiting = (each.hold for each in card.held_pings if not each.caught_up and REASONS[each.hold.reason].words)
    for hold in dict.fromkeys(waiting):
        until = f" until {slack_time(int(hold.until))}" if hold.until is not None else ""
        yield f"pings held{until}: {REASONS[hold.reason].words}"


def omission_lines(incident: Incident) -> Iterator[str]:
    """What relay left out, since the incident has more than a reader could use; at most one line."""
    left_out = {"alerts": sum(incident.omitted_alerts.values()), **incident.omitted}
    parts = [f"{number:,} {kind}" for kind, number in left_out.items() if number]
    if parts:
        yield f"too large to show whole: relay left out {', '.join(parts)}"


def stale_style(card: Card) -> dict[str, str]:
    """Bar and headline are grey, whatever the template says, where the news of the card is old."""
    grey = any(notice.kind in {NoticeKind.STALE, NoticeKind.GONE} for notice in card.notices)
    return {"color": OUTDATED_COLOR, "emoji": OUTDATED_EMOJI} if grey else {}


_REMINDER_BUTTONS = frozenset({"assign", "snooze"})
"""The buttons of a reminder, where the route gives them to its cards."""


def buttons(incident: Incident, card: Card, names: Collection[str] = frozenset(BUTTONS)) -> tuple[Button, ...]:
    """Those of these buttons that the route gives the card, as long as there is something to do."""
    if not incident.active or any(notice.kind is NoticeKind.GONE for notice in card.notices):
        return ()
    offered = {
        Offered.ALWAYS: True,
        Offered.ASSIGNED: incident.assignee is not None,
        Offered.SNOOZED: incident.snooze.snoozed,
        Offered.MUTED: is_muted(card),
    }
    given = [row for row in BUTTONS.values() if row.word in card.options.actions and offered[row.offered]]
    given = [row for row in given if row.name in names]
    has_menu = any(row.place is ButtonPlace.MENU for row in given)
    rows = (row for row in BUTTONS.values() if row in given or (has_menu and row.offered is Offered.IN_MENU))
    return tuple(_button(row, incident) for row in rows)


def is_muted(card: Card) -> bool:
    """Whether the card says that it is muted."""
    return any(notice.kind is NoticeKind.MUTED for notice in card.notices)


def storm_buttons(configuration: Configuration, topic: BulletinState) -> tuple[Button, ...]:
    """The buttons of a storm card, while it lists incidents and a route of its channel offers the same for one."""
    waiting = topic.counts.get(None, 0)
    if topic.bulletin.kind is not BulletinKind.STORM or not waiting:
        return ()
    critical = sum(each["count"] for each in topic.summary.get("states", ()) if each["state"] == State.CRITICAL)
    offered = configuration.rulebook.actions_in(topic.bulletin.channel)
    rows = (row for row in STORM_BUTTONS.values() if BUTTONS[row.does].word in offered)
    shown = [row for row in rows if not row.only_critical or 0 < critical < waiting]
    return tuple(Button(action_id=ACTION_PREFIX + row.name, text=row.label, value="") for row in shown)


def _button(row: CardButton, incident: Incident) -> Button:
    """The button on the card of that incident. Only a button with its own words stands out by its style."""
    assigned_label = row.label_if_assigned if incident.assignee else ""
    return Button(
        action_id=ACTION_PREFIX + row.name,
        text=assigned_label or row.label,
        value=incident.id,
        style="" if assigned_label else row.style,
        place=row.place,
    )


def entry_variables(entry: Entry, now: float, started: int | None = None) -> Mapping[str, JSON]:
    """The entry as its template gets it at that moment; an end says how long it had lasted since `started`."""
    lasted: Mapping[str, JSON] = {}
    if entry.kind is EntryKind.RESOLVED and started is not None:
        # The incident may be in different episodes in different channels: each measures from its own start.
        lasted = {"lasted": entry.at - started if started <= entry.at else None}
    return {
        "actor": None,
        "old": None,
        "new": None,
        "text": None,
        "items": [],
        **entry.data,
        **lasted,
        "kind": str(entry.kind),
        "at": int(entry.at),
        "late": now - entry.at > LATE_AFTER,
    }


def over_variables(broadcast: Broadcast) -> Mapping[str, JSON]:
    """The entry of a broadcast whose state is over, as its template gets it; `over` is how many seconds it lasted."""
    over_at = broadcast.at if broadcast.over_at is None else broadcast.over_at
    data = {**broadcast.data, "over": max(0.0, over_at - broadcast.at), "became": str(broadcast.became or "")}
    return entry_variables(Entry(seq=0, key="", kind=broadcast.kind, at=broadcast.at, data=data), now=broadcast.at)


_DELETED_LINE = "posted again: the previous message was deleted"
_NOT_OURS_LINE = "posted again: relay can no longer edit the previous message, which is out of date"
_FIXED_LINES = {
    NoticeKind.MAY_REPEAT: "may be a duplicate: Slack did not confirm the first post",
    NoticeKind.NO_EDITS: "this workspace allows no more edits: changes appear in the thread",
}
"""The other kinds are for relay alone."""


def _notice_line(notice: Notice, moment: Callable[[int], str]) -> str | None:
    match notice.kind:
        case NoticeKind.FOR_CARD | NoticeKind.FOR_THREAD:
            return without_marks(f"meant for {_rejecting_place(notice)} ({notice.reason.replace('_', ' ')})")
        case NoticeKind.REPOSTED:
            return _NOT_OURS_LINE if notice.reason == "message_not_ours" else _DELETED_LINE
        case NoticeKind.UNNAMED:
            return without_marks(notice.reason)
        case NoticeKind.STALE | NoticeKind.GONE | NoticeKind.MUTED | NoticeKind.ESCALATED:
            return _line_with_moment(notice, moment(notice.at))
        case _:
            return _FIXED_LINES.get(notice.kind)


def _line_with_moment(notice: Notice, moment: str) -> str:
    if notice.kind is NoticeKind.STALE:
        return f"no update from BigPanda since {moment}"
    if notice.kind is NoticeKind.GONE:
        return f"no longer in BigPanda ({moment}): merged into another incident or deleted"
    if notice.kind is NoticeKind.ESCALATED:
        return f"escalated from {without_marks(notice.name)}, where nobody had taken it by {moment}"
    author = f" by {notice.name}" if notice.name else ""
    return f"🔇 muted{without_marks(author)} until {moment}: {without_marks(notice.reason)}"


def _rejecting_place(notice: Notice) -> str:
    """The channel, and what of it is to blame: one message does not blame the whole channel."""
    if notice.kind is NoticeKind.FOR_THREAD:
        return f"the thread in {notice.name}, which rejected it"
    if notice.reason.startswith(IN_DOUBT):
        return f"{notice.name}, where it may already be"
    if notice.reason in CHANNEL_REASONS | {EXTERNAL}:
        return f"{notice.name}, which accepts no messages"
    return f"{notice.name}, which rejected this message"
