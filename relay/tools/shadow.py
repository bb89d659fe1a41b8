"""What routes in shadow would have done with an incident: its stored shares, simulated with everything live.

The simulation takes the decisions of live work, so it says what would have been posted, when, and to whom. It uses the
routes and templates that are live now, as an operator wants to know before they switch a route on.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.config.configuration import Configuration
from relay.model.errors import ShareError
from relay.model.struct import replace
from relay.store.store import Store
from relay.store.types import IncidentHistory, ShareBody
from relay.tools.compare import ConfigurationComparison, IncidentDifference
from relay.tools.message_text import ChannelNames, alias_names, channel_label, format_time, message_text, people_label
from relay.tools.simulate import SimulatedCard, Simulation


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowReport:
    """The cards that routes in shadow would have made or governed, and how the incident would differ in Slack."""

    cards: Sequence[SimulatedCard]
    difference: IncidentDifference | None


def shadow_report(
    live: Configuration, shares: Sequence[ShareBody], canonical_refs: Mapping[str, str]
) -> ShadowReport | None:
    """Report on one incident by its stored shares, the oldest first; None if nothing in shadow matches it."""
    parsed = list(_parsed(shares))
    before = Simulation(live, canonical_refs=canonical_refs, render=False).receive_all(parsed)
    in_shadow = {
        route
        for share in before.shares
        if share.plan
        for route in share.plan.decision.get("shadow", {}).get("routes", ())
    }
    if not in_shadow:
        return None
    candidate = with_shadow_live(live)
    after = Simulation(candidate, canonical_refs=canonical_refs, render=False).receive_all(parsed)
    return ShadowReport(
        cards=tuple(each for each in after.cards if each.card.route in in_shadow),
        difference=ConfigurationComparison(live, candidate).compare(parsed[0].incident, before, after),
    )


def is_in_shadow(history: IncidentHistory) -> bool:
    """Whether a route in shadow has matched one of the incident's shares."""
    return any(share.decision.get("shadow") for share in history.shares)


async def read_shadow(store: Store, live: Configuration, history: IncidentHistory) -> ShadowReport | None:
    """Report on an incident in the database, by the live configuration. Raises StoreError: the database failed."""
    if not is_in_shadow(history):
        return None
    shares = await store.recorded_incident(history.state.record.incident)
    refs = {each.ref: each.canonical_ref for each in await store.channels() if each.canonical_ref is not None}
    return await asyncio.to_thread(shadow_report, live, shares, refs)


def with_shadow_live(configuration: Configuration) -> Configuration:
    """The same configuration with everything live that is in shadow."""
    return replace(configuration, rulebook=configuration.rulebook.with_shadow_live())


def on_terminal(report: ShadowReport, names: ChannelNames) -> Iterator[str]:
    """The report as lines."""
    yield "In shadow: with these routes live, relay would have posted this. Nothing of it was sent."
    for each in report.cards:
        yield from (f"  {line}" for line in _card(each, names))
    yield "  Compared with what is live:"
    details = report.difference.details if report.difference else ("there is no difference in Slack",)
    yield from (f"    {line}" for line in details)


def _card(simulated: SimulatedCard, names: ChannelNames) -> Iterator[str]:
    card, first, root = simulated.card, simulated.first, simulated.root
    where = f"{channel_label(card.channel, names)}, by route {card.route}"
    if first is None or root is None:
        yield f"no card in {where}: {card.reason or card.state}"
        return
    yield f"a card in {where}, posted at {format_time(first.at)}, pinging {people_label(first.pings, names)}. It reads:"
    yield from (f"  {line}" for line in message_text(root.message, names).splitlines())
    for reply in simulated.replies:
        pings = f", pinging {people_label(reply.pings, names)}" if reply.pings else ""
        yield f"  in the thread, at {format_time(reply.at)}{pings}:"
        yield from (f"    {line}" for line in message_text(reply.message, names).splitlines())


def names_of(configuration: Configuration, slack: ChannelNames) -> ChannelNames:
    """The names of channels and people for the report."""
    return {**slack, **alias_names(configuration.rulebook)}


def _parsed(shares: Sequence[ShareBody]) -> Iterator[Share]:
    for each in shares:
        try:
            yield parse_share(each.body, each.headers, each.received)
        except ShareError:  # stored by another version of relay
            continue
