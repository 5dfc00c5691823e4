"""What the site says of a meter's place, for records that others read.

A name alone gives site, area, asset and UUID; the rest is known of meters that the
site configures now. Records of others keep their meaning without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from transforms.codec.records import Event
from transforms.model.asset import Asset

__all__ = ["Enricher", "Place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a meter is and what it measures; None where the site does not say.

    ``key`` is ``site/area/asset``, and ``asset`` its last part.
    """

    key: str
    site: str
    area: str
    asset: str
    uuid: str
    feeder: str | None = None
    breaker: str | None = None
    electrical_system: str | None = None
    profile: str | None = None

    @classmethod
    def of(cls, key: str) -> Place:
        """What the name alone says; parts that it does not have are empty.

        >>> Place.of("plant/hall1/press").area
        'hall1'
        """
        site, area, asset = (*key.split("/", 2), "", "")[:3]
        own = str(Asset(site, area, asset).uuid)
        return cls(key=key, site=site, area=area, asset=asset, uuid=own)


class Enricher:
    """The places of a site, by ``site/area/asset``."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = dict(places)

    def place(self, asset_key: str) -> Place:
        """The place as configured, or what its name says."""
        return self._places.get(asset_key) or Place.of(asset_key)

    def labels(self, asset_key: str) -> dict[str, str]:
        """What is known of the place, by the names of ``Place``, without the key."""
        known = asdict(self.place(asset_key))
        del known["key"]
        return {name: value for name, value in known.items() if value}

    def labelled(self, event: Event) -> Event:
        """The event with feeder and breaker in its data where known; its id stays.

        What its data already says of them stays too.
        """
        place = self.place(event.asset)
        both = {"feeder": place.feeder, "breaker": place.breaker}
        known = {name: value for name, value in both.items() if value}
        if not known.keys() - event.data.keys():
            return event
        return replace(event, data={**known, **event.data})
