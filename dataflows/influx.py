"""The site's InfluxDB as the sink and the probe know it."""

from __future__ import annotations

from dataflows.runtime import refuse_site
from dataflows.site import Influx, Site
from sinks.influx.server import Target

__all__ = ["secret_again", "target_of"]


def target_of(site: Site, settings: Influx) -> Target:
    """Where points go; a secret that cannot be read ends the process (SystemExit)."""
    try:
        secret = _secret(site, settings)
    except ValueError as mistake:
        refuse_site([str(mistake)])
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


def secret_again(site: Site, settings: Influx) -> str | None:
    """What the secret's file holds now; None where that is no secret."""
    try:
        return _secret(site, settings)
    except ValueError:
        return None


def _secret(site: Site, settings: Influx) -> str | None:
    """The token, or the password; ValueError with the setting's name."""
    files = {
        "token_file": settings.token_file,
        "password_file": settings.password_file,
    }
    for name, path in files.items():
        if path is None:
            continue
        try:
            secret = (site.folder / path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"influx.{name}: {error}") from error
        if not secret or not secret.isprintable():
            raise ValueError(f"influx.{name}: {path} must hold one line of text")
        if name == "token_file" and not secret.isascii():
            raise ValueError(f"influx.{name}: {path} holds what is no token")
        return secret
    return None
