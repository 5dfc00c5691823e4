"""What the site file says of its meters' places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from dataflows.site import Meter, Site
from transforms.enrich import Enricher, Place

__all__ = ["enricher_of", "tags_of"]

_TAGS = ("site", "area", "asset", "breaker")


def enricher_of(site: Site) -> Enricher:
    """The places of all meters of the site."""
    return Enricher({site.asset(meter): _place(site, meter) for meter in site.meter})


def tags_of(site: Site) -> Callable[[str], dict[str, str]]:
    """What InfluxDB is told of an asset: site, area, asset and, where known, breaker.

    Of what speaks of no asset, the site alone.
    """
    enricher = enricher_of(site)

    @lru_cache(maxsize=1 << 14)
    def of(asset: str) -> dict[str, str]:
        if not asset:
            return {"site": site.site.name}
        labels = enricher.labels(asset)
        return {name: labels[name] for name in _TAGS if name in labels}

    return of


def _place(site: Site, meter: Meter) -> Place:
    known = Place.of(site.asset(meter))
    return replace(
        known,
        uuid=meter.uuid or known.uuid,
        feeder=meter.feeder,
        breaker=meter.breaker,
        electrical_system=meter.electrical_system,
        profile=meter.profile,
    )
