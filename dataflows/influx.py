"""The site's InfluxDB as the sink and the probe know it."""

from __future__ import annotations

from pathlib import Path

from dataflows.runtime import refuse_site
from dataflows.site import Influx, Site
from sinks.influx.server import Target

__all__ = ["target_of"]


def target_of(site: Site, settings: Influx) -> Target:
    """Where points go; a secret that cannot be read ends the process (SystemExit)."""
    secret = None
    for name in ("token_file", "password_file"):
        path: Path | None = getattr(settings, name)
        if path is None:
            continue
        try:
            secret = (site.folder / path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            refuse_site([f"influx.{name}: {error}"])
        if not secret or not secret.isprintable():
            refuse_site([f"influx.{name}: {path} must hold one line of text"])
        if name == "token_file" and not secret.isascii():
            refuse_site([f"influx.{name}: {path} holds what is no token"])
    return Target(
        url=settings.url.rstrip("/"),
        version=settings.version,
        bucket=settings.bucket or settings.database or "",
        org=settings.org or "",
        username=settings.username,
        secret=secret,
        retention_policy=settings.retention_policy,
        timeout_seconds=settings.timeout_seconds,
    )
