"""Every key of routes.yaml and where it may stand: one table, for checking and for what describes the file."""

from collections.abc import Mapping
from enum import StrEnum

from relay.routes.parser.context import ParseContext, suggestion
from relay.routes.parser.yaml_nodes import MappingNode, ScalarNode


class Place(StrEnum):
    """The parts of the file that have keys of their own; the value is how a sentence names them."""

    TOP = "at the top"
    DEFAULTS = "in defaults"
    ROUTE = "in a route"
    POST = "in a post item"


_EVERYWHERE_BUT_TOP = (Place.DEFAULTS, Place.ROUTE, Place.POST)

PLACES: Mapping[str, tuple[Place, ...]] = {
    **dict.fromkeys(("version", "channels", "fallback", "tag_values", "users", "defaults"), (Place.TOP,)),
    "routes": (Place.TOP, Place.ROUTE),
    **dict.fromkeys(("name", "enabled", "match", "continue", "note", "post"), (Place.ROUTE,)),
    **dict.fromkeys(("channel", "mention"), (Place.POST,)),
    **dict.fromkeys(("template", "thread", "broadcast", "gather", "wait", "reopen_within"), _EVERYWHERE_BUT_TOP),
    **dict.fromkeys(("show_tags", "runbook_tags", "in_doubt", "allow_external"), _EVERYWHERE_BUT_TOP),
    **dict.fromkeys(("actions", "actors", "sync_replies", "stale_after"), _EVERYWHERE_BUT_TOP),
}


def check_keys(table: MappingNode, place: Place, reading: ParseContext) -> None:
    """Fault every key that has no business there; `x-...` is free."""
    for word, _ in table.entries:
        if place in PLACES.get(word.text, ()) or word.text.startswith("x-"):
            continue
        reading.add_fault(word, _misplaced(word, place))


def _misplaced(word: ScalarNode, place: Place) -> str:
    here = [key for key, places in PLACES.items() if place in places]
    if elsewhere := PLACES.get(word.text):
        meant = [key for key in here if key in (word.text.removesuffix("s"), f"{word.text}s")]
        hint = f"; did you mean '{meant[0]}'?" if meant else ""
        return f"'{word.text}' does not stand {place}; it stands {' or '.join(elsewhere)}{hint}"
    return f"'{word.text}' is no key that may stand {place}{suggestion(word.text, here)}"
