"""The sections of a site file as frozen models; each says what its keys mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connectors.log.contract import FRAMES, TOPICS
from transforms.alerts.rule import AlertKind, AlertRule, Severity
from transforms.calendar import problem_with_length
from transforms.lines.text import problem_with_tag
from transforms.model.asset import problem_with_part

__all__ = [
    "FLOW_PORTS",
    "S3",
    "AlertSettings",
    "Archive",
    "Derive",
    "Influx",
    "Kafka",
    "LogSettings",
    "Meter",
    "Mqtt",
    "Observe",
    "Poll",
    "Site",
    "SiteSection",
]

MeterProtocol = Literal["ethernet_ip", "modbus", "both"]
Port = Annotated[int, Field(ge=0, le=65535)]
MeterPort = Annotated[int, Field(ge=1, le=65535)]
# Each flow takes one port, from `observe.base_port` on.
FLOW_PORTS = 6
Positive = Annotated[float, Field(gt=0)]
System = Literal["1P", "2P", "3P", "3P.1", "3P.2", "3P.n"]


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


def _place(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    # What every store and every reader of Delta takes; others differ in how they escape.
    bucket = r"[a-z0-9.-]{3,63}(/[A-Za-z0-9_.=-]+)*/?"
    if mark and (scheme != "s3" or not re.fullmatch(bucket, rest)):
        raise ValueError(f"{text!r} is neither a folder nor s3://bucket/prefix")
    return text


def _endpoint(text: str) -> str:
    if not re.match(r"https?://[^/\s]", text):
        raise ValueError(f"{text!r} must begin with http:// or https://")
    return text


def _server_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        good = False
    else:
        secret = parts.username is not None or parts.password is not None
        good = good and parts.scheme in ("http", "https") and not secret
        good = good and not (parts.query or parts.fragment)
    if not good or any(letter.isspace() for letter in text):
        # Not the text: it may hold a password.
        raise ValueError("must be http://host:port or https://host:port, without more")
    return text


def _prefix(text: str) -> str:
    # What Kafka allows in a topic's name (org.apache.kafka.common.internals.Topic).
    if not re.fullmatch(r"[a-zA-Z0-9._-]*", text) or len(text) > 100:
        raise ValueError(f"{text!r} must be of letters, digits, '.', '_' and '-'")
    return text


def _frames_topic(text: str) -> str:
    if not text or text in {*TOPICS} - {FRAMES}:
        raise ValueError(f"{text!r} is no topic of frames")
    return _prefix(text)


def _window(seconds: int) -> int:
    if problem := problem_with_length(seconds * 1_000_000):
        raise ValueError(f"{seconds} s {problem}")
    return seconds


def _minutes(seconds: int) -> int:
    if seconds % 60:
        raise ValueError(f"{seconds} s is no number of whole minutes")
    return _window(seconds)


def _windows(lengths: tuple[int, ...]) -> tuple[int, ...]:
    for seconds in lengths:
        _window(seconds)
    return tuple(sorted(set(lengths)))


def _tag(text: str) -> str:
    if problem := problem_with_tag(text):
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
        description="IANA zone of the site's calendar: its days, demand and billing "
        "periods. Times in records are UTC.",
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
    check_clock: bool = Field(
        default=True,
        description="Ask the kernel whether the clock is synchronized; derived values "
        "are uncertain while it is not. It may not know, in a container for one.",
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
    maximum_kw: Positive = Field(
        default=10_000.0,
        description="More than the circuit can ever carry: a counter that runs faster "
        "is wrong.",
    )
    feeder: str | None = Field(
        default=None, description="Name of the feeder, told in alerts."
    )
    breaker: Annotated[str, AfterValidator(_tag)] | None = Field(
        default=None,
        description="Name of the breaker, told in alerts and as a tag in InfluxDB.",
    )
    uuid: Annotated[str, AfterValidator(_uuid)] | None = Field(
        default=None, description="The asset's UUID; made from its name where absent."
    )


class Derive(_Model):
    """What is derived from frames: windows, demand, energy, ledger, alerts."""

    windows_seconds: Annotated[tuple[int, ...], AfterValidator(_windows)] = Field(
        default=(60, 900, 3600, 86400),
        description="Lengths of windows; each divides the day. Short ones cost log: a "
        "window of a PowerMonitor 500's realtime group has 700 bytes.",
    )
    lateness_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=2.0,
        description="Frames may come so much out of order; windows are told that late.",
    )
    correction_seconds: Annotated[float, Field(ge=0, le=86400)] = Field(
        default=60.0,
        description="A frame that comes so much later still gives a revision of its "
        "windows; the ledger is corrected for a week.",
    )
    demand_method: Literal["block", "sliding"] = Field(
        default="block", description="Of demand, unless the meter says another."
    )
    demand_minutes: Literal[1, 5, 10, 15, 20, 30, 60] = Field(
        default=15, description="Demand interval, unless the meter says another."
    )
    billing_day: Annotated[int, Field(ge=1, le=28)] = Field(
        default=1, description="Day of the month on which a billing period begins."
    )
    energy_seconds: Annotated[int, AfterValidator(_minutes)] = Field(
        default=900,
        description="Length of an energy interval: whole minutes that divide the day. "
        "With another one all intervals have other ids.",
    )
    frozen_seconds: Positive = Field(
        default=120.0,
        description="A live reading that is bit-equal for so long, and in ten readings "
        "at least, is frozen.",
    )
    wiring_seconds: Positive = Field(
        default=600.0,
        description="So long must phases look reversed or exchanged.",
    )
    snapshot_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=10.0,
        description="How often the state is kept; what came since is derived again "
        "after a crash.",
    )


class AlertSettings(_Model):
    """One alert: a condition of some assets, raised and cleared as events."""

    name: Annotated[str, Field(min_length=1)] = Field(
        description="Its name; no two alerts have the same."
    )
    kind: AlertKind = Field(description="What it is about.")
    assets: str = Field(
        default="*", description="Pattern on site/area/asset, such as plant/hall1/*."
    )
    quantity: str | None = Field(
        default=None, description="The reading; all of them where absent, if it may be."
    )
    above: float | None = Field(
        default=None, description="Raised above this, in the quantity's unit."
    )
    below: float | None = Field(default=None, description="Raised below this.")
    hysteresis: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Cleared so far back from the limit."
    )
    delay_seconds: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="The condition must hold so long."
    )
    clear_delay_seconds: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="The condition must be over so long."
    )
    severity: Severity = Field(default="warning", description="How bad it is.")
    longer_than_seconds: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="For `gap`: gaps longer than this."
    )

    def rule(self) -> AlertRule:
        """The same as the transforms know it."""
        return AlertRule(
            name=self.name,
            kind=self.kind,
            assets=self.assets,
            quantity=self.quantity,
            above=self.above,
            below=self.below,
            hysteresis=self.hysteresis,
            delay_us=round(self.delay_seconds * 1e6),
            clear_delay_us=round(self.clear_delay_seconds * 1e6),
            severity=self.severity,
            longer_than_us=round(self.longer_than_seconds * 1e6),
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

    path: Annotated[str, AfterValidator(_place)] | None = Field(
        default=None,
        description="Folder of the tables, or s3://bucket/prefix; data/archive where "
        "absent.",
    )
    frames_topic: Annotated[str, AfterValidator(_frames_topic)] = Field(
        default=FRAMES,
        description="Where frames are read. Another topic, such as a replay's, is "
        "archived without events and needs tables of its own.",
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


class Kafka(_Model):
    """The Kafka cluster that the edge's log is moved on to; the archive reads there."""

    bootstrap_servers: Annotated[str, Field(min_length=1)] = Field(
        description="host:port of one broker or more, by commas."
    )
    topic_prefix: Annotated[str, AfterValidator(_prefix)] = Field(
        default="", description="Put before every topic and consumer group."
    )
    partitions: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=4,
        description="Of the frames and derived topics where pm500 makes them; the "
        "others have one.",
    )
    replication: Annotated[int, Field(ge=1, le=15)] = Field(
        default=1, description="Copies of every topic where pm500 makes it."
    )
    retention_hours: Positive = Field(
        default=168.0,
        description="Age at which Kafka drops records; schemas are kept for ever.",
    )
    sasl_password_file: Path | None = Field(
        default=None, description="File that holds the SASL password."
    )
    ssl_key_password_file: Path | None = Field(
        default=None, description="File that holds the password of the TLS key."
    )
    client: dict[str, str | int | float | bool] = Field(
        default={},
        description="Further librdkafka settings by name, such as security.protocol; "
        "no secrets.",
    )


class Influx(_Model):
    """The InfluxDB that the historian writes to: frames, derived records and events."""

    url: Annotated[str, AfterValidator(_server_url)] = Field(
        description="Such as http://127.0.0.1:8086."
    )
    version: Literal[1, 2] = Field(
        default=2,
        description="Of the HTTP API: 2 writes to /api/v2/write, 1 to /write?db=.",
    )
    org: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Organization: version 2 needs it."
    )
    bucket: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Bucket: version 2 needs it."
    )
    token_file: Path | None = Field(
        default=None, description="File that holds the token, for version 2."
    )
    database: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="Database: version 1 needs it."
    )
    retention_policy: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="Retention policy, for version 1; the database's default where "
        "absent.",
    )
    username: Annotated[str, Field(pattern=r"^[^:]+$")] | None = Field(
        default=None, description="User name, for version 1; it has no colon."
    )
    password_file: Path | None = Field(
        default=None, description="File that holds the password, for version 1."
    )
    batch_records: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=600,
        description="Records after which a batch is sent: a frame of a PowerMonitor "
        "500's realtime group is 8 points.",
    )
    batch_bytes: Annotated[int, Field(ge=1000)] = Field(
        default=4_000_000,
        description="Bytes of line protocol after which a batch is sent; on its way it "
        "is about an eighth of that.",
    )
    batch_seconds: Positive = Field(
        default=1.0, description="Age at which a batch is sent."
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=10)] = Field(
        default=10.0, description="How long the server may take to answer a batch."
    )


class S3(_Model):
    """The store of an archive in s3://…; the AWS environment counts where absent."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="URL of a store that is not Amazon's own."
    )
    region: str | None = Field(default=None, description="Region of the bucket.")
    access_key_id_file: Path | None = Field(
        default=None, description="File that holds the access key id."
    )
    secret_access_key_file: Path | None = Field(
        default=None, description="File that holds the secret access key."
    )


class Observe(_Model):
    """Metrics and health of each flow: one port per process."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    base_port: Port = Field(
        default=9500,
        description="acquire listens here; publish, archive, forward, derive and "
        "historian on the next ones; 0 takes free ports.",
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
    kafka: Kafka | None = None
    influx: Influx | None = None
    archive: Archive | None = Archive()
    derive: Derive | None = Derive()
    alert: tuple[AlertSettings, ...] = ()
    s3: S3 = S3()
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
    def archive_place(self) -> str:
        """Where the Delta tables are: a folder's path or ``s3://bucket/prefix``."""
        own = self.archive.path if self.archive else None
        if own is None:
            return str(self.data / "archive")
        return own if own.startswith("s3://") else str(self.folder / own)

    @property
    def commissioning_path(self) -> Path:
        """The record of commissioning checks."""
        return self.data / "commissioning.json"
