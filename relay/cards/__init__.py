"""Fold the share into the record, say what happened, and which cards are due: the one judgement, and it is pure.

Live work, `explain`, `render`, `test` and `backtest` all call `plan`; what a due card then does is in `steps`, what its
replies say in `telling`.
"""

from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardContext,
    CardState,
    CardUpdate,
    Channel,
    ChannelState,
    Due,
    Entry,
    EntryKind,
    IncidentState,
    Plan,
    PreviousCard,
    ShareOutcome,
    Task,
    TaskKind,
)
from relay.cards.plan import plan

__all__ = [
    "Attempt",
    "AttemptState",
    "Card",
    "CardContext",
    "CardState",
    "CardUpdate",
    "Channel",
    "ChannelState",
    "Due",
    "Entry",
    "EntryKind",
    "IncidentState",
    "Plan",
    "PreviousCard",
    "ShareOutcome",
    "Task",
    "TaskKind",
    "plan",
]
