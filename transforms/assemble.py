"""Outcomes of polls to frames: units, quality, and the one encoding of their life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.codec.frame import FrameSchema, frame_schema
from transforms.model.frame import Frame
from transforms.model.outcome import Meaning, Outcome
from transforms.model.profile import Group, Profile, Protocol
from transforms.model.quality import Status
from transforms.readings import GroupReader

__all__ = ["Assembler", "PolledGroup", "PolledMeter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledGroup:
    """A group of a meter as it is polled."""

    group: Group
    protocol: Protocol
    period_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledMeter:
    """A meter as it is polled; outcomes speak of it and its groups by their index."""

    asset: str
    profile: Profile
    groups: tuple[PolledGroup, ...]


_Key = tuple[str, str, Protocol, Meaning]


class Assembler:
    """Makes each outcome's frame; readers are compiled once per kind of group."""

    def __init__(self, meters: Sequence[PolledMeter]) -> None:
        self.meters = meters
        self._schemas: dict[tuple[str, str], FrameSchema] = {}
        for meter in meters:
            for polled in meter.groups:
                key = (meter.profile.name, polled.group.name)
                if key not in self._schemas:
                    self._schemas[key] = frame_schema(meter.profile, polled.group)
        self._readers: dict[_Key, GroupReader] = {}

    @property
    def schemas(self) -> tuple[FrameSchema, ...]:
        """Every schema that a frame of this plan can have."""
        return tuple(self._schemas.values())

    def frame(self, outcome: Outcome) -> Frame:
        """The frame of one outcome."""
        meter = self.meters[outcome.meter]
        polled = meter.groups[outcome.group]
        profile, group = meter.profile, polled.group
        schema = self._schemas[profile.name, group.name]
        if outcome.status is Status.OK or outcome.status is Status.PARTIAL:
            key = (profile.name, group.name, polled.protocol, outcome.meaning)
            reader = self._readers.get(key)
            if reader is None:
                reader = GroupReader(profile, group, polled.protocol, outcome.meaning)
                self._readers[key] = reader
            quality, values = reader.read(outcome.blocks)
        else:
            quality, values = schema.no_value, schema.nothing
        value = schema.encode(
            outcome.seq,
            polled.period_us,
            outcome.slot_us,
            outcome.sent_us,
            outcome.received_us,
            outcome.status,
            quality,
            values,
        )
        return Frame(
            meter.asset,
            group.name,
            outcome.seq,
            outcome.slot_us,
            outcome.status,
            value,
        )
