"""`relay render`: the cards and threads that shares would produce, for a terminal, as JSON, or as a web page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from relay.sandbox.page.document import DocumentMessage, DocumentSection, render_document
from relay.slack.message import Message
from relay.tools import message_text
from relay.tools.incident import CARD_STATES
from relay.tools.message_text import Block, ChannelNames
from relay.tools.mrkdwn import to_rich_text
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation

_QUIET = "bright_black"


# --- as JSON ---


def as_json(incidents: Mapping[str, Simulation]) -> list[dict[str, Any]]:
    """Convert to plain JSON: each incident with the decisions, and its messages in the form of Slack's API."""
    return [
        {
            "incident": incident,
            "shares": [
                {
                    "received": each.share.received,
                    "outcome": each.outcome,
                    "routes": each.routes,
                    "decision": dict(each.plan.decision) if each.plan else {},
                }
                for each in simulation.shares
            ],
            "cards": [
                {
                    "channel": each.card.channel,
                    "route": each.card.route,
                    "episode": each.card.episode,
                    "state": each.card.state,
                    "edits": each.edits,
                    "posted": sent_as_json(each.first) if each.first else None,
                    "message": each.root.message.payload() if each.root else None,
                    "thread": [sent_as_json(reply) for reply in each.replies],
                }
                for each in simulation.cards
            ],
        }
        for incident, simulation in incidents.items()
    ]


def sent_as_json(sent: SentMessage) -> dict[str, Any]:
    """Convert one message that was sent."""
    return {
        "at": sent.at,
        "pings": sent.pings,
        "broadcast": sent.broadcast,
        "entries": [str(entry.kind) for entry in sent.entries],
        "failures": [str(failure) for failure in sent.rendered.failures],
        "slack_error": message_text.slack_error(sent.message),
        "message": sent.message.payload(),
    }


# --- as a page ---


def as_page(incidents: Mapping[str, Simulation], names: ChannelNames) -> str:
    """Convert to one self-contained HTML document: each card with its thread, under the channel's name."""
    cards = [card for simulation in incidents.values() for card in simulation.cards]
    channels = {ref: name.removeprefix("#") for ref, name in names.items()}
    sections = [
        DocumentSection(
            title=f"#{channels.get(card.card.channel, card.card.channel).removeprefix('#')}",
            messages=[_document_message(card.root, card)],
        )
        for card in cards
        if card.root is not None
    ]
    # The page shows relative dates as of the last event, whenever somebody opens it.
    events = [each.at for card in cards for each in (*card.replies, card.root) if each is not None]
    events += [each.share.received for simulation in incidents.values() for each in simulation.shares]
    now = max(events, default=None)
    return render_document(sections, title="relay render", people={"channels": channels}, now=now)


def _document_message(sent: SentMessage, card: SimulatedCard | None = None) -> DocumentMessage:
    """A reply, or the root of `card` with its replies."""
    return DocumentMessage(
        text=sent.message.text,
        blocks=sent.message.blocks,
        attachments=sent.message.attachments,
        at=card.first.at if card and card.first else sent.at,
        broadcast=sent.broadcast,
        replies=[_document_message(reply) for reply in card.replies] if card else [],
    )


# --- in a terminal ---


def on_terminal(incidents: Mapping[str, Simulation], names: ChannelNames) -> Iterator[RenderableType]:
    """The outcome of each share, then each card as Slack shows it, with its thread below."""
    for incident, simulation in incidents.items():
        yield Rule(Text(f"incident {incident}", "bold"), align="left", style=_QUIET)
        for share in simulation.shares:
            matched = f" · matched by {', '.join(share.routes)}" if share.routes else ""
            yield Text(
                f"{message_text.format_time(share.share.received)}  {str(share.outcome).replace('_', ' ')}{matched}",
                _QUIET,
            )
        if not simulation.cards:
            yield Text("No card.", "bold")
        for card in simulation.cards:
            yield Text()
            yield from _card_and_thread(card, names)


def _card_and_thread(simulated: SimulatedCard, names: ChannelNames) -> Iterator[RenderableType]:
    card, edits = simulated.card, simulated.edits
    by = f"route {card.route}" if card.route else "the fallback"
    channel = message_text.channel_label(card.channel, names).removeprefix("#")
    episode = f", episode {card.episode}" if card.episode > 1 else ""
    yield Text.assemble((f"#{channel}", "bold"), (f"  by {by}{episode}", _QUIET))
    if simulated.root is None or simulated.first is None:
        reason = f" ({card.reason})" if card.reason else ""
        yield Text(f"  {CARD_STATES[card.state]}{reason}", _QUIET)
        return
    edited = f"edited {edits} times" if edits > 1 else "edited once" if edits else "not edited"
    title = f"posted {message_text.format_time(simulated.first.at)}, {edited}"
    yield from _message(simulated.root, names, title, simulated.first.pings)
    for reply in simulated.replies:
        kinds = ", ".join(dict.fromkeys(str(entry.kind) for entry in reply.entries))
        broadcast = ", also in the channel" if reply.broadcast else ""
        title = f"{message_text.format_time(reply.at)} {kinds}{broadcast}"
        yield Padding(Group(*_message(reply, names, title, reply.pings)), (0, 0, 0, 4))


def _message(sent: SentMessage, names: ChannelNames, title: str, pings: Sequence[str]) -> Iterator[RenderableType]:
    pinging = f" · pings {message_text.people_label(pings, names)}" if pings else ""
    yield Text(f"  relay · {title}{pinging}", _QUIET)
    yield Padding(render_message(sent.message, names, sent.at), (0, 0, 0, 2))
    for failure in sent.rendered.failures:
        yield Text(f"  template failed: {failure}", "bold red")
    if error := message_text.slack_error(sent.message):
        yield Text(f"  Slack would reject it: {error}", "bold red")


def render_message(message: Message, names: ChannelNames, now: float) -> RenderableType:
    """Render one message as it reads at that time (Unix seconds); attachments have a colour bar."""
    parts: list[RenderableType] = [
        part for block in message_text.blocks_at(message.blocks, now) for part in _block(block, names)
    ]
    for attachment in message.attachments:
        blocks = message_text.blocks_at(attachment.get("blocks", ()), now)
        content = Group(*(part for block in blocks for part in _block(block, names)))
        parts.append(_Bar(content, str(attachment.get("color", "")) or _QUIET))
    return Group(*parts) if parts else to_rich_text(message.text, names)


class _Bar:
    """Draws a coloured bar to the left of its content."""

    def __init__(self, content: RenderableType, colour: str) -> None:
        self._content = content
        self._colour = colour

    def __rich_console__(self, console: Any, options: Any) -> Iterator[RenderableType]:
        options = options.update(width=max(20, options.max_width - 2))
        for line in console.render_lines(self._content, options, pad=False):
            yield Text("▌ ", self._colour, end="")
            yield from line
            yield Text("")


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
            yield from map(Text, message_text.block_lines([block], names))


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
    return Text(piece["text"]) if piece["type"] == "plain_text" else to_rich_text(piece["text"], names)


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
