"""The browser for tests of pages: headless chromium, or the chromium that this machine has."""

import shutil
from typing import Final

NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
"""The first one draws the same pages, and takes a third of the processor time of a whole browser."""
ARGUMENTS: Final = (
    "--no-sandbox",  # root may not start it otherwise, and it sees nothing but this project's own pages
    "--disable-gpu",
    "--in-process-gpu",  # it draws nothing, and would be one more process
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING: Final = "no chromium on this machine: apt-get install chromium-headless-shell, or chromium"


def chromium() -> str | None:
    """Where it is, if anywhere."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
