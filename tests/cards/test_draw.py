"""What a message is made of."""

from dataclasses import fields
from pathlib import Path

import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.bulletins import incident_line
from relay.cards.draw import draw_step, line_variables
from relay.cards.model import CardContext, Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import begin_post
from relay.config.configuration import Clicks
from relay.config.files import load_configuration
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.routes.options import Options
from relay.routes.parser.parse import parse_rulebook

NOW = 1_700_000_000.0
ROUTES = "version: 1\nchannels: {noc: C0NOC00001}\nroutes: [{name: all, post: [{channel: noc}]}]\n"
BODY = b'{"incident": {"id": "1", "status": "Critical"}}'


BARE = read_incident(plan(parse_rulebook(ROUTES), None, [], parse_share(BODY, {}, NOW), {}).incident_state.record)


class RecordedOptions:
    """Options that note which of them are read."""

    def __init__(self) -> None:
        self.read = set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(Options(actions=("assign",)), name)


@pytest.fixture
def configuration(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    read = load_configuration(tmp_path / "routes.yaml", Path("templates"))
    return replace(read, clicks=Clicks.CARRIED_OUT)


def test_exactly_the_options_marked_as_drawn_change_a_message(configuration):
    """`relay backtest` compares them: it would miss the difference that another one makes."""
    planned = plan(configuration.rulebook, None, [], parse_share(BODY, {}, NOW), {})
    options = RecordedOptions()
    card = replace(planned.cards[0], options=options)
    context = CardContext(
        topic=planned.incident_state,
        card=card,
        cards=(card,),
        entries=planned.entries,
        channel=Channel(ref=card.channel, slack_id="C0123456789", state=ChannelState.OPEN),
    )
    step = begin_post(context, NOW)
    options.read.clear()
    draw_step(configuration, context, step, lambda channel, ts: "", NOW)
    assert options.read == {each.name for each in fields(Options) if each.metadata["is_drawn"]}


def drawn(configuration, body):
    planned = plan(configuration.rulebook, None, [], parse_share(body, {}, NOW), {})
    [card] = planned.cards
    channel = Channel(ref=card.channel, slack_id="C0123456789", state=ChannelState.OPEN)
    context = CardContext(topic=planned.incident_state, card=card, cards=(card,), entries=(), channel=channel)
    message = draw_step(configuration, context, begin_post(context, NOW), lambda channel, ts: "", NOW).rendered.message
    return str([*message.blocks, *message.attachments])


@pytest.mark.parametrize("template", ["incident", "compact", "no-such-folder"])
def test_a_card_links_to_the_board_only_if_bigpanda_gives_no_link_and_the_board_has_an_address(configuration, template):
    board, page = "https://ops.example/relay/board", "https://ops.example/relay/board/incidents?id=.."
    with_link = b'{"incident": {"id": "..", "status": "Critical"}, "links": {"landingPage": "https://a.example/1"}}'
    without = b'{"incident": {"id": "..", "status": "Critical"}}'
    rules = parse_rulebook(ROUTES.replace("{channel: noc}", f"{{channel: noc, template: {template}}}"))
    for address, body, leads in ((board, without, True), (board, with_link, False), ("", without, False)):
        text = drawn(replace(configuration, rulebook=rules, board=address), body)
        assert (page in text) == leads, (address, body)


@pytest.mark.parametrize("url", ["", "https://a.example/1"])
def test_a_line_without_a_link_to_bigpanda_links_to_the_board(url):
    incident = replace(BARE, links={"landing_page": url} if url else {})
    values = line_variables(incident_line(incident, 1, NOW), lambda *_: "", "https://ops.example/board")
    assert values["url"] == (url or "https://ops.example/board/incidents/1")
