"""What a meter is set to, as far as demand and scale depend on it; and its changes.

The meter says it in its description (1420-UM001E p. 57), which events hold as text.
A change splits the series: values before and after it are not of one kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from transforms.rules import SYSTEMS
from transforms.snapshot import fields_of

__all__ = [
    "UNSAID",
    "VERSION",
    "Change",
    "MeterSettings",
    "changes",
    "from_snapshot",
    "merged",
    "rescales",
    "settings_of",
    "step",
    "to_snapshot",
]

VERSION = 1

_MINUTE_US = 60_000_000
# 1420-UM001E p. 57, as `describe` writes numbers: 0 fixed, 1 slide.
_METHODS = {"0": "block", "1": "sliding"}
_INTERVALS_US = {
    str(code): minutes * _MINUTE_US
    for code, minutes in enumerate((1, 5, 10, 15, 20, 30, 60))
}
_SCALES = frozenset({"ct_ratio", "vt_ratio", "electrical_system"})
_SYSTEMS = {str(code): system for code, system in enumerate(SYSTEMS)}


class MeterSettings(NamedTuple):
    """Each is None where the meter did not say.

    ``demand_method`` is ``block`` or ``sliding``; ``electrical_system`` one of
    ``SYSTEMS``; the ratios are those of the current and voltage transformers.
    """

    demand_method: str | None = None
    demand_interval_us: int | None = None
    ct_ratio: float | None = None
    vt_ratio: float | None = None
    serial: str | None = None
    electrical_system: str | None = None


UNSAID = MeterSettings()


class Change(NamedTuple):
    """Settings that were known became others, as the meter said at ``at_us``.

    ``names`` are those fields of ``MeterSettings`` that changed, in their order.
    """

    at_us: int
    before: MeterSettings
    after: MeterSettings
    names: tuple[str, ...]


def settings_of(data: Mapping[str, str]) -> MeterSettings:
    """The settings in the data of ``meter_described`` or ``configuration_changed``.

    >>> settings_of({"demandMode": "1", "demandInterval": "3"})[:2]
    ('sliding', 900000000)
    """
    return MeterSettings(
        demand_method=_METHODS.get(data.get("demandMode", "")),
        demand_interval_us=_INTERVALS_US.get(data.get("demandInterval", "")),
        ct_ratio=_ratio(data.get("ctRatio", "")),
        vt_ratio=_ratio(data.get("vtRatio", "")),
        serial=data.get("serialText", "").strip() or None,
        electrical_system=_SYSTEMS.get(data.get("electricalSystem", "")),
    )


def merged(old: MeterSettings, new: MeterSettings) -> MeterSettings:
    """The new settings; what the meter did not say this time stays."""
    return MeterSettings._make(
        b if b is not None else a for a, b in zip(old, new, strict=True)
    )


def changes(old: MeterSettings, new: MeterSettings) -> tuple[str, ...]:
    """Names of the settings that were known and are others now."""
    return tuple(
        name
        for name, a, b in zip(MeterSettings._fields, old, new, strict=True)
        if a is not None and b is not None and a != b
    )


def step(
    settings: MeterSettings, time_us: int, data: Mapping[str, str]
) -> tuple[MeterSettings, Change | None]:
    """Take one asset's next description; say what changed by it, if anything did.

    Begin with ``UNSAID``: a setting that is said for the first time is no change.
    """
    said = settings_of(data)
    after, names = merged(settings, said), changes(settings, said)
    return after, Change(time_us, settings, after, names) if names else None


def rescales(names: Iterable[str]) -> bool:
    """Whether readings mean something else once these settings are others."""
    return not _SCALES.isdisjoint(names)


def to_snapshot(settings: MeterSettings) -> tuple[Any, ...]:
    """The settings as a plain tuple, version first."""
    return (VERSION, *settings)


def from_snapshot(snapshot: tuple[Any, ...]) -> MeterSettings:
    """The settings as they were."""
    fields = fields_of(snapshot, VERSION, "a settings snapshot")
    return MeterSettings(*fields)


def _ratio(text: str) -> float | None:
    try:
        ratio = float(text)
    except ValueError:
        return None
    return ratio if math.isfinite(ratio) and ratio > 0 else None
