"""Physics as a check of the member order."""

from transforms.plausibility import energy_radix, implausible, loaded

WELL = {
    "voltageAN": 230.0, "voltageBN": 230.0, "voltageCN": 230.0, "voltageLNAvg": 230.0,
    "voltageLLAvg": 398.4, "currentA": 10.0, "currentB": 10.0, "currentC": 10.0,
    "realPowerA": 2.0, "realPowerB": 2.0, "realPowerC": 2.0, "realPower": 6.0,
    "apparentPowerA": 2.3, "apparentPowerB": 2.3, "apparentPowerC": 2.3,
    "apparentPower": 6.9, "powerFactor": 0.87, "frequency": 50.0,
}  # fmt: skip


def test_a_live_meter_is_plausible() -> None:
    assert implausible(WELL, "3P.n") == []


def test_each_relation_that_fails_is_named() -> None:
    wrong = WELL | {"voltageLLAvg": 230.0, "frequency": 5.0, "powerFactor": 1.5}
    wrong |= {"realPower": 60.0, "apparentPowerB": 3.3}
    assert implausible(wrong, "3P.n") == [
        "V L-L / V L-N is 1.000, not about 1.732",
        "frequency is 5 Hz",
        "powerFactor is 1.5",
        "realPower is 60, its phases sum to 6",
        "realPower is 60, |PF| x S is 10.35",
        "apparentPowerB is 3.3, V x I is 2.3",
    ]


def test_real_and_reactive_power_cannot_change_places() -> None:
    swapped = WELL | {"realPower": 3.4, "realPowerA": 1.1, "realPowerB": 1.1}
    swapped |= {"realPowerC": 1.2, "powerFactorA": 0.87}
    assert implausible(swapped, "3P.n") == [
        "realPowerA is 1.1, |PF| x S is 2.001",
        "realPower is 3.4, |PF| x S is 6.003",
    ]


def test_a_total_that_is_one_phase_is_named() -> None:
    assert implausible(WELL | {"apparentPower": 2.3}, "3P.n") == [
        "apparentPower is 2.3, its phases sum to 6.9",
        "realPower is 6, |PF| x S is 2.001",
    ]


def test_a_meter_without_load_shows_nothing_of_its_powers() -> None:
    assert loaded(WELL)
    assert not loaded(dict.fromkeys(WELL, 0.0) | {"frequency": 50.0})


def test_a_three_wire_meter_is_not_held_to_line_to_neutral() -> None:
    assert implausible(WELL | {"voltageLNAvg": 1.0}, "3P") == []


def test_a_reading_that_is_absent_breaks_nothing() -> None:
    assert implausible({"frequency": 60.0}, None) == []


def test_the_radix_is_the_one_that_fits_every_counter() -> None:
    pairs = {"energyImport": (12.0, 345.5), "energyExport": (3.0, 1.0)}
    exact = {"energyImport": 12_345.5, "energyExport": 3_001.0}
    assert energy_radix(pairs, exact) == 1e3


def test_no_radix_is_shown_by_counters_below_it() -> None:
    assert energy_radix({"energyImport": (0.0, 5.0)}, {"energyImport": 5.0}) is None


def test_counters_that_fit_no_power_of_ten_show_no_radix() -> None:
    assert energy_radix({"energyImport": (7.0, 5.0)}, {"energyImport": 99.0}) is None
