"""Linear functions of the basis courses, and the dice that draw them; pure."""

from __future__ import annotations

import hashlib
from math import cos, hypot, pi, sin
from typing import NamedTuple

__all__ = ["Basis", "Course", "Dice", "course", "course_sum"]

# Values, means or integrals of: 1, the shape, its magnitude, and sine and cosine of the
# three ripples.
Basis = tuple[float, float, float, float, float, float, float, float, float]


class Course(NamedTuple):
    """A linear function of the basis: factors of constant, shape, magnitude, ripples."""

    constant: float
    shape: float
    magnitude: float
    s1: float
    c1: float
    s2: float
    c2: float
    s3: float
    c3: float

    def of(self, basis: Basis) -> float:
        """Its value for these values (or means, or integrals) of the basis."""
        return (
            self.constant * basis[0]
            + self.shape * basis[1]
            + self.magnitude * basis[2]
            + self.s1 * basis[3]
            + self.c1 * basis[4]
            + self.s2 * basis[5]
            + self.c2 * basis[6]
            + self.s3 * basis[7]
            + self.c3 * basis[8]
        )

    @property
    def ripple(self) -> float:
        """The most that the ripples can add."""
        pairs = (self.s1, self.c1), (self.s2, self.c2), (self.s3, self.c3)
        return sum(hypot(*pair) for pair in pairs)


class Dice:
    """Numbers from a seed: the same name always gives the same number."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def between(self, low: float, high: float, name: str) -> float:
        """The number of this name, in ``[low, high)``."""
        digest = hashlib.blake2b(f"{self._seed}:{name}".encode(), digest_size=8)
        return low + (high - low) * int.from_bytes(digest.digest(), "big") / 2**64


def course(
    dice: Dice,
    name: str,
    constant: float,
    shape: float,
    magnitude: float,
    size: float,
    ripples: tuple[float, ...],
) -> Course:
    """A course whose ripples have these amplitudes, as shares of ``size``."""
    waves: list[float] = []
    for number, share in enumerate(ripples):
        phase = dice.between(0.0, 2 * pi, f"{name}.{number}")
        waves += [size * share * cos(phase), size * share * sin(phase)]
    return Course(constant, shape, magnitude, *waves)


def course_sum(courses: list[Course]) -> Course:
    """The course that is their sum at every time."""
    return Course(*(sum(parts) for parts in zip(*courses, strict=True)))
