"""`relay serve`: the server, with its settings from the environment."""

import gc
import os

import structlog

from relay.cli.environment import read_settings
from relay.cli.loop import run
from relay.runtime import logging
from relay.runtime.nonblocking_stderr import nonblocking_stderr

log = structlog.get_logger("relay")

GC_THRESHOLD = 10_000
"""New objects after which Python looks for reference cycles (its default is 700)."""


def serve() -> None:
    """Run the server: receive BigPanda's shares, and keep Slack's cards up to date.

    Example: `RELAY_WEBHOOK_KEYS=a-long-random-key SLACK_BOT_TOKEN_FILE=/run/secrets/token relay serve`.

    Settings come from the environment. SLACK_BOT_TOKEN and RELAY_WEBHOOK_KEYS are required. Each secret X can also be
    given as X_FILE, the path of a file that contains it. On SIGTERM, relay finishes the work in progress and stops; on
    SIGHUP, it reads routes and templates again. Exits with 2 if it cannot start.
    """
    from relay.config.settings import did_you_mean, mistyped

    settings = read_settings().for_serving()
    with nonblocking_stderr(logging.report_lost_lines):
        logging.configure(log_format=settings.log_format, level=settings.log_level, secrets=settings.secret_values())
        for name, near in mistyped(os.environ).items():
            log.warning("setting_unknown", setting=name, detail=f"No setting has this name{did_you_mean(near) or '.'}")
        # What is loaded lives as long as relay. Searching it for garbage again and again was a tenth of the cost of a
        # start, and a fifth of the cost of a share. Nearly everything that a share leaves behind is freed without that,
        # so the search can be rarer.
        gc.disable()
        from relay.app import serve as run_server
        from relay.runtime.service_manager import ServiceManager

        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        gc.enable()
        run(run_server(settings, ServiceManager.from_env(os.environ)))
