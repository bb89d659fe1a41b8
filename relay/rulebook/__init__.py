"""routes.yaml as one checked, immutable value: `load` gives a `Rulebook`, or says everything that is wrong."""

from relay.rulebook.load import load
from relay.rulebook.model import Fallback, Rulebook

__all__ = ["Fallback", "Rulebook", "load"]
