"""The live routes with their hits, the faults of the last edit, and a playground for a share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.bigpanda.webhook.parsing import parse_share
from relay.config.configuration import Configuration
from relay.tools import explain, route_tree
from relay.tools.board.source import BoardSource
from relay.tools.message_text import message_text, people_label
from relay.tools.render import sent_as_json
from relay.tools.simulate import simulate

DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesPage:
    """The page. `tree` is that of `relay routes --json`; `hits` are the shares of the last day by route."""

    tree: Mapping[str, Any]
    hits: Mapping[str, int]
    faults: tuple[str, ...]
    text: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundResult:
    """The effects of a share: `tree` as in `relay explain --json`, and the messages, each with its channel."""

    explanation: Mapping[str, Any]
    messages: tuple[Mapping[str, Any], ...]


async def read_routes(source: BoardSource) -> RoutesPage:
    """Read the page. Raises StoreError: the database failed."""
    configuration = source.live()
    return RoutesPage(
        tree=route_tree.as_json(configuration.rulebook),
        hits=await source.store.route_hits(source.clock.now() - DAY),
        faults=tuple(map(str, source.faults())),
        text=configuration.rulebook.text,
        hash=configuration.hash,
    )


async def try_share(source: BoardSource, text: str) -> PlaygroundResult:
    """Explain and render a pasted share, as the first of its incident; nothing is stored or sent.

    Raises ShareError: it is not a share; it says why.
    """
    names = await source.names()
    return await asyncio.to_thread(_try, source.live(), text, source.clock.now(), names)


def _try(configuration: Configuration, text: str, now: float, names: Mapping[str, str]) -> PlaygroundResult:
    share = parse_share(text.encode("utf-8", "replace"), {}, now)
    simulations = simulate(configuration, [share])
    messages = []
    for simulation in simulations.values():
        for card in simulation.cards:
            if card.root is not None and card.first is not None:
                payload = sent_as_json(card.root)["message"]
                messages.append(
                    {
                        "channel": names.get(card.card.channel, card.card.channel),
                        "pings": people_label(card.first.pings, names),
                        "message": payload | {"ts": str(card.first.at), "author": "relay", "bot": True},
                        "text": message_text(card.root.message, names),
                    }
                )
    return PlaygroundResult(
        explanation=explain.as_json(explain.explain(configuration.rulebook, share)), messages=tuple(messages)
    )
