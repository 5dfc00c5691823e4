"""What the log says of each asset: the state behind the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.log.contract import FRAMES, Log, LogError, Record
from connectors.log.schemas import Schemas
from transforms.codec.frame import FrameRecord, FrameSchema
from transforms.ledger import status_label
from transforms.model.quality import Quality, Status, worst

__all__ = ["AssetState", "Board"]

_BATCH = 1000
_SHOWN = {"realtime", "energy"}


@dataclass(slots=True)
class AssetState:
    """One asset's latest readings (those that have a value) and its counts.

    ``status`` and ``quality`` (192 good, 64 uncertain, 0 bad) are of the last
    ``realtime`` frame, ``seq`` its number. ``failed_as`` is the last failure of any
    group and ``failed_us`` its slot; a pause after a failure does not hide its cause.
    None and "" before the first frame.
    """

    values: dict[str, float] = field(default_factory=dict)
    status: int | None = None
    quality: int = 192
    seq: int = 0
    failing_since_us: int | None = None
    failed_as: str = ""
    failed_us: int = 0
    good: int = 0
    failed: int = 0


class Board:
    """Reads on in the log whenever it is asked; use it in the thread that made it.

    ``behind`` is the log that the archive reads, where that is another one.
    """

    def __init__(
        self, log: Log, assets: Iterable[str], behind: Log | None = None
    ) -> None:
        self._log = log
        self._behind = behind or log
        self._schemas = Schemas(log)
        self._offset = 0
        self.assets = {asset: AssetState() for asset in assets}
        self.frames = 0
        self._archived: dict[int, int] = {}
        self.failed: Counter[str] = Counter()

    def read_on(self) -> None:
        """Take all frames that came since; LogError, CodecError."""
        while records := self._log.read(FRAMES, 0, self._offset, _BATCH):
            for record in records:
                self._take(record)
            self._offset = records[-1].offset + 1

    @property
    def good(self) -> int:
        """Good frames so far."""
        return self.frames - self.failed.total()

    def archived(self) -> int:
        """Frames that the archive has committed so far, as far as the log can tell."""
        log = self._behind
        try:
            for number in log.partitions(FRAMES):
                done = log.position("archive", FRAMES, number)
                self._archived[number] = done or 0
        except LogError:
            pass  # a cluster that is away: what was known of it stays
        return sum(self._archived.values())

    def _take(self, record: Record) -> None:
        schema = self._schemas.frame_schema(record.value)
        frame = schema.decode(record.value)
        state = self.assets.setdefault(record.key, AssetState())
        self.frames += 1
        if frame.status == Status.OK:
            state.good += 1
        else:
            state.failed += 1
            state.failed_us = frame.slot_us
            label = status_label(frame.status)
            self.failed[label] += 1
            if frame.status != Status.BACKING_OFF or not state.failed_as:
                state.failed_as = label
        if schema.group in _SHOWN:
            _show(state, schema, frame)


def _show(state: AssetState, schema: FrameSchema, frame: FrameRecord) -> None:
    for name, value, code in zip(
        schema.names, frame.values, frame.quality, strict=True
    ):
        if code < Quality.BAD_NO_VALUE:
            state.values[name] = float(value)
        elif code != Quality.BAD_NO_VALUE:
            state.values.pop(name, None)
    if schema.group != "realtime":
        return
    state.status, state.seq = frame.status, frame.seq
    state.quality = worst(frame.quality)
    if frame.status == Status.OK:
        state.failing_since_us = None
    elif state.failing_since_us is None:
        state.failing_since_us = frame.slot_us
