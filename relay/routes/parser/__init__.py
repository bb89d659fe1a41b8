"""routes.yaml as one checked, immutable value: `load` gives a `Rulebook`, or says everything that is wrong."""

from relay.routes.parser.load import parse_rulebook
from relay.routes.parser.rulebook import Fallback, Rulebook

__all__ = ["Fallback", "Rulebook", "parse_rulebook"]
