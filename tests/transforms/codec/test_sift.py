from __future__ import annotations

from transforms.codec.frame import Column, FrameSchema
from transforms.codec.sift import Sifter

SCHEMA = FrameSchema("pm500", "realtime", (Column("voltageAN", "float"),))
GOOD = SCHEMA.encode_failed(7, 10, 70, 0, 0, 2)


def test_frames_are_told_from_what_only_looks_like_one() -> None:
    items = [
        ("s/a/m", GOOD),
        ("nobody", GOOD),
        ("s/a/m", GOOD[:-1]),
        ("s/a/m", SCHEMA.encode_failed(7, 10, 71, 0, 0, 2)),
        ("s/a/n", GOOD),
    ]
    keys, values = zip(*items, strict=True)
    columns, kept, rejected = Sifter().sift(SCHEMA, keys, values)
    assert kept == [0, 4]
    assert columns.seq.tolist() == [7, 7]
    assert [place for place, _ in rejected] == [1, 2, 3]
    assert all(reason for _, reason in rejected)


def test_frames_alone_are_all_kept() -> None:
    assert Sifter().sift(SCHEMA, ["s/a/m"] * 3, [GOOD] * 3).kept == range(3)
