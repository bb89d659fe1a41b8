"""The desk as a whole: who takes what people do, who runs the errands, and what both of them know."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.actions.bigpanda_gateway import Line
from relay.actions.interaction_handler import Desk
from relay.actions.people import People
from relay.actions.preflight import Carrier
from relay.actions.slack_gateway import Phone
from relay.actions.tag_definitions import Lexicon
from relay.actions.task_runner import Accept, Runner
from relay.actions.task_worker import Errands
from relay.bigpanda.client import BigPandaClient
from relay.cards import Card
from relay.config.configuration import Configuration
from relay.config.settings import Settings
from relay.metrics import Metrics
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Turns
from relay.runtime.clock import Clock
from relay.slack.client import SlackClient
from relay.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Everybody who works at it."""

    interactions: Desk
    tasks: Errands
    tag_definitions: Lexicon

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or somebody does something."""
        return self.interactions.idle and self.tasks.idle


def furnished(  # noqa: PLR0913  the shell is wired here
    settings: Settings,
    store: Store,
    slack: SlackClient,
    panda: BigPandaClient | None,
    *,
    budgets: Budgets,
    clock: Clock,
    live: Callable[[], Configuration],
    accept: Accept,
    ring: Callable[[], None],
    metrics: Metrics,
) -> Office:
    """Make the desk. Without a door to BigPanda nothing can be done through it, and buttons are not shown.

    `live` gives the configuration of the moment, `accept` takes a share as if BigPanda had sent it, and `ring` wakes
    whoever runs errands.
    """
    phone = Phone(slack, Turns(budgets, clock))
    line = None if panda is None else Line(panda, clock)
    people = People(phone, line, lambda: live().rulebook.users, clock)
    lexicon = Lexicon(store, line, clock, acts=settings.buttons_enabled)

    def governed(card: Card) -> Card:
        """The card under the rules of now: who may act must not wait for its next share."""
        options = live().rulebook.current_options(card.route, card.channel, card.options)
        return replace(card, options=options)

    words = lambda: live().rulebook.tag_labels  # noqa: E731  it is asked for again and again
    carrier = None if line is None else Carrier(line, people, words, settings.app_key, governed=governed)
    runner = carrier if carrier is None else Runner(store, carrier, phone, clock=clock, accept=accept, metrics=metrics)
    desk = Desk(store, phone, people, clock, ring, governed=governed, metrics=metrics, acts=settings.buttons_enabled)
    return Office(interactions=desk, tasks=Errands(store, runner, lexicon, clock), tag_definitions=lexicon)
