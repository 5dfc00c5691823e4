"""The panels of one meter that show its polls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy.grafana.generate.influxql import (
    FRAMES,
    WHOLE,
    latest,
    select,
    series,
)
from deploy.grafana.generate.looks import (
    BAD,
    QUALITY,
    STATUS,
    UNITS,
    by_name,
    colored,
    unit_of,
)
from deploy.grafana.generate.panels import Panel, chart, stat
from deploy.grafana.generate.tables import states, table

__all__ = ["now", "power", "quality", "voltage_and_current"]

PHASES = '"phase" =~ /^(A|B|C|total)$/'
HOLES = "A hole is a poll without a value."
ALARMS = ("alarm1", "alarm2", "alarm3", "alarm4", "output1", "output2")


def now() -> Iterator[Panel]:
    """The last poll."""
    fields = ("kW", "kVA", "kVAR", "power_factor", "frequency", "current", "voltage")
    last = select(
        ['last("quality") AS "quality"', *(f'"{field}"' for field in fields)],
        FRAMES,
        where=WHOLE,
    )
    yield stat(
        "The last poll: total, mean current, mean voltage between lines",
        last,
        about="A poll that failed has no values.",
        empty="-",
        overrides=[
            by_name("quality", mappings=QUALITY),
            *(override for field in fields for override in unit_of(field)),
            by_name("power_factor", decimals=3),
        ],
        size=(24, 4),
    )
    yield table(
        "The last poll of each group",
        latest(
            ["quality", "status"],
            FRAMES,
            key="quality",
            by=["group"],
            where={"phase": "total"},
        ),
        about="Long ago: nothing came since.",
        overrides=[
            by_name("Time", unit="dateTimeFromNow", displayName="last poll"),
            colored("quality", QUALITY),
            by_name("status", mappings=STATUS),
        ],
        size=(8, 7),
    )
    yield table(
        "Counters",
        select(
            [
                'last("kWh") AS "kWh"',
                '"kWh_export"',
                '"kVARh"',
                '"kVARh_export"',
                '"operating_hours"',
            ],
            FRAMES,
            where={"group": "energy", "phase": "total"},
        ),
        about="As the meter showed them at the time.",
        overrides=[
            by_name(name, unit=f"suffix:{unit}", decimals=decimals)
            for name, unit, decimals in (
                ("kWh", "kWh", 3),
                ("kWh_export", "kWh", 3),
                ("kVARh", "kvarh", 3),
                ("kVARh_export", "kvarh", 3),
                ("operating_hours", "h", 1),
            )
        ],
        size=(16, 7),
    )


def power() -> Iterator[Panel]:
    """kW, kVA and kvar by phase, power factor, frequency."""
    for title, field in (
        ("Real power", "kW"),
        ("Apparent power", "kVA"),
        ("Reactive power", "kVAR"),
        ("Power factor", "power_factor"),
    ):
        yield _phases(title, field, PHASES)
    yield chart(
        "Frequency",
        {"Hz": series(['mean("frequency") AS "Hz"'], FRAMES, where=WHOLE)},
        unit=UNITS["frequency"],
        about=HOLES,
        size=(24, 6),
    )


def voltage_and_current() -> Iterator[Panel]:
    """Voltages to neutral and between lines, currents with the neutral's."""
    mean = series(['mean("voltage_ln") AS "mean"'], FRAMES, where=WHOLE)
    yield _phases(
        "Voltage to neutral",
        "voltage",
        '"phase" =~ /^(A|B|C)$/',
        others={"mean": mean},
    )
    yield _phases(
        "Voltage between lines",
        "voltage",
        '"phase" =~ /^(AB|BC|CA|total)$/',
        about="The total is the mean of the three.",
    )
    yield _phases(
        "Current",
        "current",
        '"phase" =~ /^(A|B|C|N|total)$/',
        about="The total is the mean of the phases; N is the neutral.",
        size=(24, 8),
    )


def quality() -> Iterator[Panel]:
    """Quality by group over time, and the meter's alarms."""
    yield states(
        "Worst quality by group",
        {"$tag_group": series(['min("quality") AS "quality"'], FRAMES, by=["group"])},
        mappings=QUALITY,
        least="1m",
        size=(24, 7),
        about="Of each minute, or longer where the range is long. Nothing is drawn where "
        "there was no poll at all.",
    )
    yield states(
        "Alarms and outputs of the meter",
        {
            "$col": series(
                [f'max("{name}") AS "{name}"' for name in ALARMS],
                FRAMES,
                where={"group": "status", "phase": "total"},
            )
        },
        mappings=[
            {
                "type": "value",
                "options": {
                    "0": {"text": "off", "color": "transparent", "index": 0},
                    "1": {"text": "on", "color": BAD, "index": 1},
                },
            }
        ],
        least="1s",
        size=(24, 7),
        about="On where it was on for any moment of a step.",
    )


def _phases(
    title: str,
    field: str,
    phases: str,
    *,
    about: str = "",
    others: Mapping[str, str] | None = None,
    size: tuple[int, int] = (12, 8),
) -> Panel:
    query = series(
        [f'mean("{field}") AS "{field}"'],
        FRAMES,
        by=["phase"],
        where={"group": "realtime"},
        also=[phases],
    )
    return chart(
        title,
        {"$tag_phase": query} | dict(others or {}),
        unit=UNITS[field],
        about=f"{about} {HOLES}".strip(),
        size=size,
    )
