"""The desk as a whole: who takes what people do, who runs the errands, and what both of them know."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from relay.actions.bigpanda_gateway import BigPandaGateway
from relay.actions.interaction_handler import InteractionHandler
from relay.actions.people import People
from relay.actions.preflight import Preflight
from relay.actions.slack_gateway import SlackGateway
from relay.actions.tag_definitions import TagDefinitions
from relay.actions.task_runner import AcceptShare, TaskRunner
from relay.actions.task_worker import TaskWorker
from relay.bigpanda.client import BigPandaClient
from relay.cards.model import Card
from relay.config.configuration import Configuration
from relay.config.settings import Settings
from relay.metrics import Metrics
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock
from relay.slack.client import SlackClient
from relay.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionServices:
    """Everybody who works at it."""

    interactions: InteractionHandler
    tasks: TaskWorker
    tag_definitions: TagDefinitions

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or somebody does something."""
        return self.interactions.idle and self.tasks.idle


def build_actions(  # noqa: PLR0913  the shell is wired here
    settings: Settings,
    store: Store,
    slack: SlackClient,
    panda: BigPandaClient | None,
    *,
    budgets: Budgets,
    clock: Clock,
    live: Callable[[], Configuration],
    accept: AcceptShare,
    ring: Callable[[], None],
    metrics: Metrics,
) -> ActionServices:
    """Make the desk. Without a door to BigPanda nothing can be done through it, and buttons are not shown.

    `live` gives the configuration of the moment, `accept` takes a share as if BigPanda had sent it, and `ring` wakes
    whoever runs errands.
    """
    phone = SlackGateway(slack, Throttle(budgets, clock))
    line = None if panda is None else BigPandaGateway(panda, clock)
    people = People(phone, line, lambda: live().rulebook.users, clock)
    lexicon = TagDefinitions(store, line, clock, acts=settings.buttons_enabled)

    def governed(card: Card) -> Card:
        """The card under the rules of now: who may act must not wait for its next share."""
        options = live().rulebook.current_options(card.route, card.channel, card.options)
        return replace(card, options=options)

    words = lambda: live().rulebook.tag_labels  # noqa: E731  it is asked for again and again
    carrier = None if line is None else Preflight(line, people, words, settings.app_key, governed=governed)
    runner = (
        carrier if carrier is None else TaskRunner(store, carrier, phone, clock=clock, accept=accept, metrics=metrics)
    )
    desk = InteractionHandler(
        store, phone, people, clock, ring, governed=governed, metrics=metrics, acts=settings.buttons_enabled
    )
    return ActionServices(interactions=desk, tasks=TaskWorker(store, runner, lexicon, clock), tag_definitions=lexicon)
