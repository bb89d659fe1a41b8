"""The shares that relay is packaged with, for tests that need no file of their own."""

from importlib import resources
from typing import Final

_FILES: Final = {"documented": "documented-sample.json"}

NAMES: Final = tuple(_FILES)
"""`documented` is the sample of https://docs.bigpanda.io/en/notifications-webhook.html."""


def sample(name: str) -> bytes:
    """The body of that name."""
    return resources.files("relay").joinpath("samples", _FILES[name]).read_bytes()
