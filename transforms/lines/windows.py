"""Windows as lines: one for each phase that has readings."""

from __future__ import annotations

import numpy as np

from transforms.codec.window import STATISTICS, WindowRecord, WindowSchema
from transforms.lines.names import PHASES, WINDOW, place_of
from transforms.lines.numbers import digits
from transforms.lines.records import Labels
from transforms.lines.text import line, tags
from transforms.model.quality import Quality, worst

__all__ = ["window_lines"]

_SUFFIXES = (*(f"_{word.lower()}" for word in STATISTICS), "_good")


def window_lines(schema: WindowSchema, record: WindowRecord, labels: Labels) -> bytes:
    """The lines of a window, joined; LineError for an asset that has no tags.

    ``due``, ``good`` and ``revision`` stand on the line of the total.
    """
    kind = np.float64 if schema.value_type == "double" else np.float32
    texts = digits(np.array(record.statistics, kind).reshape(-1, len(_SUFFIXES)))
    places = [place_of(name) for name in schema.frame.names]
    own = {"group": record.group, "window": f"{record.length_us / 1e6:g}"}
    known = labels(record.asset) | own
    out = []
    for phase in PHASES:
        mine = [n for n, place in enumerate(places) if place.phase == phase]
        codes = [record.quality[n] for n in mine]
        absent = all(code == Quality.BAD_NOT_IN_SYSTEM for code in codes)
        total = phase == PHASES[-1]
        if absent and not total:
            continue
        values = [
            b"%b=%b" % ((places[n].field + suffix).encode(), text)
            for n in mine
            if record.quality[n] != Quality.BAD_NOT_IN_SYSTEM
            for suffix, text in zip(_SUFFIXES, texts[n], strict=True)
            if text != b"null"
        ]
        values.append(b"quality=%d" % worst(codes))
        if total:
            counts = record.due, record.good, record.revision
            values.append(b"due=%d,good=%d,revision=%d" % counts)
        tag_set = tags(known | {"phase": phase})
        out.append(line(WINDOW, tag_set, b",".join(values), record.start_us * 1000))
    return b"\n".join(out)
