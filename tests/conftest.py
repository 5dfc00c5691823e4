"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# A busy machine is no mistake of the code: no example has a time limit of its own.
settings.register_profile(
    "pm500", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pm500")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """No test speaks through what a command set up in an earlier one."""
    yield
    structlog.reset_defaults()
