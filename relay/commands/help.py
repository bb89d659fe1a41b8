"""The list of verbs, and the word that relay did not understand."""

from relay.commands.requests import VERBS, Help, Unclear
from relay.commands.texts import bold, mrkdwn_list, typed, written
from relay.rendering.blocks.marks import formatted
from relay.rendering.engine.filters import code, oneline


def help_text(request: Help | Unclear, command: str) -> str:
    """Return the list of verbs, after what was not understood."""
    if isinstance(request, Unclear):
        return f"{request.detail} All commands: {written(code(f'{command} help'))}"
    head = [bold("What you can ask relay")]
    if request.unknown:
        meant = f" Did you mean {code(request.meant)}?" if request.meant else ""
        head = [f"There is no {typed(request.unknown)}.{meant}", *head]
    lines = [f"• {code(f'{oneline(command, 40)} {verb.usage}')}: {formatted(verb.effect)}" for verb in VERBS.values()]
    return mrkdwn_list(head, lines)
