"""Triggers: what a click brings with it, and what opens one modal (https://docs.slack.dev/surfaces/modals#triggers)."""

from dataclasses import dataclass
from typing import Final

from relay.sandbox.slack.errors import MethodError

TRIGGER_LIFETIME: Final = 3.0
"""Seconds for which a trigger is good."""


@dataclass(slots=True)
class _Trigger:
    user: str
    at: float
    used: bool = False


class TriggerIds:
    """All triggers that were ever given out."""

    def __init__(self) -> None:
        """Begin with none."""
        self._given: dict[str, _Trigger] = {}

    def issue(self, user: str, now: float) -> str:
        """Make one for a user."""
        number = len(self._given) + 1
        trigger = f"{number}.{int(now)}.{number:032x}"
        self._given[trigger] = _Trigger(user, now)
        return trigger

    def exchange(self, trigger: str, now: float) -> str:
        """Use one up; whose it was. Raises `Refused` for one that is nobody's, too old, or used already."""
        given = self._given.get(trigger)
        if given is None:
            raise MethodError("invalid_trigger_id")
        if given.used:
            raise MethodError("exchanged_trigger_id")
        if now - given.at > TRIGGER_LIFETIME:
            raise MethodError("expired_trigger_id")
        given.used = True
        return given.user
