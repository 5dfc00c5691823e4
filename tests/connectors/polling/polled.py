"""Polls simulated meters in this process and gives what came out."""

from __future__ import annotations

from collections.abc import Callable

from connectors.polling.partition import PollingThread
from connectors.polling.plan import MeterPlan, PollSettings
from connectors.profiles import load_profile
from connectors.simulator import Simulator
from tests.kit import until
from transforms.assemble import PolledGroup, PolledMeter
from transforms.codec.records import Event
from transforms.model.outcome import Meaning, Outcome
from transforms.plan import MeterProtocol, groups_of

__all__ = ["QUICK", "plan_for", "poll_until"]

QUICK = PollSettings(
    timeout_seconds=0.3,
    backoff_seconds=0.3,
    backoff_maximum_seconds=0.6,
    suspension_grace_seconds=3.0,
)


def plan_for(
    simulator: Simulator,
    address: str,
    *,
    index: int = 0,
    profile: str = "pm500",
    protocol: MeterProtocol = "ethernet_ip",
    groups: dict[str, float] | None = None,
    meaning: Meaning | None = None,
) -> MeterPlan:
    """A plan for one simulated meter."""
    model = load_profile(profile)
    planned = groups_of(model, protocol, groups)
    return MeterPlan(
        index=index,
        polled=PolledMeter(
            asset=f"test/sim/m{index}",
            profile=model,
            groups=tuple(
                PolledGroup(
                    group=p.group,
                    protocol=p.protocol,
                    period_us=round(p.period_seconds * 1e6),
                )
                for p in sorted(planned, key=lambda p: p.protocol == "modbus")
            ),
        ),
        host=address,
        ethernet_ip_port=simulator.ethernet_ip_port,
        modbus_port=simulator.modbus_port,
        modbus_unit=1,
        stagger_us=0,
        meaning=lambda _: meaning or Meaning(),
    )


def poll_until(
    plans: list[MeterPlan],
    enough: Callable[[list[Outcome], list[Event]], bool],
    settings: PollSettings = QUICK,
    seconds: float = 20.0,
) -> tuple[list[Outcome], list[Event]]:
    """Poll until there is enough; outcomes and events in the order of their coming."""
    thread = PollingThread(plans, settings)
    outcomes: list[Outcome] = []
    events: list[Event] = []

    def found() -> bool:
        if thread.error is not None:
            raise thread.error
        for item in thread.take(10_000):
            if isinstance(item, Outcome):
                outcomes.append(item)
            else:
                events.append(item)
        return enough(outcomes, events)

    thread.start()
    try:
        until(found, "enough polls", seconds)
    finally:
        thread.stop()
    return outcomes, events
