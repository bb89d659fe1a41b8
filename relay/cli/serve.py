"""`relay serve`: the server, with its settings from the environment."""

import os

from relay import log
from relay.cli.loop import run
from relay.settings import Settings


def serve() -> None:
    """Run the server: take BigPanda's shares, keep Slack's cards true.

    Settings come from the environment: SLACK_BOT_TOKEN and RELAY_WEBHOOK_KEYS are required, and each secret X may be
    given as X_FILE, the path of a file that holds it. SIGTERM finishes what is in hand and stops; SIGHUP reads routes
    and templates again.
    """
    settings = Settings.from_env(os.environ).for_serving()
    log.set_up(form=settings.log_format, level=settings.log_level, secrets=settings.secrets())
    from relay.app import serve as keep_house  # noqa: PLC0415  all of relay: not to be loaded for `relay --help`

    run(keep_house(settings))
