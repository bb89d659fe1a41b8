"""Whether reminders can be sent: relay must know who has an incident, since it reminds people only if nobody has it."""

from collections.abc import Collection, Iterator
from typing import Final

from relay.cards.reminding import has_reminders, why_none_run
from relay.routes.rulebook import Rulebook
from relay.tools.doctor.report import Finding, error, join_names, ok

_SUBJECT: Final = "reminders"
_REMEDY: Final = (
    "Set BIGPANDA_API_KEY to the key of a BigPanda user who may read incidents, or switch addAssignments on in the "
    "integration. Without both, remove `remind`."
)


def reminder_findings(rulebook: Rulebook, integrations: Collection[str], *, can_ask: bool) -> Iterator[Finding]:
    """One finding if the routes have reminders; `integrations` are those that have shared who has an incident."""
    if not has_reminders(rulebook):
        return
    if why_none_run(rulebook, integrations, can_ask=can_ask):
        message = "routes have `remind`, but relay cannot ask BigPanda who has an incident, and no share says so."
        yield error(_SUBJECT, message, _REMEDY)
    elif can_ask:
        yield ok(_SUBJECT, "before each, relay asks BigPanda who has the incident.")
    else:
        names = join_names(sorted(integrations))
        yield ok(_SUBJECT, f"who has an incident is known from the shares of {names} alone; others get no reminder.")
