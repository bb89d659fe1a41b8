"""`relay render`: the card and the thread that shares come to, drawn for a terminal, as JSON, or as a page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from relay.cards.model import CardState
from relay.sandbox.page.document import DocumentMessage, DocumentSection, render_document
from relay.slack.message import Message
from relay.tools.as_read import Block, ChannelNames, block_lines, blocks_at, channel_label, slack_error
from relay.tools.mrkdwn import to_rich_text
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation
from relay.tools.times import format_time

_QUIET = "bright_black"
_NOT_POSTED = {
    CardState.CANCELLED: "never posted: it was over, or no longer taken there, before its wait had passed",
    CardState.SUPERSEDED: "followed no more",
}


# --- as JSON ---


def as_json(incidents: Mapping[str, Simulation]) -> list[dict[str, Any]]:
    """Each incident with what was decided, and its messages as Slack's API takes them."""
    return [
        {
            "incident": incident,
            "shares": [
                {
                    "received": taken.share.received,
                    "outcome": str(taken.outcome),
                    "routes": list(taken.routes),
                    "decided": dict(taken.plan.decision) if taken.plan else {},
                }
                for taken in rehearsal.shares
            ],
            "cards": [_card(played) for played in rehearsal.cards],
        }
        for incident, rehearsal in incidents.items()
    ]


def _card(played: SimulatedCard) -> dict[str, Any]:
    card = played.card
    return {
        "channel": card.channel,
        "route": card.route,
        "episode": card.episode,
        "state": str(card.state),
        "edits": played.edits,
        "posted": _sent(played.first),
        "message": played.root.message.payload() if played.root else None,
        "thread": [_sent(reply) for reply in played.replies],
    }


def _sent(sent: SentMessage | None) -> dict[str, Any] | None:
    if sent is None:
        return None
    return {
        "at": sent.at,
        "pings": list(sent.pings),
        "broadcast": sent.broadcast,
        "entries": [str(entry.kind) for entry in sent.entries],
        "failures": [str(failure) for failure in sent.rendered.failures],
        "objection": slack_error(sent.message),
        "message": sent.message.payload(),
    }


# --- as a page ---


def as_page(incidents: Mapping[str, Simulation], names: ChannelNames) -> str:
    """One HTML document that needs nothing else: each card with its thread, under the channel's name."""
    scenes = [
        DocumentSection(
            title=f"#{names.get(played.card.channel, played.card.channel).removeprefix('#')}", messages=[_root(played)]
        )
        for rehearsal in incidents.values()
        for played in rehearsal.cards
        if played.root is not None
    ]
    channels = {ref: name.removeprefix("#") for ref, name in names.items()}
    now = max((_last(rehearsal) for rehearsal in incidents.values()), default=None)
    return render_document(scenes, title="relay render", people={"channels": channels}, now=now)


def _last(rehearsal: Simulation) -> float:
    """When the last thing happened: the page shows the messages as they read then, whenever somebody looks at it."""
    sent = [each.at for played in rehearsal.cards for each in (*played.replies, played.root) if each is not None]
    return max([*sent, *(taken.share.received for taken in rehearsal.shares)])


def _root(played: SimulatedCard) -> DocumentMessage:
    root = played.root or played.first
    if root is None:
        raise ValueError("a card that was never posted has nothing to be drawn")
    return _drawn(root.message, (played.first or root).at, replies=[_reply(reply) for reply in played.replies])


def _reply(sent: SentMessage) -> DocumentMessage:
    return _drawn(sent.message, sent.at, broadcast=sent.broadcast)


def _drawn(
    message: Message, at: float, *, broadcast: bool = False, replies: Sequence[DocumentMessage] = ()
) -> DocumentMessage:
    return DocumentMessage(
        text=message.text,
        blocks=message.blocks,
        attachments=message.attachments,
        at=at,
        broadcast=broadcast,
        replies=replies,
    )


# --- in a terminal ---


def on_terminal(incidents: Mapping[str, Simulation], names: ChannelNames) -> Iterator[RenderableType]:
    """What became of each share, then each card as Slack shows it, its thread below it."""
    for incident, rehearsal in incidents.items():
        yield Rule(Text(f"incident {incident}", "bold"), align="left", style=_QUIET)
        yield from (_share(taken.share.received, str(taken.outcome), taken.routes) for taken in rehearsal.shares)
        if not rehearsal.cards:
            yield Text("It makes no card.", "bold")
        for played in rehearsal.cards:
            yield Text()
            yield from _played(played, names)


def _share(received: float, outcome: str, routes: Sequence[str]) -> Text:
    taken = f" · taken by {', '.join(routes)}" if routes else ""
    return Text(f"{format_time(received)}  {outcome}{taken}", _QUIET)


def _played(played: SimulatedCard, names: ChannelNames) -> Iterator[RenderableType]:
    card = played.card
    by = f"route {card.route}" if card.route else "the fallback"
    head = Text.assemble((f"#{channel_label(card.channel, names).removeprefix('#')}", "bold"), (f"  by {by}", _QUIET))
    if card.episode > 1:
        head.append(f", episode {card.episode}", _QUIET)
    yield head
    if played.root is None or played.first is None:
        yield Text(f"  {card.state}: {_NOT_POSTED.get(card.state, card.reason)}", _QUIET)
        return
    edits = f"edited {played.edits} times" if played.edits > 1 else "edited once" if played.edits else "never edited"
    yield from _message(played.root, names, f"posted {format_time(played.first.at)}, {edits}", played.first.pings)
    for reply in played.replies:
        told = ", ".join(dict.fromkeys(str(entry.kind) for entry in reply.entries))
        also = ", also in the channel" if reply.broadcast else ""
        message = Group(*_message(reply, names, f"{format_time(reply.at)} {told}{also}", reply.pings))
        yield Padding(message, (0, 0, 0, 4))


def _message(sent: SentMessage, names: ChannelNames, when: str, pings: Sequence[str]) -> Iterator[RenderableType]:
    pinging = f" · pings {', '.join(pings)}" if pings else ""
    yield Text(f"  relay · {when}{pinging}", _QUIET)
    yield Padding(drawing(sent.message, names, sent.at), (0, 0, 0, 2))
    for failure in sent.rendered.failures:
        yield Text(f"  template failed: {failure}", "bold red")
    if found := slack_error(sent.message):
        yield Text(f"  Slack would refuse it: {found}", "bold red")


def drawing(message: Message, names: ChannelNames, now: float) -> RenderableType:
    """One message as it read at that moment: what stands on top, then what stands beside a bar in its colour."""
    parts: list[RenderableType] = [*_blocks(blocks_at(message.blocks, now), names)]
    for attachment in message.attachments:
        inside = Group(*_blocks(blocks_at(attachment.get("blocks", ()), now), names))
        parts.append(_barred(inside, str(attachment.get("color", "")) or _QUIET))
    return Group(*parts) if parts else to_rich_text(message.text)


def _barred(inside: RenderableType, colour: str) -> RenderableType:
    return Padding(_Bar(inside, colour), 0)


class _Bar:
    """Draws a coloured bar along the left of whatever is inside."""

    def __init__(self, inside: RenderableType, colour: str) -> None:
        self._inside = inside
        self._colour = colour

    def __rich_console__(self, console: Any, options: Any) -> Iterator[RenderableType]:
        for line in console.render_lines(self._inside, options.update(width=max(20, options.max_width - 2)), pad=False):
            yield Text("▌ ", self._colour, end="")
            yield from line
            yield Text("")


def _blocks(blocks: Iterable[Block], names: ChannelNames) -> Iterator[RenderableType]:
    for block in blocks:
        yield from _block(block, names)


def _block(block: Block, names: ChannelNames) -> Iterator[RenderableType]:
    match block["type"]:
        case "header":
            yield Text(block["text"]["text"], "bold")
        case "section":
            yield from _section(block, names)
        case "context":
            shown = Text("  ").join(_element(element, names) for element in block["elements"])
            shown.stylize_before("dim")
            yield shown
        case "actions":
            yield Columns([_element(element, names) for element in block["elements"]], padding=(0, 1))
        case "divider":
            yield Rule(style=_QUIET)
        case "image":
            yield Text(f"(image: {block['alt_text']})", _QUIET)
        case _:
            yield from map(Text, block_lines([block], names))


def _section(block: Block, names: ChannelNames) -> Iterator[RenderableType]:
    if "text" in block:
        yield _text(block["text"], names)
    if fields := [_text(field, names) for field in block.get("fields", ())]:
        grid = Table.grid(padding=(0, 3))
        for left, right in zip(fields[::2], [*fields[1::2], Text()], strict=False):
            grid.add_row(left, right)
        yield grid
    if "accessory" in block:
        yield _element(block["accessory"], names)


def _text(piece: Block, names: ChannelNames) -> Text:
    if piece["type"] == "plain_text":
        return Text(piece["text"])
    return to_rich_text(piece["text"], lambda ref: names.get(ref, ref).removeprefix("#"))


def _element(element: Block, names: ChannelNames) -> Text:
    match element["type"]:
        case "plain_text" | "mrkdwn":
            return _text(element, names)
        case "button":
            link = f"link {element['url']}" if "url" in element else ""
            return Text(f"[ {element['text']['text']} ]", f"reverse {link}".strip())
        case "image":
            return Text(f"(image: {element['alt_text']})", _QUIET)
        case kind:
            return Text(f"({element.get('placeholder', {}).get('text', kind)})", _QUIET)
