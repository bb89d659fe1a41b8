"""`relay serve`: the server, with its settings from the environment."""

import gc
import os

from relay.cli.loop import run
from relay.config.settings import Settings
from relay.runtime import logging
from relay.runtime.nonblocking_stderr import nonblocking_stderr

GARBAGE = 10_000
"""New objects after which Python looks for those that hold each other alive (it looks after 700 by itself)."""


def serve() -> None:
    """Run the server: take BigPanda's shares, keep Slack's cards true.

    Settings come from the environment: SLACK_BOT_TOKEN and RELAY_WEBHOOK_KEYS are required, and each secret X may be
    given as X_FILE, the path of a file that holds it. SIGTERM finishes what is in hand and stops; SIGHUP reads routes
    and templates again.
    """
    settings = Settings.from_env(os.environ).for_serving()
    with nonblocking_stderr(logging.report_lost_lines):
        logging.configure(log_format=settings.log_format, level=settings.log_level, secrets=settings.secret_values())
        from relay.app import serve as keep_house  # noqa: PLC0415  all of relay: not to be loaded for `relay --help`

        # What has been loaded lives as long as relay: looking through it for garbage, again and again, was a fifth of a
        # share's cost. What a share leaves behind is nearly all freed without that, so it can wait a little longer.
        gc.freeze()
        gc.set_threshold(GARBAGE)
        run(keep_house(settings))
