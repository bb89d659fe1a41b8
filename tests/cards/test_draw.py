"""What a message is made of."""

from dataclasses import fields
from pathlib import Path

import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.draw import draw_step
from relay.cards.model import CardContext, Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import begin_post
from relay.config.configuration import Clicks
from relay.config.files import load_configuration
from relay.model.struct import replace
from relay.routes.options import Options

NOW = 1_700_000_000.0
ROUTES = "version: 1\nchannels: {noc: C0NOC00001}\nroutes: [{name: all, post: [{channel: noc}]}]\n"
BODY = b'{"incident": {"id": "1", "status": "Critical"}}'


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


def test_the_options_from_which_a_message_is_drawn_are_those_that_say_so(configuration):
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
