from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.profiles import load_profile
from sinks.sparkplug.device import Device
from sinks.sparkplug.node_metrics import NodeMetrics, NodeValues
from sinks.sparkplug.payload import PayloadError, bare, death, parse
from tests.sinks.sparkplug.wire import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    Payload,
    decode,
)
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.model.quality import Quality, Status

PROFILE = load_profile("pm500")
REALTIME = frame_schema(PROFILE, PROFILE.group_named("realtime"))
ENERGY = frame_schema(PROFILE, PROFILE.group_named("energy"))
WIDTH = len(REALTIME.columns)
GOOD = bytes(WIDTH)
NOW_MS = 1_700_000_000_000


def device(*, include_datatype: bool = False) -> Device:
    return Device((REALTIME, ENERGY), first_alias=4, include_datatype=include_datatype)


def live(
    to: Device,
    quality: bytes = GOOD,
    value: float = 1.5,
    schema: FrameSchema = REALTIME,
    seq: int = 7,
) -> Payload:
    values = [
        math.nan if code >= Quality.BAD_NO_VALUE else value + n
        for n, code in enumerate(quality)
    ]
    us = NOW_MS * 1000
    record = schema.decode(schema.encode(1, 1, us, us, us, Status.OK, quality, values))
    to.take(schema, record)
    refill = to.data(schema, record)
    assert refill is not None
    return decode(refill.encode(seq, NOW_MS + 20))


def coded(**codes: Quality) -> bytes:
    return bytes(codes.get(name, Quality.GOOD) for name in REALTIME.names)


def test_the_will_holds_bd_seq_only() -> None:
    payload = decode(death(255, NOW_MS))
    assert payload.seq is None
    assert [(m.name, m.datatype, m.value) for m in payload.metrics] == [
        ("bdSeq", INT64, 255)
    ]


def test_a_ddeath_holds_seq_and_time_only() -> None:
    assert decode(bare(0, NOW_MS)) == Payload(timestamp=NOW_MS, seq=0)


def test_bytes_that_are_no_payload_are_refused() -> None:
    with pytest.raises(PayloadError):
        parse(b"{not protobuf")


def test_tck_id_topics_nbirth_metric_reqs() -> None:
    own = NodeMetrics(scan_rate_ms=1000, include_datatype=False)
    payload = decode(own.birth(3, NOW_MS, NodeValues(0, 0, 0)))
    assert [(m.name, m.alias, m.datatype, m.value) for m in payload.metrics] == [
        ("bdSeq", None, INT64, 3),
        ("Node Control/Rebirth", None, BOOLEAN, False),
        ("Node Control/Reboot", None, BOOLEAN, False),
        ("Node Control/Next Server", None, BOOLEAN, False),
        ("Node Control/Scan Rate", None, INT32, 1000),
        ("Node Info/uptimeSeconds", 1, INT64, 0),
        ("Node Info/pollErrors", 2, INT64, 0),
        ("Node Info/backlogRecords", 3, INT64, 0),
    ]
    assert payload.seq == 0


def test_node_data_holds_what_has_changed() -> None:
    own = NodeMetrics(scan_rate_ms=1000, include_datatype=True)
    own.birth(3, NOW_MS, NodeValues(0, 0, 5))
    payload = decode(own.data(9, NOW_MS, NodeValues(10, 0, 0)))
    assert [(m.alias, m.datatype, m.value) for m in payload.metrics] == [
        (1, INT64, 10),
        (3, INT64, 0),
    ]


def test_a_birth_names_every_metric_of_every_group() -> None:
    payload = decode(device().birth(1, NOW_MS))
    assert [m.name for m in payload.metrics] == [*REALTIME.names, *ENERGY.names]
    assert [m.alias for m in payload.metrics] == list(
        range(4, 4 + len(payload.metrics))
    )
    assert all(m.null and m.properties["Quality"] == 500 for m in payload.metrics)


def test_a_birth_says_values_units_and_types() -> None:
    meter = device()
    live(meter)
    live(meter, bytes(len(ENERGY.columns)), schema=ENERGY)
    payload = decode(meter.birth(1, NOW_MS))
    volts, energy = payload.named("voltageAN"), payload.named("energyImport")
    assert (volts.datatype, volts.value, volts.properties) == (
        FLOAT, 1.5, {"engUnit": "V"},
    )  # fmt: skip
    assert volts.property_types == {"engUnit": STRING}
    assert (energy.datatype, energy.properties) == (DOUBLE, {"engUnit": "kWh"})
    assert payload.named("powerFactor").properties == {}
    assert volts.timestamp == NOW_MS


def test_tck_id_payloads_metric_datatype_not_req() -> None:
    payload = live(device())
    assert {m.datatype for m in payload.metrics} == {None}
    assert {m.datatype for m in live(device(include_datatype=True)).metrics} == {FLOAT}


def test_data_holds_alias_time_and_value() -> None:
    payload = live(device(), seq=200)
    assert (payload.seq, payload.timestamp) == (200, NOW_MS + 20)
    assert [m.value for m in payload.metrics] == [1.5 + n for n in range(WIDTH)]
    assert {m.timestamp for m in payload.metrics} == {NOW_MS}
    assert {m.name for m in payload.metrics} == {None}
    assert all(not m.properties and not m.historical for m in payload.metrics)


def test_an_uncertain_reading_is_192_and_uncertain_until_it_is_good_again() -> None:
    meter = device()
    quality = coded(voltageAN=Quality.UNCERTAIN_NOT_COMMISSIONED)
    for _ in range(3):
        first = live(meter, quality).metrics[0]
        assert first.properties == {"Quality": 192, "uncertain": True}
        assert first.property_types == {"Quality": INT32, "uncertain": BOOLEAN}
    back = live(meter).metrics[0]
    assert back.properties == {"Quality": 192, "uncertain": False}
    assert live(meter).metrics[0].properties == {}


def test_a_bad_reading_is_null_and_comes_after_one_with_a_value() -> None:
    payload = live(device(), coded(voltageAN=Quality.BAD_OVERLOAD))
    assert not payload.metrics[0].null
    last = payload.metrics[-1]
    assert (last.alias, last.null, last.wire_field) == (4, True, None)
    assert last.properties == {"Quality": 0}


def test_a_reading_that_was_not_polled_keeps_its_last_value_as_stale() -> None:
    meter = device()
    live(meter, value=230.0)
    first = live(meter, coded(voltageAN=Quality.BAD_NO_VALUE), value=99.0).metrics[0]
    assert (first.value, first.properties) == (230.0, {"Quality": 500})
    assert decode(meter.birth(1, NOW_MS)).metrics[0].value == 230.0


def test_a_reading_that_never_had_a_value_is_null() -> None:
    last = live(device(), coded(voltageAN=Quality.BAD_NO_VALUE)).metrics[-1]
    assert (last.alias, last.null, last.properties) == (4, True, {"Quality": 500})


def test_old_frames_are_historical_and_leave_the_live_values_alone() -> None:
    meter = device()
    live(meter, value=230.0)
    us = NOW_MS * 1000 - 60_000_000
    quality = coded(voltageBN=Quality.BAD_NO_VALUE)
    values = [5.0] * WIDTH
    old = REALTIME.decode(REALTIME.encode(1, 1, us, us, us, 1, quality, values))
    refill = meter.history(REALTIME, old)
    assert refill is not None
    payload = decode(refill.encode(1, NOW_MS))
    assert len(payload.metrics) == WIDTH - 1
    assert {(m.historical, m.value) for m in payload.metrics} == {(True, 5.0)}
    assert {m.timestamp for m in payload.metrics} == {NOW_MS - 60_000}
    assert decode(meter.birth(1, NOW_MS)).metrics[0].value == 230.0


def test_a_frame_of_another_version_of_the_profile_sends_what_the_birth_names() -> None:
    columns = (REALTIME.columns[3], REALTIME.columns[0]._replace(name="frobnication"))
    other = FrameSchema("pm500", "realtime", columns)
    payload = live(device(), bytes(2), schema=other)
    assert [(m.alias, m.value) for m in payload.metrics] == [(4 + 3, 1.5)]


CODES = st.sampled_from([int(code) for code in Quality])


@given(st.lists(st.lists(CODES, min_size=WIDTH, max_size=WIDTH), max_size=6))
def test_a_refilled_message_equals_a_fresh_one(frames: list[list[int]]) -> None:
    kept = device()
    for codes in frames:
        quality = bytes(codes)
        payload = live(kept, quality)
        for metric in payload.metrics:
            code = codes[(metric.alias or 0) - 4]
            if code < Quality.BAD_NO_VALUE:
                assert metric.value == 1.5 + (metric.alias or 0) - 4
            if code:
                assert metric.properties["Quality"] == Quality(code).sparkplug
        assert sorted(m.alias or 0 for m in payload.metrics) == list(
            range(4, 4 + WIDTH)
        )
        nulls = [m.null for m in payload.metrics]
        assert nulls == sorted(nulls)
