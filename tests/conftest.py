"""For every test."""

import pytest
import structlog
from hypothesis import HealthCheck, settings

# How long an example takes is the machine's business.
settings.register_profile("relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relay")


@pytest.fixture(autouse=True)
def _log_configuration_is_restored():
    """A command that a test calls configures the log of the whole process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
