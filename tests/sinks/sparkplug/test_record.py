from __future__ import annotations

from pathlib import Path

import pytest

from sinks.sparkplug.record import NodeRecord, load_record, save_record


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "plant.hall1.json"
    record = NodeRecord(
        bd_seq=255, log_id="log", live=12, owed={"m1": ((1, 3), (7, 9))}
    )
    save_record(path, record, sync=True)
    assert load_record(path) == record
    assert [entry.name for entry in tmp_path.iterdir()] == ["plant.hall1.json"]


def test_a_node_without_a_record_starts_before_bd_seq_0(tmp_path: Path) -> None:
    assert load_record(tmp_path / "none.json") == NodeRecord(bd_seq=-1)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"owed": 3}', '{"owed": {"m": [1]}}'])
def test_a_record_that_cannot_be_read_is_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plant.hall1.json"
    path.write_text(text)
    assert load_record(path) == NodeRecord()
