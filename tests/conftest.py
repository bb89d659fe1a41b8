"""For every test."""

import gc
import os
import shutil
import sys
from compileall import compile_dir
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from tests.support.browser import ARGUMENTS, MISSING, chromium

# How long an example takes is the machine's business. `make soak` tries the usual number of examples.
settings.register_profile("soak", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", settings.get_profile("soak"), max_examples=30)
settings.load_profile("suite")

TESTS = Path(__file__).resolve().parent
MEMORY = Path("/dev/shm")
ENOUGH = 4 << 30
"""Bytes that must be free in memory before the tests put their databases there."""

RARE_COLLECTION = (10_000, 20, 50)
"""Python's own thresholds, 700, 10 and 10, cost the tests a tenth of their processor time, and save a few megabytes."""

PLAIN_LOG = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.dev.set_exc_info,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
]
"""What a test that fails shows of the log. structlog's own default aligns and colours each line, which costs more."""


def pytest_configure(config):
    """Put the folders of tests into memory if there is space: tests kill relay, but never the machine.

    Garbage is collected rarely. Compiled tests are kept: without that, each worker takes seconds to compile them all.
    """
    gc.set_threshold(*RARE_COLLECTION)
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    structlog.configure(processors=PLAIN_LOG)
    if not hasattr(config, "workerinput"):
        compile_dir(TESTS.parent / "relay", quiet=2)  # once, before each worker does


def import_own_share(config):
    """Import this worker's share of the tests first: in a new checkout, each would compile all of them."""
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return
    folders = [Path(each.partition("::")[0]).resolve() for each in config.args]
    files = sorted({file for folder in folders for file in folder.rglob("test_*.py")})
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        with suppress(Exception, pytest.skip.Exception):  # what fails here is reported when it is collected
            import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Collect no garbage while everything is imported: there is none, and each worker would search for it."""
    gc.disable()
    try:
        import_own_share(session.config)
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish():
    """Exclude imported objects from later garbage collections: they are many, and none of them is freed."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    """Restore the configuration of the log: a command that a test calls configures that of the whole process."""
    before = structlog.get_config()
    try:
        return (yield)
    finally:
        structlog.configure(**before)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser():
    """One browser for all tests of pages."""
    from playwright.async_api import async_playwright, expect  # noqa: PLC0415  few tests need it

    executable = chromium()
    if executable is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=20_000)  # a busy machine needs longer than the default of five seconds
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        await browser.close()
