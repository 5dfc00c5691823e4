"""What polling asks of a meter, held against what its profile allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transforms.model.profile import Profile
from transforms.plan import MeterProtocol, PlannedGroup, groups_of

__all__ = ["Budget", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The load of one meter. It takes one connection at a time, which all allow."""

    groups: tuple[PlannedGroup, ...]
    requests_per_second: float
    limit_per_second: float
    mistakes: tuple[str, ...]


def plan(
    profile: Profile,
    protocol: MeterProtocol,
    periods: Mapping[str, float] | None,
) -> Budget:
    """The polling budget of a meter; ``mistakes`` says every way it is exceeded.

    ``periods`` are seconds by group as the site configured them, None for the
    profile's own. A description is read once an hour and does not count.
    """
    groups = groups_of(profile, protocol, periods)
    limits = profile.limits
    mistakes = [
        f"groups.{planned.group.name}: {planned.period_seconds:g} s is under the "
        f"profile's minimum of {limits.minimum_period_seconds:g} s"
        for planned in groups
        if planned.period_seconds < limits.minimum_period_seconds
    ]
    total = sum(planned.requests_per_second for planned in groups)
    total += _switching(profile, groups)
    # Periods are decimal fractions: their sum may miss an exact limit by a rounding.
    if total > limits.requests_per_second * (1 + 1e-9):
        mistakes.append(
            f"groups: {total:.2f} requests/s is over the profile's limit of "
            f"{limits.requests_per_second:g}"
        )
    if not groups:
        mistakes.append("groups: nothing to poll")
    return Budget(
        groups=groups,
        requests_per_second=total,
        limit_per_second=limits.requests_per_second,
        mistakes=tuple(mistakes),
    )


def _switching(profile: Profile, groups: Sequence[PlannedGroup]) -> float:
    """Requests a second that going from one protocol to the other and back costs.

    Each Modbus window begins with the identity registers, and EtherNet/IP after it
    with a session and the identity.
    """
    if profile.modbus is None or len({group.protocol for group in groups}) < 2:
        return 0.0
    each = len(profile.modbus.identity) + 2
    return sum(each / g.period_seconds for g in groups if g.protocol == "modbus")
