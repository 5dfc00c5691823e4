"""At least one trouble of every kind, spread over meters and time by a seed."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.generated.meter import GeneratedMeter
from tests.generated.trouble import HIDES_ENERGY, KINDS, Trouble, TroubleKind
from transforms.model.quality import Status

__all__ = ["every_trouble"]

_SECOND_US = 1_000_000
_GRID_US = 10 * _SECOND_US
_SHORTEST_US = 4 * _GRID_US
_BEGINS: set[TroubleKind] = {"counter_reset", "meter_swap"}
_DOWN_US = 420 * _SECOND_US


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A trouble whose times count from its place; ``exact``: of such a meter only."""

    trouble: Trouble
    exact: bool = False


def every_trouble(
    meters: Sequence[GeneratedMeter],
    start_us: int,
    end_us: int,
    *,
    seed: int = 0,
    kinds: Collection[TroubleKind] = KINDS,
) -> tuple[Trouble, ...]:
    """Troubles of these kinds in ``[start_us, end_us)``, in order of time.

    No two of one meter meet, and near the end all are silent for seven minutes. Troubles
    that hide energy come to different meters where there are enough. In a short stretch
    troubles are shorter too; ValueError where it is too short for all. The periods of
    ``realtime`` and ``energy`` must divide ten seconds.
    """
    dice = random.Random(seed)
    wanted = [each for each in _wanted() if each.trouble.kind in kinds]
    dice.shuffle(wanted)
    wanted.sort(key=lambda each: each.trouble.kind not in HIDES_ENERGY)
    own = _dealt(wanted, dice.sample(meters, len(meters)))
    busiest = max((len(each) for each in own.values()), default=0)
    span = end_us - start_us
    first = -(-(start_us + span // 20) // _GRID_US) * _GRID_US
    cell = span * 8 // 10 // max(busiest, 1) // _GRID_US * _GRID_US
    if wanted and cell < _SHORTEST_US:
        raise ValueError(f"{busiest} troubles of one meter need more time")
    out: list[Trouble] = []
    for asset, troubles in own.items():
        for place, trouble in enumerate(dice.sample(troubles, len(troubles))):
            length = min(trouble.end_us, cell - _GRID_US)
            slack = (cell - length) // _GRID_US
            at = first + place * cell + dice.randrange(slack) * _GRID_US
            out += _placed(trouble, asset, at, length)
    if "missing" in kinds:
        down = first + busiest * cell
        until = min(down + _DOWN_US, end_us - span // 20)
        out.append(Trouble(kind="missing", start_us=down, end_us=until))
    return tuple(sorted(out, key=lambda trouble: trouble.start_us))


def _dealt(
    wanted: Sequence[_Wanted], meters: Sequence[GeneratedMeter]
) -> dict[str, list[Trouble]]:
    """Troubles by asset: each goes to the one that has the fewest so far."""
    own: dict[str, list[Trouble]] = {meter.asset: [] for meter in meters}
    for each in wanted:
        fit = [meter.asset for meter in meters if meter.exact or not each.exact]
        if not fit:
            raise ValueError(f"{each.trouble.kind}: no meter speaks Modbus")
        if each.trouble.kind == "counter_rollover":
            # A counter that begins again must not do so near its modulus.
            fit = [asset for asset in fit if not _BEGINS & _kinds(own[asset])] or fit
        own[min(fit, key=lambda asset: len(own[asset]))].append(each.trouble)
    return own


def _kinds(troubles: Sequence[Trouble]) -> set[TroubleKind]:
    return {trouble.kind for trouble in troubles}


def _placed(
    trouble: Trouble, asset: str, at_us: int, length_us: int
) -> Iterator[Trouble]:
    end_us = at_us + length_us
    placed = replace(trouble, asset=asset, start_us=at_us, end_us=end_us)
    if trouble.kind == "meter_swap":
        # Nobody answers while the meter is changed.
        yield replace(placed, kind="failed", status=Status.UNREACHABLE)
        placed = replace(placed, start_us=end_us, end_us=end_us + 1)
    yield placed


def _of(
    kind: TroubleKind,
    group: str | None,
    seconds: int,
    *,
    status: Status = Status.TIMEOUT,
    delay_seconds: int = 0,
) -> Trouble:
    return Trouble(
        kind=kind,
        start_us=0,
        end_us=seconds * _SECOND_US,
        group=group,
        status=status,
        delay_us=delay_seconds * _SECOND_US,
    )


def _wanted() -> Iterator[_Wanted]:
    for group, seconds, status in (
        (None, 30, Status.TIMEOUT),
        ("energy", 10, Status.TIMEOUT),
        (None, 20, Status.REFUSED),
        (None, 120, Status.UNREACHABLE),
        ("realtime", 1, Status.CLOSED),
        ("realtime", 3, Status.CIP_ERROR),
        ("realtime", 2, Status.MALFORMED),
        (None, 60, Status.FOREIGN_DEVICE),
        ("realtime", 5, Status.OVERRUN),
        (None, 60, Status.BACKING_OFF),
    ):
        yield _Wanted(_of("failed", group, seconds, status=status))
    # Only where one meter speaks both protocols.
    for group, seconds, status in (
        ("energy", 10, Status.MODBUS_EXCEPTION),
        ("realtime", 10, Status.SUSPENDED),
    ):
        yield _Wanted(_of("failed", group, seconds, status=status), exact=True)
    for kind, group, seconds, delay_seconds in _ARRIVING:
        yield _Wanted(_of(kind, group, seconds, delay_seconds=delay_seconds))
    yield _Wanted(_of("partial", "realtime", 2))
    yield _Wanted(_of("missing", "realtime", 1))
    yield _Wanted(_of("missing", "energy", 10))
    yield _Wanted(_of("frozen", "realtime", 600))
    yield _Wanted(_of("stale", "energy", 10, delay_seconds=60))
    nan = _of("nan", "realtime", 3)
    yield _Wanted(nan)
    yield _Wanted(replace(nan, reading="inf", quantity="frequency"))
    yield _Wanted(replace(nan, reading="overload", quantity="realPower"))
    yield _Wanted(_of("counter_zero", "energy", 10))
    yield _Wanted(_of("counter_reset", None, 10))
    yield _Wanted(_of("counter_rollover", None, 10))
    yield _Wanted(_of("maximum_reset", None, 10))
    swap = _of("meter_swap", None, 180)
    yield _Wanted(replace(swap, counter_kwh=1234.0))
    # By EtherNet/IP nothing tells the ratio.
    yield _Wanted(_of("ct_ratio_change", None, 10, delay_seconds=5), exact=True)


_ARRIVING: tuple[tuple[TroubleKind, str | None, int, int], ...] = (
    ("duplicate", "realtime", 5, 0),
    ("duplicate", "energy", 20, 3),
    ("late", "realtime", 10, 30),
    ("late", None, 20, 600),
    ("late", None, 30, 18_000),
    ("shuffled", None, 300, 2),
    ("future", "realtime", 1, 86_400),
    ("no_frame", "realtime", 1, 0),
)
