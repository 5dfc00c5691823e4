"""Realtime frames of a plant in memory, in the order of the log.

The plant polls the realtime group only, once a second: a load that swings, and noise.
Every slot is answered, every value is plausible and moves, so that nothing but a first
answer and peaks of demand is worth an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.log.contract import FRAMES, Batch
from connectors.profiles import load_profile
from dataflows.deriving.rules import derive_rules
from dataflows.site import Site
from transforms.codec.batch import FrameColumns
from transforms.codec.frame import FrameSchema, frame_schema
from transforms.codec.unbatch import encode_batch
from transforms.derivation.rules import DeriveRules
from transforms.model.quality import Quality, Status

__all__ = ["Frames", "frames_of"]

_BATCH = 10_000
_SECOND_US = 1_000_000
# 2026-03-01 12:00:00 UTC
_NOON_US = 1_772_366_400_000_000
_ALERTS = (
    {"name": "load", "kind": "threshold", "quantity": "realPower", "above": 1e6},
    {"name": "comm", "kind": "comm_lost"},
    {"name": "gap", "kind": "gap", "longer_than_seconds": 5},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Frames of so many assets in the order of the log, and the rules of their site."""

    assets: int
    schema: FrameSchema
    rules: DeriveRules
    keys: list[str]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def items(self) -> list[tuple[str, bytes]]:
        """As items of a keyed stream."""
        return list(zip(self.keys, self.values, strict=True))

    @property
    def batches(self) -> list[Batch]:
        """As batches of the log."""
        return [
            Batch(
                FRAMES,
                0,
                range(start, min(start + _BATCH, len(self))),
                self.keys[start : start + _BATCH],
                self.values[start : start + _BATCH],
            )
            for start in range(0, len(self), _BATCH)
        ]


def frames_of(assets: int, count: int) -> Frames:
    """``count`` frames, slot by slot, in each all assets."""
    names = [f"hall{number // 50}/m{number}" for number in range(assets)]
    profile = load_profile("pm500")
    schema = frame_schema(profile, profile.group_named("realtime"))
    slots = np.repeat(_NOON_US + np.arange(count // assets) * _SECOND_US, assets)
    at = np.tile(np.arange(assets), count // assets)
    columns = FrameColumns(
        schema=schema,
        seq=slots // _SECOND_US,
        period_us=np.full(len(slots), _SECOND_US),
        slot_us=slots,
        sent_us=slots + 300 + at % 500,
        received_us=slots + 4300 + 3 * at % 500,
        status=np.full(len(slots), Status.OK, np.uint8),
        quality=np.full((len(slots), len(schema.names)), Quality.GOOD, np.uint8),
        readings=_readings(schema, slots, at),
    )
    return Frames(
        assets=assets,
        schema=schema,
        rules=_rules(names),
        # Each record of a log comes with a text of its own.
        keys=[f"plant/{names[place]}" for place in at.tolist()],
        values=encode_batch(columns),
    )


def _rules(names: list[str]) -> DeriveRules:
    """Everything that derive does by default, windows of 10 s too, and three alerts."""
    meters = [
        {"asset": name, "host": "127.0.0.1", "groups": {"realtime": 1.0}}
        for name in names
    ]
    section = {"name": "plant", "time_zone": "Europe/Berlin"}
    windows = {"windows_seconds": (10, 60, 900, 3600, 86400)}
    site = Site.model_validate(
        {
            "site": section,
            "meter": meters,
            "derive": windows,
            "alert": _ALERTS,
            "folder": Path(),
        }
    )
    return derive_rules(site)


def _readings(
    schema: FrameSchema, slots: npt.NDArray[np.int64], at: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.generic]]:
    """Three phases whose powers follow from voltage, current and power factor."""
    dice = np.random.default_rng(1)
    swing = 0.6 + 0.3 * np.sin(slots / _SECOND_US / 300 + at)

    def about(mean: Any, part: float) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = mean * (
            1 + part * dice.standard_normal(len(slots))
        )
        return found

    found: dict[str, npt.NDArray[np.float64]] = {"frequency": about(50.0, 0.0002)}
    for phase, following in zip("ABC", "BCA", strict=True):
        volts, amperes = about(230.0, 0.002), about(100.0 * swing, 0.01)
        factor = about(0.93, 0.005)
        apparent = volts * amperes / 1000
        found |= {
            f"voltage{phase}N": volts,
            f"voltage{phase}{following}": about(volts * np.sqrt(3), 0.001),
            f"current{phase}": amperes,
            f"powerFactor{phase}": factor,
            f"apparentPower{phase}": apparent,
            f"realPower{phase}": apparent * factor,
            f"reactivePower{phase}": apparent * np.sqrt(1 - factor**2),
        }
    for kind in ("realPower", "reactivePower", "apparentPower"):
        found[kind] = np.sum([found[kind + phase] for phase in "ABC"], axis=0)
    found["powerFactor"] = found["realPower"] / found["apparentPower"]
    found["currentN"] = about(5.0 * swing, 0.02)
    for kind, pairs in (("LN", ("AN", "BN", "CN")), ("LL", ("AB", "BC", "CA"))):
        volts = np.mean([found[f"voltage{pair}"] for pair in pairs], axis=0)
        found[f"voltage{kind}Avg"] = volts
    return {name: found[name].astype(np.float32) for name in schema.names}
