from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.codec.frames import SCHEMAS, as_float32, records, schemas
from tests.transforms.lines.reading import labels, points_of, texts, the_point
from transforms.codec.batch import decode_batch
from transforms.codec.frame import FrameRecord, FrameSchema
from transforms.lines.frames import FrameLines
from transforms.lines.names import PHASES, Place, place_of
from transforms.model.quality import Quality, Status, worst

KEY = "plant/hall 1/press,2"
(REALTIME,) = (s for s in SCHEMAS if (s.profile, s.group) == ("pm500", "realtime"))
slots = st.integers(0, 7_000_000_000_000_000)


def made(schema: FrameSchema, *frames: FrameRecord) -> list[bytes]:
    columns = decode_batch(schema, [schema.encode(*frame) for frame in frames])
    return texts(FrameLines(schema, labels).of([KEY] * len(frames), columns))


def realtime(
    quality: bytes | None = None, status: Status = Status.OK, value: float = 1.5
) -> FrameRecord:
    count = len(REALTIME.columns)
    own = quality or bytes(count)
    return FrameRecord(
        7, 1_000_000, 7_000_000, 7_000_100, 7_000_200, status, own, (value,) * count
    )


@given(schemas, st.data())
@settings(max_examples=200)
def test_the_points_of_a_frame_are_its_good_readings(
    schema: FrameSchema, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(records(schema), min_size=1, max_size=3))
    frames = [frame._replace(slot_us=data.draw(slots)) for frame in drawn]
    for frame, text in zip(frames, made(schema, *frames), strict=True):
        points = points_of(text)
        answered = frame.status in (Status.OK, Status.PARTIAL)
        expected = {
            place_of(column.name): float(value)
            for column, value, code in zip(
                schema.columns, frame.values, frame.quality, strict=True
            )
            if answered and code < 100 and math.isfinite(value)
        }
        found: dict[tuple[str, str], object] = {}
        for point in points:
            tags = dict(point.tags)
            assert point.measurement == "powermonitor_500"
            assert tags.pop("group") == schema.group
            phase = tags.pop("phase")
            assert tags == labels(KEY)
            assert point.time == frame.slot_us * 1000
            assert point.fields["quality"] in (0, 64, 192)
            found |= {
                (phase, name): value
                for name, value in point.fields.items()
                if name not in ("quality", "status")
            }
        assert found.keys() == expected.keys()
        for place, value in found.items():
            assert isinstance(value, float)
            own = next(c for c in schema.columns if place_of(c.name) == place)
            read = as_float32(value) if own.type == "float" else value
            assert math.copysign(1, read) == math.copysign(1, expected[Place(*place)])
            assert read == expected[Place(*place)]


def test_a_frame_has_a_line_for_each_phase_in_one_order() -> None:
    (text,) = made(REALTIME, realtime())
    assert [dict(point.tags)["phase"] for point in points_of(text)] == list(PHASES)


def test_the_quality_of_a_line_is_the_worst_of_its_own_readings() -> None:
    quality = bytearray(len(REALTIME.columns))
    quality[REALTIME.names.index("realPowerA")] = Quality.BAD_OVERLOAD
    quality[REALTIME.names.index("currentB")] = Quality.UNCERTAIN_FROZEN
    (text,) = made(REALTIME, realtime(bytes(quality)))
    points = {dict(point.tags)["phase"]: point.fields for point in points_of(text)}
    assert {p: f["quality"] for p, f in points.items() if f["quality"] != 192} == {
        "A": 0.0,
        "B": 64.0,
    }
    assert "kW" not in points["A"]
    assert points["A"]["kVA"] == 1.5
    assert points["B"]["current"] == 1.5


def test_readings_that_the_system_does_not_have_make_no_line() -> None:
    quality = bytearray(len(REALTIME.columns))
    for name in ("voltageAN", "voltageBN", "voltageCN", "voltageLNAvg", "currentN"):
        quality[REALTIME.names.index(name)] = Quality.BAD_NOT_IN_SYSTEM
    (text,) = made(REALTIME, realtime(bytes(quality)))
    points = {dict(point.tags)["phase"]: point.fields for point in points_of(text)}
    assert "N" not in points
    assert {fields["quality"] for fields in points.values()} == {192.0}
    assert "voltage" not in points["A"]


@pytest.mark.parametrize("status", [Status.TIMEOUT, Status.BACKING_OFF])
def test_a_failed_frame_is_one_line_with_quality_and_status_only(
    status: Status,
) -> None:
    failed = FrameRecord(
        7, 1_000_000, 7_000_000, 0, 0, status, REALTIME.no_value,
        tuple(map(float, REALTIME.nothing)),
    )  # fmt: skip
    point = the_point(made(REALTIME, failed)[0])
    assert dict(point.tags)["phase"] == "total"
    assert point.fields == {"quality": 0.0, "status": float(status)}


def test_a_partial_frame_keeps_its_readings_and_says_so_on_the_total() -> None:
    quality = bytes(
        0 if place_of(name).phase == "A" else Quality.BAD_NO_VALUE
        for name in REALTIME.names
    )
    (text,) = made(REALTIME, realtime(quality, Status.PARTIAL))
    points = {dict(point.tags)["phase"]: point.fields for point in points_of(text)}
    assert points["A"]["kW"] == 1.5
    assert points["total"] == {"quality": 0.0, "status": 1.0}
    assert all("status" not in points[phase] for phase in PHASES[:-1])


def test_a_value_that_is_no_number_is_bad_whatever_its_quality_says() -> None:
    (text,) = made(REALTIME, realtime(value=math.nan))
    for point in points_of(text):
        assert point.fields == {"quality": 0.0}


@given(schemas, st.data())
def test_every_frame_has_one_line_of_the_total(
    schema: FrameSchema, data: st.DataObject
) -> None:
    frame = data.draw(records(schema))._replace(slot_us=0)
    phases = [dict(p.tags)["phase"] for p in points_of(made(schema, frame)[0])]
    assert phases.count("total") == 1
    assert len(phases) == len(set(phases)) <= 8


def test_a_frame_without_any_reading_of_its_system_has_a_point() -> None:
    nothing = bytes([Quality.BAD_NOT_IN_SYSTEM]) * len(REALTIME.columns)
    point = the_point(made(REALTIME, realtime(nothing))[0])
    assert point.fields == {"quality": float(worst(nothing))}


def test_a_breaker_with_a_percent_sign_is_a_breaker() -> None:
    columns = decode_batch(REALTIME, [REALTIME.encode(*realtime())])
    lines = FrameLines(REALTIME, lambda _: {"asset": "m", "breaker": "Q1 80 %b"})
    (text,) = texts(lines.of(["s/a/m"], columns))
    for point in points_of(text):
        assert dict(point.tags)["breaker"] == "Q1 80 %b"


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_a_reading_of_32_bits_has_at_most_nine_digits(values: list[float]) -> None:
    from transforms.lines.numbers import digits

    finite = [value for value in values if math.isfinite(value)]
    (texts,) = digits(np.array([finite], np.float32))
    for value, text in zip(finite, texts, strict=True):
        assert as_float32(float(text)) == value
        mantissa = text.decode().lower().split("e")[0]
        assert len(mantissa.strip("-").replace(".", "").strip("0")) <= 9
