"""`relay init`: a first routes.yaml, with its tests."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from relay.cli.output import fail, say

_NEXT = """
Next:
  1. Write your own channels, teams and user group into {routes}.
  2. relay check --strict{option}
  3. relay test{option}
  4. relay explain --state critical --tag team=payments{option}
  5. Try it with a simulated Slack: relay sandbox{option}
  6. Set {settings}. Then: relay doctor, and relay serve."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to write them; created if it does not exist.")
    ] = Path(),
) -> None:
    """Write a commented starter routes.yaml and routes.test.yaml, and say what to do next.

    Example: `relay init config`.

    The files pass `relay check --strict` and `relay test`. Never overwrites a file: exits with 1 if one of them exists,
    and writes neither. Exits with 2 if they cannot be written.
    """
    from relay.samples import STARTER, read_starter

    paths = {folder / name: read_starter(name) for name in STARTER}
    if existing := [path for path in paths if path.exists() or path.is_symlink()]:
        fail(f"{existing[0]} exists already, and nothing was written. Name another folder: relay init DIR.")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            with path.open("x", encoding="utf-8") as file:  # never a file that another program has just made
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        message = f"{error.filename or folder} cannot be written: {error.strerror or error}."
        raise typer.BadParameter(message, param_hint="DIR") from error
    routes = folder / "routes.yaml"
    elsewhere = folder != Path()
    say(f"Wrote {' and '.join(map(str, paths))}.")
    say(
        _NEXT.format(
            routes=routes,
            option=f" --routes {quote(str(routes))}" if elsewhere else "",
            settings=f"SLACK_BOT_TOKEN, RELAY_WEBHOOK_KEYS and RELAY_ROUTES={quote(str(routes))}"
            if elsewhere
            else "SLACK_BOT_TOKEN and RELAY_WEBHOOK_KEYS",
        )
    )
