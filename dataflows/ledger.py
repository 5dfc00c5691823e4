"""The ledger of a log or of an archive: frames in, sums out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from connectors.log.contract import FRAMES, Log, Record
from connectors.log.schemas import Schemas
from connectors.profiles import load_profile
from dataflows.site import Site
from transforms.codec.framing import HEADER_BYTES, CodecError
from transforms.codec.sift import Sifter
from transforms.ledger import Hour, Ledger, ledger_of, status_label
from transforms.plan import groups_of

if TYPE_CHECKING:
    from sinks.archive.store import Store

__all__ = [
    "Facts",
    "Key",
    "Summary",
    "expected_periods",
    "facts_of_archive",
    "facts_of_log",
    "ledgers",
    "summarize",
]

Longs = npt.NDArray[np.int64]

_BATCH = 10_000


class Key(NamedTuple):
    """One group of one asset."""

    asset: str
    group: str


class Facts(NamedTuple):
    """What the ledger asks of frames, in the order of the log."""

    seq: Longs
    period_us: Longs
    status: Longs


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Sums over groups and hours: ``due == good + sum(failed.values()) + missing``.

    ``failed`` is by the status's word.
    """

    due: int = 0
    good: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0
    duplicates: int = 0

    @classmethod
    def of(cls, hour: Hour, duplicates: int = 0) -> Summary:
        """The same sums, in words."""
        return cls(
            due=hour.due,
            good=hour.good,
            failed={status_label(s): n for s, n in hour.failed.items()},
            missing=hour.missing,
            duplicates=duplicates,
        )

    @property
    def complete(self) -> float:
        """The part of the due slots that is good, in percent; 100 of nothing."""
        return 100.0 * self.good / self.due if self.due else 100.0


def expected_periods(site: Site) -> dict[Key, int]:
    """What the site has configured: the period of every group, in microseconds."""
    return {
        Key(site.asset(meter), planned.group.name): round(planned.period_seconds * 1e6)
        for meter in site.meter
        for planned in groups_of(
            load_profile(meter.profile), meter.protocol, meter.groups
        )
    }


def facts_of_log(log: Log, asset: str = "*") -> dict[Key, Facts]:
    """All frames of the log whose asset matches; records that are none are left out."""
    collector = _Collector(Schemas(log), asset)
    for partition in log.partitions(FRAMES):
        offset, _ = log.bounds(FRAMES, partition)
        while records := log.read(FRAMES, partition, offset, _BATCH):
            collector.add(records)
            offset = records[-1].offset + 1
    return collector.facts()


def facts_of_archive(store: Store, asset: str = "*") -> dict[Key, Facts]:
    """All frames of the archive whose asset matches. OSError."""
    return {
        Key(text, name.rpartition("/")[2]): facts
        for name in store.table_names("frames")
        for text, facts in _facts_of_table(store, name)
        if fnmatchcase(text, asset)
    }


def ledgers(
    facts: Mapping[Key, Facts],
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    expected: Mapping[Key, int] | None = None,
) -> dict[Key, Ledger]:
    """The ledger of every group of every asset, in order.

    In a range, a group in ``expected`` (its period) that has no frame is all missing.
    Groups of which nothing was due are left out.
    """
    periods = expected or {}
    nothing = Facts(*(np.empty(0, np.int64) for _ in Facts._fields))
    found = {
        key: ledger_of(
            *facts.get(key, nothing),
            start_us=start_us,
            end_us=end_us,
            period_expected_us=periods.get(key),
        )
        for key in sorted({*facts, *periods})
    }
    return {key: each for key, each in found.items() if each.hours}


def summarize(
    log: Log,
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    expected: Mapping[Key, int] | None = None,
) -> Summary:
    """The sums of a whole log between two instants."""
    found = ledgers(
        facts_of_log(log), start_us=start_us, end_us=end_us, expected=expected
    )
    total = sum((ledger.total for ledger in found.values()), Hour())
    return Summary.of(total, sum(ledger.duplicates for ledger in found.values()))


class _Collector:
    """Facts by asset and group, kept as a few long arrays per group."""

    def __init__(self, schemas: Schemas, asset: str) -> None:
        self._schemas = schemas
        self._asset = asset
        self._sifter = Sifter()
        self._codes: dict[str, int] = {}
        self._wanted: dict[str, bool] = {}
        self._parts: dict[str, list[Longs]] = {}

    def add(self, records: list[Record]) -> None:
        by_header: dict[bytes, tuple[list[str], list[bytes]]] = {}
        for record in records:
            if self._wants(record.key):
                header = record.value[:HEADER_BYTES]
                keys, values = by_header.setdefault(header, ([], []))
                keys.append(record.key)
                values.append(record.value)
        for keys, values in by_header.values():
            try:
                schema = self._schemas.frame_schema(values[0])
            except CodecError:
                continue
            columns, kept, _ = self._sifter.sift(schema, keys, values)
            codes = [
                self._codes.setdefault(keys[place], len(self._codes)) for place in kept
            ]
            part = (codes, columns.seq, columns.period_us, columns.status)
            self._parts.setdefault(schema.group, []).append(
                np.array(part, dtype=np.int64)
            )

    def facts(self) -> dict[Key, Facts]:
        return dict(self._facts())

    def _facts(self) -> Iterator[tuple[Key, Facts]]:
        assets = list(self._codes)
        for group, parts in self._parts.items():
            for asset, facts in _by_asset(np.concatenate(parts, axis=1), assets):
                yield Key(asset, group), facts

    def _wants(self, asset: str) -> bool:
        if asset not in self._wanted:
            self._wanted[asset] = fnmatchcase(asset, self._asset)
        return self._wanted[asset]


def _facts_of_table(store: Store, name: str) -> Iterator[tuple[str, Facts]]:
    import pyarrow.compute as pc

    from sinks.archive.store import store_errors

    columns = ["site", "area", "asset", "seq", "period", "status"]
    codes: dict[str, int] = {}
    parts: list[Longs] = []
    with store_errors():
        dataset = store.open(name).to_pyarrow_dataset(filesystem=store.files_of(name))
    for batch in dataset.to_batches(columns=columns):
        texts = (pc.fill_null(batch[part].cast("string"), "") for part in columns[:3])
        keys = pc.binary_join_element_wise(*texts, "/").dictionary_encode()
        known = [codes.setdefault(k, len(codes)) for k in keys.dictionary.to_pylist()]
        numbers = [batch[column].to_numpy() for column in columns[3:]]
        place = np.array(known, np.int64)[keys.indices.to_numpy()]
        parts.append(np.array([place, *numbers], np.int64))
    if parts:
        yield from _by_asset(np.concatenate(parts, axis=1), list(codes))


def _by_asset(whole: Longs, assets: Sequence[str]) -> Iterator[tuple[str, Facts]]:
    """The facts of each asset; the first row of ``whole`` is its place in ``assets``."""
    whole = whole[:, np.argsort(whole[0], kind="stable")]
    codes, starts = np.unique(whole[0], return_index=True)
    ends = [*starts[1:], whole.shape[1]]
    for code, start, end in zip(codes, starts, ends, strict=True):
        yield assets[code], Facts(*whole[1:, start:end])
