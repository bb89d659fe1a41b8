"""A template that does not end costs its own card a second; relay's loop lives, and everything else is delivered."""

import asyncio
import sys
import time

import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.draw import render_step
from relay.cards.model import CardContext, Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import begin_post
from relay.config.files import ConfigurationFiles, build_configuration
from relay.delivery.render_process import RenderProcess, TemplateAbandoned
from relay.samples import read_sample

NOW = 1_700_000_000.0
ROUTES = 'version: 1\nfallback: "#noc"\nroutes: [{name: all, match: {status: {min: unknown}}, post: ["#noc"]}]\n'

BROKEN = """
from relay.delivery import render_worker
def broken(configuration, request):
    BODY
render_worker._render = broken
render_worker.run()
"""
"""A worker in which rendering does what no template can do."""

KNOT = "knot = (1,)\n    for _ in range(60): knot = (knot, knot)\n    hash(knot)"
"""One step of Python's own code, which would take years."""


def configuration(card="{% section %}mine: {{ incident.title }}{% endsection %}"):
    return build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES, templates={"incident/card.j2": card})
    )


def step(live):
    planned = plan(live.rulebook, None, [], parse_share(read_sample("documented"), {}, NOW), {})
    channel = Channel(ref="#noc", slack_id="C0123456789", state=ChannelState.OPEN)
    context = CardContext(
        incident_state=planned.incident_state,
        card=planned.cards[0],
        cards=planned.cards,
        entries=planned.entries,
        channel=channel,
    )
    return context, begin_post(context, NOW)


def link(channel, ts):
    return f"https://example.slack.com/{channel}/{ts}"


@pytest.fixture
async def process():
    worker = RenderProcess()
    yield worker
    await worker.close()


def broken(body):
    return RenderProcess((sys.executable, "-c", BROKEN.replace("BODY", body)))


async def test_the_process_renders_what_relay_would_render(process):
    for live in (configuration(), configuration("{% section %}edited{% endsection %}")):
        context, begun = step(live)
        rendered = await process.render(live, context, begun, link, NOW)
        assert rendered == render_step(live, context, begun, link, NOW)
        assert not rendered.failures


async def test_built_in_templates_need_no_process(process):
    live = build_configuration(ConfigurationFiles(routes_file="r", routes_text=ROUTES, templates={}))
    await process.render(live, *step(live), link, NOW)
    assert process._process is None


@pytest.mark.parametrize("body", [KNOT, "import os; os._exit(1)", "[0] * (1 << 40)"], ids=["hash", "exit", "memory"])
async def test_what_never_ends_is_abandoned_while_the_loop_lives(body):
    worker, live = broken(body), configuration()
    longest, last = 0.0, time.perf_counter()

    async def tick():
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    ticking = asyncio.create_task(tick())
    with pytest.raises((TemplateAbandoned, ValueError)):
        await worker.render(live, *step(live), link, NOW)
    ticking.cancel()
    await worker.close()
    assert longest < 1


async def test_a_template_that_was_abandoned_thrice_is_not_tried_again_until_it_changes():
    worker, live = broken("import os; os._exit(1)"), configuration()
    for _ in range(3):
        with pytest.raises(TemplateAbandoned, match="took more than"):
            await worker.render(live, *step(live), link, NOW)
    with pytest.raises(TemplateAbandoned, match="3 times"):
        await worker.render(live, *step(live), link, NOW)
    changed = configuration("{% section %}changed{% endsection %}")
    with pytest.raises(TemplateAbandoned, match="took more than"):
        await worker.render(changed, *step(changed), link, NOW)
    await worker.close()


async def test_the_process_gets_no_secret_and_ends_with_its_input(process, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret-of-relay")
    live = configuration()
    await process.render(live, *step(live), link, NOW)
    started = process._process
    with open(f"/proc/{started.pid}/environ", "rb") as environment:  # noqa: ASYNC230, PTH123  a file of the kernel
        assert b"xoxb" not in environment.read()
    started.stdin.close()
    async with asyncio.timeout(10):
        assert await started.wait() == 0
