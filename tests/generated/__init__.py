"""Frames of simulated meters made without sockets, with the truth beside them."""

from tests.generated.arrival import Arrival, batches, shuffled_within
from tests.generated.day import PERIODS, Day, Delivery
from tests.generated.every import every_trouble
from tests.generated.meter import GeneratedMeter, meters_of
from tests.generated.plan import MISSING
from tests.generated.trouble import HIDES_ENERGY, KINDS, Trouble, TroubleKind
from tests.generated.truth import Readings, SlotsTruth, Truth

__all__ = [
    "HIDES_ENERGY",
    "KINDS",
    "MISSING",
    "PERIODS",
    "Arrival",
    "Day",
    "Delivery",
    "GeneratedMeter",
    "Readings",
    "SlotsTruth",
    "Trouble",
    "TroubleKind",
    "Truth",
    "batches",
    "every_trouble",
    "meters_of",
    "shuffled_within",
]
