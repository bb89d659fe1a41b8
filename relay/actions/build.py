"""Makes the parts of the actions package, and connects them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from relay.actions.interaction_handler import InteractionHandler
from relay.actions.people import People
from relay.actions.permission import Permissions
from relay.actions.preflight import Preflight
from relay.actions.tag_definitions import TagDefinitions
from relay.actions.task_runner import AcceptShare, TaskRunner
from relay.actions.task_worker import TaskWorker
from relay.bigpanda.gateway import BigPandaGateway
from relay.config.configuration import Configuration
from relay.config.settings import Settings
from relay.metrics import Metrics
from relay.model.tag_labels import TagDefinition
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionServices:
    """The parts that the application runs."""

    interactions: InteractionHandler
    tasks: TaskWorker
    tag_definitions: TagDefinitions


def build_actions(  # noqa: PLR0913  each has a name
    settings: Settings,
    store: Store,
    slack: SlackGateway,
    bigpanda: BigPandaGateway | None,
    *,
    clock: Clock,
    live: Callable[[], Configuration],
    accept: AcceptShare,
    on_tag_definitions: Callable[[Mapping[str, TagDefinition]], None],
    metrics: Metrics,
) -> ActionServices:
    """Make them. Without access to BigPanda no action is possible, and cards have no buttons.

    `live` returns the live configuration, and `accept` takes a share as if BigPanda had sent it.
    """
    people = People(slack, bigpanda, lambda: live().rulebook.users, clock)
    permissions = Permissions(people, live)
    tag_definitions = TagDefinitions(store, bigpanda, clock, on_tag_definitions)
    runner = None
    if bigpanda is not None:
        preflight = Preflight(
            bigpanda, people, permissions, tag_labels=lambda: live().rulebook.tag_labels, app_key=settings.app_key
        )
        runner = TaskRunner(store, preflight, slack, bigpanda, clock=clock, accept=accept, metrics=metrics)
    tasks = TaskWorker(store, runner, tag_definitions, clock)
    interactions = InteractionHandler(
        store, slack, permissions, clock, tasks.wake, metrics=metrics, enabled=settings.buttons_enabled
    )
    return ActionServices(interactions=interactions, tasks=tasks, tag_definitions=tag_definitions)
