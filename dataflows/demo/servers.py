"""The servers that a demo is given instead of its own broker and files."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

__all__ = ["InfluxDatabase", "MqttAddress", "Servers", "count_frames"]

_COUNT_SECONDS = 30.0


class MqttAddress(NamedTuple):
    """An MQTT server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class InfluxDatabase(NamedTuple):
    """A database of InfluxDB 1.x; ``url`` has no path."""

    url: str
    database: str

    def __str__(self) -> str:
        return f"{self.url}, database {self.database}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What a demo uses; ``mqtt`` None: a broker of its own, the others None: none.

    ``kafka`` is ``host:port``; ``topic_prefix`` keeps the topics of one demo apart.
    """

    mqtt: MqttAddress | None = None
    kafka: str | None = None
    topic_prefix: str = ""
    influx: InfluxDatabase | None = None


def count_frames(influx: InfluxDatabase, site: str, since_us: int) -> int | None:
    """How many frames of a site InfluxDB has, from a time on; None where it won't say.

    Each frame has one line of the total.
    """
    where = f"\"site\" = '{site}' AND \"phase\" = 'total' AND time >= {since_us}u"
    query = f'SELECT count("quality") FROM powermonitor_500 WHERE {where}'  # noqa: S608 - our own site
    asked = urlencode({"db": influx.database, "q": query})
    try:
        with urllib.request.urlopen(  # noqa: S310 - the user's own address
            f"{influx.url}/query?{asked}", timeout=_COUNT_SECONDS
        ) as answer:
            (result,) = json.load(answer)["results"]
    except (OSError, ValueError, KeyError):
        return None
    if "error" in result:
        return None
    series = result.get("series")
    return int(series[0]["values"][0][1]) if series else 0
