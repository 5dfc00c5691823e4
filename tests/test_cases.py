"""Golden cases: what stood on the wire, and the readings it must become.

A folder ``tests/cases/<profile>/<what>/`` holds a ``case.toml``: blocks in hex as the
meter sent them (empty: not answered), the expected readings in the units of the table,
and the quality of each that is not good. A bug report becomes a folder.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from connectors.profiles import load_profile, profile_names
from transforms.model import wire
from transforms.model.outcome import Meaning
from transforms.model.quality import Quality
from transforms.readings import GroupReader

CASES = sorted(
    path
    for path in (Path(__file__).parent / "cases").glob("*/*/case.toml")
    if path.parts[-3] in profile_names()
)


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parts[-3]}/{p.parts[-2]}")
def test_a_case_reads_as_expected(path: Path) -> None:
    case = tomllib.loads(path.read_text("utf-8"))
    profile = load_profile(path.parts[-3])
    group = profile.group_named(case["group"])
    meaning = Meaning(
        case["commissioned"],
        case.get("electrical_system"),
        case.get("energy_high_multiplier"),
    )
    blocks = [bytes.fromhex(text) or None for text in case["blocks"]]
    if case["protocol"] == "modbus":
        assert profile.modbus is not None
        order = profile.modbus.word_order
        blocks = [wire.plain(b, order)[0] if b else None for b in blocks]
    reader = GroupReader(profile, group, case["protocol"], meaning)
    codes, values = reader.read(blocks)
    quality = {
        name: Quality(code).label
        for name, code in zip(reader.names, codes, strict=True)
        if code != Quality.GOOD
    }
    assert quality == case.get("quality", {})
    readings = {
        name: value
        for name, value, code in zip(reader.names, values, codes, strict=True)
        if Quality(code).has_value
    }
    assert readings == pytest.approx(case["readings"], rel=1e-6)


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_a_case_for_each_group_it_was_made_for(profile: str) -> None:
    covered = {
        tomllib.loads(path.read_text("utf-8"))["group"]
        for path in CASES
        if path.parts[-3] == profile
    }
    assert covered >= {"realtime", "energy"}
