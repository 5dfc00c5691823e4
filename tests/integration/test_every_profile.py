"""What a profile puts into a meter comes out of the poller: all of them, all ways."""

from __future__ import annotations

import pytest

from connectors.profiles import load_profile, profile_names
from connectors.simulator import SimulatedMeter, running_simulator
from tests.connectors.polling.polled import plan_for, poll_until
from transforms.assemble import Assembler
from transforms.model.outcome import Meaning
from transforms.model.quality import Quality, Status
from transforms.plan import MeterProtocol

pytestmark = pytest.mark.integration

WAYS: list[tuple[str, MeterProtocol]] = [
    (name, protocol)
    for name in profile_names()
    for protocol in ("ethernet_ip", "modbus")
    if getattr(load_profile(name), protocol) is not None
]


@pytest.mark.parametrize(("profile", "protocol"), WAYS)
def test_every_reading_of_a_profile_comes_back_as_the_simulator_sent_it(
    profile: str, protocol: MeterProtocol
) -> None:
    meter = SimulatedMeter(name="m", address="127.9.1.1", profile=profile, seed=5)
    with running_simulator([meter]) as simulator:
        periods = {
            group.name: 0.5
            for group in load_profile(profile).group
            if group.requests(protocol)  # type: ignore[arg-type]
        }
        meaning = Meaning(commissioned=True, energy_high_multiplier=1e6)
        plan = plan_for(
            simulator,
            "127.9.1.1",
            profile=profile,
            protocol=protocol,
            groups=periods,
            meaning=meaning,
        )
        outcomes, _ = poll_until(
            [plan], lambda o, _: {x.group for x in o} == set(range(len(periods)))
        )
        requests = list(simulator.record.requests)
    assembler = Assembler([plan.polled])
    schemas = {schema.group: schema for schema in assembler.schemas}
    for outcome in outcomes:
        assert outcome.status is Status.OK
        frame = assembler.frame(outcome)
        record = schemas[frame.group].decode(frame.value)
        sent = {
            name: value
            for request in requests
            if outcome.sent_us <= request.time_us <= outcome.received_us
            for name, value in request.values.items()
        }
        names = schemas[frame.group].names
        assert set(names) <= set(sent)
        assert set(record.quality) == {Quality.GOOD}
        readings = dict(zip(names, record.values, strict=True))
        assert readings == pytest.approx({name: sent[name] for name in names}, rel=2e-7)
