"""Every message and modal of relay, as Slack checks them: drawn once for many tests."""

from collections.abc import Callable, Mapping

from relay.tools.check.slack_validation import Surface, surfaces


def drawn_once() -> Callable[[Mapping[str, str]], list[Surface]]:
    """Make a function like `surfaces` that draws those of each set of templates once."""
    drawn: dict[tuple[tuple[str, str], ...], list[Surface]] = {}

    def found(sources: Mapping[str, str]) -> list[Surface]:
        key = tuple(sorted(sources.items()))
        if key not in drawn:
            drawn[key] = [*surfaces(sources)]
        return drawn[key]

    return found
