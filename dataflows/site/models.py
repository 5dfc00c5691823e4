"""The whole configuration: one TOML to frozen models, every mistake at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from connectors.profiles import load_profile, profile_names
from transforms.budget import plan
from transforms.model.asset import Asset, problem_with_part
from transforms.model.profile import Profile
from transforms.model.profile_check import ProfileError, mistakes_of

__all__ = [
    "Archive",
    "LogSettings",
    "Meter",
    "Mqtt",
    "Observe",
    "Poll",
    "Site",
    "SiteError",
    "load_site",
    "site_path",
]

MeterProtocol = Literal["ethernet_ip", "modbus", "both"]
Port = Annotated[int, Field(ge=0, le=65535)]
MeterPort = Annotated[int, Field(ge=1, le=65535)]
# Each flow takes one port, from `observe.base_port` on; three more flows may come.
_FLOWS = 6
Positive = Annotated[float, Field(gt=0)]
System = Literal["1P", "2P", "3P", "3P.1", "3P.2", "3P.n"]


class SiteError(ValueError):
    """A site file that cannot be used; ``mistakes`` lists every one with its path."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        self.mistakes = tuple(mistakes)
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"{path}: {len(mistakes)} mistake(s)\n{lines}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database") from None
    return name


def _host(text: str) -> str:
    if not text or "/" in text or any(letter.isspace() for letter in text):
        raise ValueError(f"{text!r} must not be empty or hold space or '/'")
    return text


def _part(text: str) -> str:
    if problem := problem_with_part(text):
        raise ValueError(problem)
    return text


def _uuid(text: str) -> str:
    return str(UUID(text))


class SiteSection(_Model):
    """What the site is called and which calendar it keeps."""

    name: Annotated[str, AfterValidator(_part)] = Field(
        description="First part of every asset's name."
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC",
        description="IANA zone of the site's calendar; no flow uses it yet: all times are UTC.",
    )
    data: Path = Field(
        default=Path("data"),
        description="Folder of log, archive and records; relative to this file.",
    )


class LogSettings(_Model):
    """The embedded log."""

    synchronous: Literal["normal", "full"] = Field(
        default="normal",
        description="normal survives kill -9; full also survives a power cut.",
    )
    retention_hours: Positive = Field(
        default=168.0, description="Records older than this may go."
    )
    retention_bytes: Annotated[int, Field(ge=1_000_000)] = Field(
        default=10_000_000_000,
        description="Size of the log at which the oldest records go.",
    )
    buffer_frames: Annotated[int, Field(ge=100)] = Field(
        default=100_000, description="Frames held in memory while the disk is full."
    )


class Poll(_Model):
    """How meters are polled."""

    timeout_seconds: Positive = Field(
        default=0.5, description="Deadline of one request, connecting included."
    )
    backoff_seconds: Positive = Field(
        default=1.0, description="First pause after a lost link; it doubles."
    )
    backoff_maximum_seconds: Positive = Field(
        default=30.0, description="Longest pause between attempts."
    )
    suspension_grace_seconds: Annotated[float, Field(ge=0)] = Field(
        default=10.0,
        description="How long EtherNet/IP may be silent after our own Modbus window.",
    )


class Meter(_Model):
    """One meter at one place."""

    asset: str = Field(description="area/asset; the site's name comes before it.")
    profile: str = Field(default="pm500", description="A shipped meter model.")
    host: Annotated[str, AfterValidator(_host)] = Field(
        description="IP address or name of the meter."
    )
    protocol: MeterProtocol = Field(
        default="ethernet_ip",
        description="both: power by EtherNet/IP, exact counters by Modbus.",
    )
    ethernet_ip_port: MeterPort | None = Field(
        default=None, description="TCP port; the profile's own where absent."
    )
    modbus_port: MeterPort | None = Field(
        default=None, description="TCP port; the profile's own where absent."
    )
    modbus_unit: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None, description="Unit id; the profile's own where absent."
    )
    groups: dict[str, Positive] | None = Field(
        default=None,
        description="Groups to poll and their periods in seconds; the profile's own "
        "where absent.",
    )
    electrical_system: System | None = Field(
        default=None, description="Wiring; readings without meaning in it are marked."
    )
    feeder: str | None = Field(
        default=None, description="Name of the feeder; no flow uses it yet."
    )
    breaker: str | None = Field(
        default=None, description="Name of the breaker; no flow uses it yet."
    )
    uuid: Annotated[str, AfterValidator(_uuid)] | None = Field(
        default=None, description="The asset's UUID; no flow uses it yet."
    )


class Mqtt(_Model):
    """The MQTT server that the Sparkplug publisher uses."""

    host: Annotated[str, Field(min_length=1)] = Field(
        description="Address or name of the server."
    )
    port: Port = Field(default=1883, description="TCP port.")
    group: Annotated[str, AfterValidator(_part)] = Field(
        default="pm500", description="Sparkplug group id."
    )
    username: str | None = Field(default=None, description="User name.")
    password_file: Path | None = Field(
        default=None, description="File that holds the password."
    )
    include_datatype: bool = Field(
        default=True,
        description="Send the datatype in data too: JavaScript hosts need it.",
    )
    backlog_messages_per_second: Positive = Field(
        default=500.0, description="Rate of historical data after an outage."
    )


class Archive(_Model):
    """The Delta tables."""

    path: Path | None = Field(
        default=None, description="Folder of the tables; data/archive where absent."
    )
    roll_rows: Annotated[int, Field(ge=1)] = Field(
        default=500_000, description="Rows of a topic after which files are committed."
    )
    roll_bytes: Annotated[int, Field(ge=1)] = Field(
        default=128_000_000, description="Log bytes after which files are committed."
    )
    roll_seconds: Positive = Field(
        default=300.0, description="Age at which files are committed."
    )


class Observe(_Model):
    """Metrics and health of each flow: one port per process."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    base_port: Port = Field(
        default=9500,
        description="acquire listens here, publish on the next, archive after it; "
        "0 takes free ports.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, JSON otherwise."
    )


class Site(_Model):
    """One plant: what to poll and where its frames go."""

    site: SiteSection
    log: LogSettings = LogSettings()
    poll: Poll = Poll()
    meter: Annotated[tuple[Meter, ...], Field(min_length=1)]
    mqtt: Mqtt | None = None
    archive: Archive | None = Archive()
    observe: Observe = Observe()
    folder: Path = Field(default=Path(), exclude=True)

    def asset(self, meter: Meter) -> str:
        """The full name: ``site/area/asset``."""
        return f"{self.site.name}/{meter.asset}"

    @property
    def data(self) -> Path:
        """The folder of log, archive and records."""
        return self.folder / self.site.data

    @property
    def log_path(self) -> Path:
        """The embedded log's file."""
        return self.data / "log" / "edge.sqlite"

    @property
    def archive_path(self) -> Path:
        """The folder of the Delta tables."""
        own = self.archive.path if self.archive else None
        return self.folder / own if own else self.data / "archive"

    @property
    def commissioning_path(self) -> Path:
        """The record of commissioning checks."""
        return self.data / "commissioning.json"


def site_path() -> Path:
    """The file that ``PM500_SITE`` names, else ``site.toml``."""
    return Path(os.environ.get("PM500_SITE", "site.toml"))


def load_site(path: Path) -> Site:
    """Read and check a site file; SiteError lists every mistake with its path."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SiteError(path, ["no such file"]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(path, [str(error)]) from error
    site: Site | None = None
    mistakes = []
    if "folder" in raw:
        mistakes.append("folder: Extra inputs are not permitted")
    try:
        site = Site.model_validate(raw | {"folder": path.absolute().parent})
    except ValidationError as error:
        mistakes += mistakes_of(error)
    mistakes += _cross(raw, path.absolute().parent)
    if site is None or mistakes:
        raise SiteError(path, mistakes)
    return site


def _cross(raw: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Mistakes between values; parts that are wrong by themselves are passed over."""
    section = raw.get("site")
    name = section.get("name") if isinstance(section, dict) else None
    if isinstance(name, str) and "." in name:
        yield f"site.name: {name!r} must not hold '.'"
    yield from _resources(raw, folder)
    seen: dict[object, str] = {}
    devices: dict[tuple[object, ...], str] = {}
    meters = raw.get("meter")
    for index, meter in enumerate(meters if isinstance(meters, list) else ()):
        if not isinstance(meter, dict):
            continue
        where = f"meter[{index}]"
        asset = meter.get("asset")
        if isinstance(asset, str):
            if asset.count("/") != 1:
                yield f"{where}.asset: {asset!r} is not of the form area/asset"
            else:
                try:
                    Asset.parse(f"site/{asset}")
                except ValueError as error:
                    yield f"{where}.asset: {error}"
            if asset in seen:
                yield f"{where}.asset: {asset!r} stands already at {seen[asset]}"
            seen.setdefault(asset, where)
        for device in _devices(meter):
            if device in devices:
                yield f"{where}.host: the same meter as {devices[device]}"
                break
            devices[device] = where
        yield from _meter(where, meter)


def _devices(meter: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """Where its connections go: one of them twice would count its energy twice."""
    host, protocol = meter.get("host"), meter.get("protocol", "ethernet_ip")
    if not isinstance(host, str):
        return
    if protocol in ("ethernet_ip", "both"):
        yield "ethernet_ip", host, meter.get("ethernet_ip_port")
    if protocol in ("modbus", "both"):
        unit = meter.get("modbus_unit")
        yield "modbus", host, meter.get("modbus_port"), unit


def _resources(raw: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Ports and files that the site asks for and cannot have."""
    observe, mqtt = raw.get("observe"), raw.get("mqtt")
    port = observe.get("base_port") if isinstance(observe, dict) else None
    if isinstance(port, int) and 65535 - _FLOWS < port <= 65535:
        yield f"observe.base_port: {port} leaves no port for each flow"
    secret = mqtt.get("password_file") if isinstance(mqtt, dict) else None
    if isinstance(secret, str) and not os.access(folder / secret, os.R_OK):
        yield f"mqtt.password_file: {secret!r} cannot be read"


def _meter(where: str, meter: Mapping[str, Any]) -> Iterator[str]:
    wanted = meter.get("profile", "pm500")
    if wanted not in profile_names():
        known = ", ".join(profile_names())
        yield f"{where}.profile: {wanted!r} is not shipped; there are: {known}"
        return
    try:
        profile = load_profile(wanted)
    except ProfileError as error:
        for mistake in error.mistakes:
            yield f"{where}.profile: {wanted}: {mistake}"
        return
    protocol = meter.get("protocol", "ethernet_ip")
    for need in ("ethernet_ip", "modbus"):
        if protocol in (need, "both") and getattr(profile, need) is None:
            yield f"{where}.protocol: profile {wanted} does not speak {need}"
    groups = meter.get("groups")
    if groups is not None and not isinstance(groups, dict):
        return
    right: dict[str, float] | None = None if groups is None else {}
    for group, period in (groups or {}).items():
        place = f"{where}.groups.{group}"
        mistakes = list(_group(place, profile, protocol, group, period))
        yield from mistakes
        if right is not None and not mistakes and _positive(period):
            right[group] = period
    if protocol in ("ethernet_ip", "modbus", "both") and (right or not groups):
        budget = plan(profile, protocol, right)
        yield from (f"{where}.{mistake}" for mistake in budget.mistakes)


def _group(
    where: str, profile: Profile, protocol: str, name: str, period: Any
) -> Iterator[str]:
    try:
        group = profile.group_named(name)
    except KeyError:
        known = ", ".join(g.name for g in profile.group)
        yield f"{where}: profile {profile.name} has no such group; it has: {known}"
        return
    if not group.ethernet_ip and protocol == "ethernet_ip":
        yield f"{where}: cannot be read by EtherNet/IP"
    if not group.modbus and protocol == "modbus":
        yield f"{where}: cannot be read by Modbus"
    if not _positive(period):
        return
    if period < profile.limits.minimum_period_seconds:
        floor = profile.limits.minimum_period_seconds
        yield f"{where}: {period} s is under the profile's minimum of {floor} s"
    hour_us, period_us = 3_600_000_000, max(1, round(period * 1_000_000))
    if hour_us % period_us and period_us % hour_us:
        yield f"{where}: {period} s does not divide the hour"


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value) and value > 0
