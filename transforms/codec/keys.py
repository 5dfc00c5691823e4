"""The keys of many records: few different texts, and a number for each record. Pure.

Keys are assets, and of a batch of ten thousand frames only hundreds are different. Who
groups or stores them takes the numbers; to everyone else this is a sequence of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

__all__ = ["Keys"]

Codes = npt.NDArray[np.int32]


class Keys(Sequence[str]):
    """``texts[code]`` of every code, ``codes`` of the shape (n,).

    ``texts`` may hold texts that no code means, and may grow: the records of one source
    share it.
    """

    __slots__ = ("codes", "texts")

    def __init__(self, texts: Sequence[str], codes: Codes) -> None:
        self.texts = texts
        self.codes = codes

    @classmethod
    def of(cls, keys: Sequence[str]) -> Keys:
        """Of texts in their order; those that are coded already stay as they are."""
        if isinstance(keys, Keys):
            return keys
        different = {key: code for code, key in enumerate(dict.fromkeys(keys))}
        codes = np.fromiter(map(different.__getitem__, keys), np.int32, len(keys))
        return cls(list(different), codes)

    def compact(self) -> Keys:
        """The same keys without the texts that no code means."""
        used = np.zeros(len(self.texts), np.bool_)
        used[self.codes] = True
        if used.all():
            return self
        new = np.cumsum(used, dtype=np.int32) - 1
        texts = [self.texts[place] for place in np.flatnonzero(used).tolist()]
        return Keys(texts, new[self.codes])

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int, /) -> str: ...
    @overload
    def __getitem__(self, place: slice, /) -> Keys: ...
    def __getitem__(self, place: int | slice, /) -> str | Keys:
        if isinstance(place, slice):
            return Keys(self.texts, self.codes[place])
        return self.texts[int(self.codes[place])]

    def __iter__(self) -> Iterator[str]:
        return map(self.texts.__getitem__, self.codes.tolist())
