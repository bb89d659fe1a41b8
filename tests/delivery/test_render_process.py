"""An endless template delays only its own card by a second; the event loop keeps running, and everything else is
delivered."""

import asyncio
import time

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.draw import render_step
from relay.cards.model import CardContext, Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import begin_post
from relay.config.files import ConfigurationFiles, build_configuration
from relay.delivery import render_process
from relay.delivery.render_process import RenderProcess, TemplateAbandoned
from relay.runtime.worker_process import WorkerFailed
from relay.samples import read_sample
from tests.support.worker_functions import compare_for_years, die, fill_memory

NOW = 1_700_000_000.0
ROUTES = 'version: 1\nfallback: "#noc"\nroutes: [{name: all, match: {status: {min: unknown}}, post: ["#noc"]}]\n'


def configuration(card="{% section %}mine: {{ incident.title }}{% endsection %}"):
    return build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES, templates={"incident/card.j2": card})
    )


def step(live, incident="one"):
    body = orjson.loads(read_sample("documented"))
    body["incident"]["id"] = incident
    planned = plan(live.rulebook, None, [], parse_share(orjson.dumps(body), {}, NOW), {})
    channel = Channel(ref="#noc", slack_id="C0123456789", state=ChannelState.OPEN)
    context = CardContext(
        topic=planned.incident_state,
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


async def died(*_):
    """In place of a call of the process: its counts need no process."""
    raise WorkerFailed("its process died")


async def test_the_worker_process_renders_the_same_as_relay_itself(process):
    for live in (configuration(), configuration("{% section %}edited{% endsection %}")):
        context, begun = step(live)
        rendered = await process.render(live, context, begun, link, NOW)
        assert rendered == render_step(live, context, begun, link, NOW)
        assert not rendered.failures


async def test_built_in_templates_need_no_process(process):
    live = build_configuration(ConfigurationFiles(routes_file="r", routes_text=ROUTES, templates={}))
    await process.render(live, *step(live), link, NOW)
    await process.warm_up(live)
    assert process._worker._process is None


async def test_the_first_card_finds_a_process_that_has_loaded_the_configuration(process, monkeypatch):
    live = configuration()
    await process.warm_up(live)
    monkeypatch.delattr(render_process, "load")
    assert not (await process.render(live, *step(live), link, NOW)).failures


async def test_the_first_card_of_the_built_in_templates_finds_them_compiled(process, monkeypatch):
    live = build_configuration(ConfigurationFiles(routes_file="r", routes_text=ROUTES, templates={}))
    await process.warm_up(live)
    monkeypatch.setattr(live.library._environment, "compile", compiled_in_the_loop)
    assert not (await process.render(live, *step(live), link, NOW)).failures


def compiled_in_the_loop(*_, **__):
    raise AssertionError("a template was compiled while a card waited, and so did everything else")


async def test_a_process_that_was_killed_between_two_cards_is_replaced(process):
    live = configuration()
    await process.render(live, *step(live), link, NOW)
    process._worker._process.kill()
    assert not (await process.render(live, *step(live), link, NOW)).failures


@pytest.mark.parametrize("renders", [compare_for_years, die, fill_memory])
async def test_an_endless_template_is_abandoned_without_blocking_the_event_loop(process, monkeypatch, renders):
    monkeypatch.setattr(render_process, "render_loaded", renders)
    monkeypatch.setattr(render_process, "RENDER_SECONDS", 0.2)
    live = configuration()
    longest, last = 0.0, time.perf_counter()

    async def tick():
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    ticking = asyncio.create_task(tick())
    with pytest.raises(TemplateAbandoned):
        await process.render(live, *step(live), link, NOW)
    ticking.cancel()
    assert longest < 1


async def test_after_three_abandoned_renderings_an_incident_keeps_the_built_in_template_until_a_change(
    process, monkeypatch
):
    monkeypatch.setattr(process._worker, "call", died)
    live = configuration()
    for attempt in range(3):
        with pytest.raises(TemplateAbandoned, match="died"):
            await process.render(live, *step(live), link, NOW + 100 * attempt)
    with pytest.raises(TemplateAbandoned, match="3 times for this incident"):
        await process.render(live, *step(live), link, NOW + 1000)
    changed = configuration("{% section %}changed{% endsection %}")
    with pytest.raises(TemplateAbandoned, match="died"):
        await process.render(changed, *step(changed), link, NOW)


async def test_one_incident_does_not_block_a_template_for_the_others_for_long(process, monkeypatch):
    live = configuration()
    with monkeypatch.context() as hostile:
        hostile.setattr(process._worker, "call", died)
        for _ in range(3):
            with pytest.raises(TemplateAbandoned, match="died"):
                await process.render(live, *step(live, "hostile"), link, NOW)
    with pytest.raises(TemplateAbandoned, match="in a row"):
        await process.render(live, *step(live, "other"), link, NOW + 59)
    assert not (await process.render(live, *step(live, "other"), link, NOW + 61)).failures
    assert not (await process.render(live, *step(live, "other"), link, NOW + 62)).failures
    with pytest.raises(TemplateAbandoned, match="for this incident"):
        await process.render(live, *step(live, "hostile"), link, NOW + 63)
