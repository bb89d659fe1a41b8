"""The shares that relay is packaged with. `documented` is https://docs.bigpanda.io/en/notifications-webhook.html."""

from importlib.resources import files
from typing import Final

_FILES: Final = {"documented": "documented-sample.json"}

SAMPLES: Final = tuple(_FILES)


def read_sample(name: str) -> bytes:
    """Return the body of the sample with that name."""
    return files("relay.samples").joinpath(_FILES[name]).read_bytes()


STARTER: Final = ("routes.yaml", "routes.test.yaml")
"""The files that `relay init` writes."""


def read_starter(name: str) -> str:
    """Return the text of a starter file."""
    return files("relay.samples").joinpath("starter", name).read_text(encoding="utf-8")
