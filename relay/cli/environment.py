"""Reads the settings of a command from the environment."""

import os
from typing import TYPE_CHECKING

from relay.runtime.secrets import hide_in_output, hiding

if TYPE_CHECKING:
    from relay.config.settings import Settings


def read_settings() -> "Settings":
    """Read the settings. From then on this process writes none of their secrets to stdout or stderr.

    Raises:
        SettingsError: a variable is invalid; the message shows no secret.
    """
    from relay.config.settings import Settings

    settings = Settings.from_env(os.environ)
    hide_in_output(hiding(settings.secret_values()))
    return settings
