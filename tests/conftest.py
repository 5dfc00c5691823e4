"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no mistake of the code: no example has a time limit of its own.
settings.register_profile(
    "pm500", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pm500")
