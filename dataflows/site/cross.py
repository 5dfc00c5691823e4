"""Mistakes between the values of a site file, which no single model can see."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from connectors.profiles import load_profile, profile_names
from dataflows.site.models import FLOW_PORTS, AlertSettings
from transforms.alerts.rule import mistakes
from transforms.budget import plan
from transforms.model.asset import Asset
from transforms.model.profile import Profile
from transforms.model.profile_check import ProfileError

__all__ = ["cross_mistakes"]

_SECRETS = {
    "sasl.password": "use sasl_password_file",
    "ssl.key.password": "use ssl_key_password_file",
    "ssl.key.pem": "use ssl.key.location",
    "ssl.keystore.password": "use ssl.key.location and ssl_key_password_file",
    "sasl.oauthbearer.client.secret": "it cannot be given yet",
}
_OWN = {
    "bootstrap.servers", "metadata.broker.list", "group.id", "enable.auto.commit",
    "enable.auto.offset.store", "auto.offset.reset", "isolation.level", "acks",
    "request.required.acks", "enable.idempotence", "transactional.id",
    "session.timeout.ms", "heartbeat.interval.ms",
    "message.timeout.ms", "delivery.timeout.ms", "retries", "partitioner",
    "message.send.max.retries", "enable.partition.eof", "queue.buffering.max.messages",
    "queued.min.messages", "fetch.queue.backoff.ms",
}  # fmt: skip

# What each version of InfluxDB's API knows; the first of them are needed.
_INFLUX_1 = ("database", "retention_policy", "username", "password_file")
_INFLUX_2 = ("org", "bucket", "token_file")
_NEEDED = {1: 1, 2: 2}


def cross_mistakes(raw: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Mistakes between values; parts that are wrong by themselves are passed over."""
    section = raw.get("site")
    name = section.get("name") if isinstance(section, dict) else None
    if isinstance(name, str) and "." in name:
        yield f"site.name: {name!r} must not hold '.'"
    yield from _resources(raw, folder)
    yield from _kafka(raw)
    yield from _influx(raw)
    yield from _alerts(raw)
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
    observe = raw.get("observe")
    port = observe.get("base_port") if isinstance(observe, dict) else None
    if isinstance(port, int) and 65535 - FLOW_PORTS < port <= 65535:
        yield f"observe.base_port: {port} leaves no port for each flow"
    for name in ("mqtt", "kafka", "influx", "s3"):
        section = raw.get(name)
        for key, secret in section.items() if isinstance(section, dict) else ():
            if not key.endswith("_file") or not isinstance(secret, str):
                continue
            if not os.access(folder / secret, os.R_OK):
                yield f"{name}.{key}: {secret!r} cannot be read"


def _kafka(raw: Mapping[str, Any]) -> Iterator[str]:
    """Client settings that would break a promise, or that are secrets."""
    section = raw.get("kafka")
    client = section.get("client") if isinstance(section, dict) else None
    for name in client if isinstance(client, dict) else ():
        if name in _SECRETS:
            yield f"kafka.client.{name}: no secrets in this file: {_SECRETS[name]}"
        elif name in _OWN:
            yield f"kafka.client.{name}: pm500 sets it itself"


def _influx(raw: Mapping[str, Any]) -> Iterator[str]:
    """What one version of the API needs, and what only the other one knows."""
    section = raw.get("influx")
    if not isinstance(section, dict):
        return
    version = section.get("version", 2)
    own = {1: _INFLUX_1, 2: _INFLUX_2}.get(version)
    if own is None:
        return
    for name in own[: _NEEDED[version]]:
        if name not in section:
            yield f"influx.{name}: Field required with version {version}"
    for name in _INFLUX_2 if version == 1 else _INFLUX_1:
        if name in section:
            yield f"influx.{name}: has no meaning with version {version}"
    if "password_file" in section and "username" not in section:
        yield "influx.password_file: needs a username"


def _alerts(raw: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes within and between alerts that are right in their types."""
    tables = raw.get("alert")
    rules = []
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        try:
            rules.append((index, AlertSettings.model_validate(table).rule()))
        except ValidationError:
            continue  # the model says what is wrong with it
    for mistake in mistakes([rule for _, rule in rules]):
        name = mistake.partition(":")[0]
        index = next((n for n, rule in rules if rule.name == name), 0)
        yield f"alert[{index}]: {mistake}"


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
