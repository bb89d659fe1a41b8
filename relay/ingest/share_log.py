"""The lines of the log about a share: what it leads to."""

from collections.abc import Mapping

import structlog

from relay.cards.model import ShareOutcome
from relay.store.types import AcceptedShare

MAX_LOGGED = 20
"""The most routes or channels that one line of the log names."""

log = structlog.get_logger("relay.ingest")


def log_share(accepted: AcceptedShare) -> None:
    """Log one line for the share, and one for each card that begins or ends; a message is logged when it is sent."""
    decision = accepted.decision
    share_log = log.bind(incident=accepted.incident, share=accepted.share_id)
    if accepted.outcome is None:
        cause = f"The share is stored, but cannot be planned: {accepted.error}."
        detail = f"{cause} Relay keeps it and tries again; `relay letters` lists it."
        share_log.error("share_not_planned", detail=detail)
        return
    decided = {name: decision[name] for name in ("state", "entries", "dropped") if decision.get(name)}
    if shadow := decision.get("shadow"):
        decided["shadow"] = shadow["routes"]
    outcome, routes = str(accepted.outcome), list(accepted.routes)
    share_log.info("share_stored", outcome=outcome, routes=routes, **decided, detail=_described(accepted))
    if unread := decision.get("unread"):
        detail = "Comparing this incident with the routes took too long; these routes were not compared."
        share_log.warning("routes_unread", routes=list(unread)[:MAX_LOGGED], detail=detail)
    for unnamed in decision.get("unnamed", ()):
        share_log.warning("channel_unnamed", route=unnamed["route"], detail=unnamed["detail"])
    for card in decision.get("cards", ()):
        if card["reason"] != "changed":
            place = {"route": card["route"], "channel": card["channel"], "reason": card["reason"]}
            share_log.debug("card_decided", **place, detail=f"A card {_CARD_REASONS[card['reason']]}.")


_OUTCOMES: Mapping[ShareOutcome, str] = {
    ShareOutcome.FIRST: "The first share of an incident that gets a card",
    ShareOutcome.UPDATE: "A share with news",
    ShareOutcome.NOTHING_NEW: "A share without news",
    ShareOutcome.REPEAT: "The same share as before",
    ShareOutcome.ENDED_LONG_AGO: "The first share of an incident that ended long ago: it gets no card",
    ShareOutcome.DROPPED: "A route drops this incident: it gets no card",
    ShareOutcome.NO_ROUTE: "No route matches, and there is no fallback: the incident gets no card",
}
_CARD_REASONS: Mapping[str, str] = {
    "matched": "begins, since a route matches",
    "no_route": "begins in the fallback channel, since no route matches",
    "reopened_late": "ends: the incident was reopened late, and gets a new card",
}


def _described(accepted: AcceptedShare) -> str:
    """Return a sentence about the effects of a share."""
    begun = [str(card["channel"]) for card in accepted.decision.get("cards", ()) if card["new"]]
    news = ", ".join(str(kind).replace("_", " ") for kind in accepted.decision.get("entries", ()))
    cards = f"; new cards in {', '.join(begun[:MAX_LOGGED])}" if begun else ""
    outcome = _OUTCOMES[accepted.outcome] if accepted.outcome else ""
    return f"{outcome}{f' ({news})' if news else ''}{cards}."
