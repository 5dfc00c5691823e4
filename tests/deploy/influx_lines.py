"""Points of a small plant as line protocol, and the names that points may have."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.model.quality import Status

__all__ = ["MEASUREMENTS", "TEXTS", "lines"]

FAILED = [f"failed_{status.label}" for status in Status if status is not Status.OK]
FIELDS = (
    "voltage voltage_ln current kW kVA kVAR power_factor frequency phase_sequence "
    "kWh kWh_export kVARh kVARh_export partial_kWh partial_kWh_export partial_kVARh "
    "partial_kVARh_export operating_hours "
    "alarm1 alarm2 alarm3 alarm4 output1 output2"
).split()
_METER = {"site", "area", "asset", "breaker"}

# By measurement: its tags, its fields.
MEASUREMENTS: dict[str, tuple[set[str], set[str]]] = {
    "powermonitor_500": (_METER | {"group", "phase"}, {*FIELDS, "quality", "status"}),
    "pm500_window": (
        _METER | {"group", "phase", "window"},
        {f"{f}_{what}" for f in FIELDS for what in "mean min max last good".split()}
        | {"quality", "due", "good", "revision"},
    ),
    "pm500_demand": (
        _METER | {"quantity", "method", "interval"},
        {"value", "forecast", "running", "quality", "revision"},
    ),
    "pm500_energy": (
        _METER | {"quantity", "interval"},
        set(
            "energy substituted counter_start counter_end integral budget seconds "
            "quality revision verdict reason".split()
        ),
    ),
    "pm500_ledger": (
        _METER | {"group"},
        {"due", "good", "missing", "failed", "revision", *FAILED},
    ),
    "pm500_event": (
        _METER | set("kind group quantity phase alert topic partition".split()),
        set("text severity id data since until lasting revision".split()),
    ),
}

# The texts that a tag may have, where these are few.
TEXTS = {
    "group": set("realtime energy demand maximum status".split()),
    "kind": {"demand_peak"},
    "phase": set("A B C N AB BC CA total".split()),
}

SECOND = 1_000_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
ASSETS = ("area=press,asset=line1,breaker=Q1", "area=press,asset=oven")


def lines(now_ns: int) -> Iterator[str]:
    """An hour of two meters until now; the oven's last poll failed, and one is missing."""
    now = now_ns // MINUTE * MINUTE
    for asset in ASSETS:
        yield from _frames(asset, now)
        yield from _derived(asset, now)
        yield from _events(asset, now)


def _frames(asset: str, now: int) -> Iterator[str]:
    name = f"powermonitor_500,{asset},group"
    for second in range(-90, 0):
        time = now + second * SECOND
        if second == -40:
            continue
        if "oven" in asset and second == -1:
            yield f"{name}=realtime,phase=total,site=plant quality=0,status=2 {time}"
            continue
        for phase in "ABC":
            yield (
                f"{name}=realtime,phase={phase},site=plant kW=10,kVA=11,kVAR=4,"
                f"power_factor=0.9,voltage=230,current=45,quality=192 {time}"
            )
        for phase in ("AB", "BC", "CA"):
            yield f"{name}=realtime,phase={phase},site=plant voltage=398,quality=192 {time}"
        yield f"{name}=realtime,phase=N,site=plant current=2,quality=64 {time}"
        yield (
            f"{name}=realtime,phase=total,site=plant kW=30,kVA=33,kVAR=12,power_factor=0.9,"
            f"voltage=398,voltage_ln=230,current=45,frequency=50,quality=192 {time}"
        )
        yield (
            f"{name}=status,phase=total,site=plant alarm1=0,alarm2=1,alarm3=0,alarm4=0,"
            f"output1=0,output2=0,quality=192 {time}"
        )
    for minute in range(-5, 0):
        time = now + minute * MINUTE
        yield (
            f"{name}=energy,phase=total,site=plant kWh={1000 + minute},kWh_export=1,"
            f"kVARh=20,kVARh_export=0,operating_hours=7,quality=192 {time}"
        )
        for group in ("demand", "maximum"):
            yield f"{name}={group},phase=total,site=plant kW=31,quality=192 {time}"


def _derived(asset: str, now: int) -> Iterator[str]:
    for minute in range(-30, 0):
        good = 59 if minute == -1 else 60
        values = ",".join(
            f"{field}_{what}=30" if what != "good" else f"{field}_good=98"
            for field in ("kW", "kVAR", "voltage", "current")
            for what in ("mean", "min", "max", "last", "good")
        )
        yield (
            f"pm500_window,{asset},group=realtime,phase=total,site=plant,window=60 "
            f"{values},quality=64,due=60,good={good},revision=0 {now + minute * MINUTE}"
        )
    quarter = now // (15 * MINUTE) * 15 * MINUTE
    for back in range(5):
        start = quarter - back * 15 * MINUTE
        running = ",forecast=33,running=1" if back == 0 else ",running=0"
        yield (
            f"pm500_demand,{asset},interval=900,method=block,quantity=realPower,site=plant "
            f"value={30 + back}{running},quality=192,revision=0 {start}"
        )
        for quantity in ("energyImport", "reactiveEnergyImport"):
            yield (
                f"pm500_energy,{asset},interval=900,quantity={quantity},site=plant "
                "energy=7.5,"
                "substituted=0.5,counter_start=10,counter_end=17.5,integral=7.4,budget=0.3,"
                'seconds=900,quality=64,revision=1,verdict="agrees",reason="" '
                f"{start - 15 * MINUTE}"
            )
    # A whole day before today.
    yield (
        f"pm500_energy,{asset},interval=900,quantity=energyImport,site=plant "
        f"energy=100,substituted=0 {now - 48 * HOUR}"
    )
    # The same energy once more, of hours.
    yield (
        f"pm500_energy,{asset},interval=3600,quantity=energyImport,site=plant "
        f"energy=100,substituted=0,seconds=3600 {now - 48 * HOUR}"
    )
    causes = ",".join(f"{cause}={6 * (cause == 'failed_timeout')}" for cause in FAILED)
    for hour in range(1, 4):
        for group in ("realtime", "energy"):
            yield (
                f"pm500_ledger,{asset},group={group},site=plant due=3600,good=3590,"
                f"missing=4,failed=6,{causes},revision=0 {now // HOUR * HOUR - hour * HOUR}"
            )


def _events(asset: str, now: int) -> Iterator[str]:
    def event(
        kind: str, about: str, minutes: int, until: str = "", lasting: int = 0
    ) -> str:
        since = (now - minutes * MINUTE) / 1e6
        return (
            f"pm500_event,{asset}{about},kind={kind},site=plant "
            f'text="what happened",severity="warning",id="{kind}",data="{{}}",revision=0,lasting={lasting},'
            f"since={since:.0f}{until} {now - minutes * MINUTE}"
        )

    ended = f",until={(now - 5 * MINUTE) / 1e6:.0f}"
    yield event("alert", ",alert=hot,quantity=currentA", 20, lasting=1)
    yield event("alert", ",alert=again,quantity=currentA", 20, ended, lasting=1)
    yield event("frozen_value", ",group=realtime,quantity=realPower", 10, ended)
    yield event("comm_lost", "", 2)
    yield event("counter_reset", ",group=energy,quantity=energyImport", 30)
    yield event("demand_peak", ",quantity=realPower", 45)
