"""A console for text from outside. It is apart from `output`, since only what prints tables and links loads `rich`."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from relay.runtime.terminal import for_terminal, on_one_line


class SafeConsole(Console):
    """A console that writes only its own terminal codes, and none that are in a text or in a link."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a text with escapes in place of terminal codes."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control:
                yield segment
                continue
            if style is not None and style.link and on_one_line(style.link) != style.link:
                style = style.update_link(None)
            yield Segment(for_terminal(text), style)
