"""Shorter intervals for a relay in a process of its own, so that no test waits as long as relay would.

What a test waits for still happens by itself, for the same reason. Only times that relay lets pass on purpose become
shorter. A time limit that a busy machine could exceed stays as it is, except where the test makes relay reach it.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module


def intervals(seconds: Mapping[str, float]) -> Callable[[], None]:
    """Return the `prepare` of a forked relay (`relay_process.running`) that has these seconds instead of its own.

    A name is that of a constant with its module, such as `relay.delivery.leader.POLL_EVERY`.
    """
    return partial(_set, dict(seconds))


def _set(seconds: Mapping[str, float]) -> None:
    for name, value in seconds.items():
        module, _, constant = name.rpartition(".")
        before = getattr(import_module(module), constant)
        assert isinstance(before, (int, float)), f"{name} is {before!r}"
        for importing in [each for each in list(sys.modules) if each.startswith("relay.")]:
            if vars(sys.modules[importing]).get(constant) is before:
                setattr(sys.modules[importing], constant, value)
