"""Takes over relay's cards in Slack that the database does not know: by hand what `relay serve` does by itself."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from relay.cards.adoption import AdoptionOutcome
from relay.cards.model import Channel, ChannelState
from relay.config.settings import Settings
from relay.delivery.adoption import ChannelAdoption, adopt_channel
from relay.delivery.channels import remedy_for
from relay.http.session import make_session
from relay.model.counting import counted
from relay.model.errors import SettingsError
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read
from relay.slack.responses import Identity, identity_of
from relay.slack.workspace import token_rejection, workspace_of
from relay.store.store import Store
from relay.tools.live_slack import slack_gateway
from relay.tools.live_store import stored_rulebook
from relay.tools.message_text import ChannelNames, channel_label, slack_names

_REASONS: Mapping[AdoptionOutcome, str] = {
    AdoptionOutcome.KNOWN: "the database has it already",
    AdoptionOutcome.ANOTHER_CARD: "the channel has another card of the incident",
    AdoptionOutcome.BEING_POSTED: "relay is posting another card of the incident",
    AdoptionOutcome.OLDER_EPISODE: "the incident has a newer card",
    AdoptionOutcome.ANOTHER_BOT: "another app posted it, or this app before it was installed again: nobody can edit it",
    AdoptionOutcome.ANOTHER_NAME: "a relay with another RELAY_NAME posted it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionReport:
    """The result for each channel: its cards, or why relay could not read it, with a remedy."""

    channels: Mapping[str, ChannelAdoption] = field(default_factory=dict)
    unread: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    names: ChannelNames = field(default_factory=dict)

    @property
    def outcomes(self) -> Counter[AdoptionOutcome]:
        """The result for all cards."""
        return sum((each.outcomes for each in self.channels.values()), Counter())

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "adopted": self.outcomes[AdoptionOutcome.ADOPTED],
            "channels": {
                ref: {"adopted": each.adopted, "left_alone": each.left_alone, "complete": each.complete}
                for ref, each in self.channels.items()
            },
            "unread": {ref: {"reason": reason, "remedy": remedy} for ref, (reason, remedy) in self.unread.items()},
        }

    def lines(self) -> Iterator[str]:
        """Return the report for people."""
        outcomes = self.outcomes
        adopted = outcomes.pop(AdoptionOutcome.ADOPTED, 0)
        yield f"{counted(adopted, 'card')} taken over in {counted(len(self.channels), 'channel')}."
        if outcomes:
            yield f"{counted(outcomes.total(), 'card')} left alone:"
            yield from (f"  {number} because {_REASONS[why]}" for why, number in sorted(outcomes.items()))
        for ref, each in self.channels.items():
            if not each.complete:
                yield f"{channel_label(ref, self.names)}: it has more messages than relay reads: shorten --since."
        for ref, (reason, remedy) in self.unread.items():
            yield f"{channel_label(ref, self.names)} was not read: {reason.replace('_', ' ')}. {remedy}".rstrip()


async def adopt(settings: Settings, store: Store, seconds: float, clock: Clock | None = None) -> AdoptionReport:
    """Read the channels that relay has looked up, so many seconds back, and take its cards over.

    Raises SettingsError: there is no token, Slack does not accept it, or it is that of another workspace or bot.
    """
    clock = clock or Clock()
    async with make_session() as session:
        slack = slack_gateway(session, settings, clock)
        identity = await _identity(slack, store)
        since, rulebook = await store.now() - seconds, await stored_rulebook(store)
        read = partial(adopt_channel, identity=identity, instance=settings.name, rulebook=rulebook, since=since)
        known = await store.channels()
        found: dict[str, ChannelAdoption] = {}
        unread: dict[str, tuple[str, str]] = {}
        for channel in known:
            if channel.canonical_ref is not None:
                continue
            problem = _problem(channel)
            if problem is None:
                answer = await read(slack, store, channel, now=await store.now())
                if isinstance(answer, ChannelAdoption):
                    found[channel.ref] = answer
                    await store.mark_read(channel.ref)
                    continue
                problem = answer.reason, answer.remedy
            unread[channel.ref] = problem
    return AdoptionReport(channels=found, unread=unread, names=slack_names(known))


async def _identity(slack: SlackGateway, store: Store) -> Identity:
    answer = await slack.auth_test()
    if not isinstance(answer, Read):
        raise SettingsError(f"Slack does not accept SLACK_BOT_TOKEN: {answer.reason}. {answer.remedy}".rstrip())
    identity, bound = identity_of(answer), await store.bound_workspace()
    if bound is not None and (rejected := token_rejection(bound, workspace_of(identity))) is not None:
        raise SettingsError(f"The token is for {rejected.reason.replace('_', ' ')}. {rejected.remedy}")
    return identity


def _problem(channel: Channel) -> tuple[str, str] | None:
    if channel.slack_id is None and channel.ref.startswith("#"):
        return "relay has not found it yet", "Start `relay serve`, which looks it up."
    if channel.state is ChannelState.REJECTED:
        return channel.reason, remedy_for(channel)
    return None
