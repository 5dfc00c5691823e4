"""One alert as the configuration says it, and what is wrong with a set of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from transforms.demand.mean import FORECAST_QUANTITIES
from transforms.model.quantity import QUANTITIES

__all__ = ["AlertKind", "AlertRule", "Severity", "mistakes"]

AlertKind = Literal[
    "threshold", "comm_lost", "gap", "demand_forecast", "frozen", "reconciliation"
]
Severity = Literal["info", "warning", "error", "critical"]
# Counters whose energy is held against the measured power.
_RECONCILED = frozenset(
    name
    for name, known in QUANTITIES.items()
    if known.kind == "counter" and known.unit in ("kWh", "kvarh")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """When to raise an alert, and when it is over.

    ``assets`` is a pattern on ``site/area/asset``. ``above``, ``below`` and
    ``hysteresis`` are in the quantity's unit; for ``demand_forecast``, ``above`` is the
    limit, of real or apparent power. ``frozen`` and ``reconciliation`` without a quantity watch every one, each
    by itself. A condition must hold for ``delay_us`` to be raised, and be over for
    ``clear_delay_us`` to be cleared. ``longer_than_us`` is the limit of ``gap``, which
    knows no delays: failed slots are told once they exceed it, missing ones afterwards.
    """

    name: str
    kind: AlertKind
    assets: str = "*"
    quantity: str | None = None
    above: float | None = None
    below: float | None = None
    hysteresis: float = 0.0
    delay_us: int = 0
    clear_delay_us: int = 0
    severity: Severity = "warning"
    longer_than_us: int = 0

    def watches(self, asset: str) -> bool:
        """Whether the rule is one of this asset.

        >>> AlertRule(name="n", kind="comm_lost", assets="x/hall1/*").watches("x/hall1/a")
        True
        """
        return fnmatchcase(asset, self.assets)


def mistakes(rules: Sequence[AlertRule]) -> list[str]:
    """Everything that is wrong with these rules, each with the alert's name.

    >>> mistakes([AlertRule(name="hot", kind="threshold", quantity="currentA")])
    ['hot: a threshold needs above or below']
    """
    names = [rule.name for rule in rules]
    out = [
        f"{name}: {names.count(name)} alerts have this name"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return out + [f"{rule.name}: {said}" for rule in rules for said in _wrong(rule)]


def _wrong(rule: AlertRule) -> list[str]:
    out = []
    if rule.quantity is not None and rule.quantity not in QUANTITIES:
        out.append(f"{rule.quantity!r} is no quantity")
    if min(rule.delay_us, rule.clear_delay_us, rule.longer_than_us) < 0:
        out.append("a duration must not be negative")
    if rule.hysteresis < 0:
        out.append("hysteresis must not be negative")
    if rule.kind in ("comm_lost", "gap") and rule.quantity is not None:
        out.append(f"{rule.kind} has no quantity")
    match rule.kind:
        case "threshold":
            out += _wrong_threshold(rule)
        case "demand_forecast":
            if rule.quantity is None or rule.above is None:
                out.append("demand_forecast needs quantity and above")
            if rule.below is not None:
                out.append("demand_forecast has no below")
            if rule.quantity in QUANTITIES.keys() - set(FORECAST_QUANTITIES):
                known = " and ".join(FORECAST_QUANTITIES)
                out.append(f"{rule.quantity} has no demand forecast; {known} have")
        case "reconciliation" if rule.quantity in QUANTITIES.keys() - _RECONCILED:
            out.append(f"{rule.quantity} is no counter of energy")
        case "gap":
            if not rule.longer_than_us:
                out.append("gap needs a length that it must exceed")
        case _:
            pass
    return out


def _wrong_threshold(rule: AlertRule) -> list[str]:
    out = []
    if rule.quantity is None:
        out.append("a threshold needs a quantity")
    if rule.above is None and rule.below is None:
        out.append("a threshold needs above or below")
    if rule.above is not None and rule.below is not None:
        if rule.below > rule.above:
            out.append("below must not be over above")
        elif rule.below + rule.hysteresis > rule.above - rule.hysteresis:
            out.append("the hysteresis leaves no value at which the alert is over")
    return out
