"""relay: BigPanda's shared incidents as living Slack cards."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bigpanda-relay")
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+unknown"
