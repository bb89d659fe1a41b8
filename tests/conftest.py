"""For every test."""

from hypothesis import HealthCheck, settings

# How long an example takes is the machine's business.
settings.register_profile("relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relay")
