"""The whole configuration: one TOML to frozen models, every mistake at once."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from dataflows.site.cross import cross_mistakes
from dataflows.site.models import (
    S3,
    AlertSettings,
    Archive,
    Derive,
    Influx,
    Kafka,
    LogSettings,
    Meter,
    Mqtt,
    Observe,
    Poll,
    Site,
    SiteSection,
)
from transforms.model.profile_check import mistakes_of

__all__ = [
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
    "SiteError",
    "SiteSection",
    "load_site",
    "site_path",
]


class SiteError(ValueError):
    """A site file that cannot be used; ``mistakes`` lists every one with its path."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        self.mistakes = tuple(mistakes)
        lines = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"{path}: {len(mistakes)} mistake(s)\n{lines}")


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
    mistakes += cross_mistakes(raw, path.absolute().parent)
    if site is None or mistakes:
        raise SiteError(path, mistakes)
    return site
