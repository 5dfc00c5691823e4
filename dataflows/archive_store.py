"""Where the site's archive is: a folder or a bucket."""

from __future__ import annotations

from pathlib import Path

from connectors.log.contract import EVENTS, FRAMES, LogError
from dataflows.site import Site
from sinks.archive.commit import position
from sinks.archive.rows import EventRows, FrameRows
from sinks.archive.store import Store

__all__ = ["archive_store", "archived_to", "roots_of"]


def archive_store(site: Site) -> Store:
    """The store that ``[archive]`` and ``[s3]`` describe; OSError over credentials."""
    s3 = site.s3
    return Store.of(
        site.archive_place,
        endpoint=s3.endpoint,
        region=s3.region,
        access_key_id=_secret(site, s3.access_key_id_file),
        secret_access_key=_secret(site, s3.secret_access_key_file),
    )


def roots_of(site: Site) -> dict[str, str]:
    """The root of the tables of each topic that is archived."""
    frames = site.archive.frames_topic if site.archive else FRAMES
    if frames != FRAMES:
        return {frames: FrameRows.root}
    return {FRAMES: FrameRows.root, EVENTS: EventRows.root}


def archived_to(site: Site, identity: str, topic: str, partition: int) -> int | None:
    """The last offset of a log's partition that the archive has.

    LogError where it does not answer: nobody can say then where reading goes on.
    """
    root = roots_of(site).get(topic, FrameRows.root)
    try:
        return position(
            archive_store(site), root, log_id=identity, topic=topic, partition=partition
        )
    except OSError as error:
        raise LogError(f"the archive does not answer: {error}") from error


def _secret(site: Site, path: Path | None) -> str | None:
    return None if path is None else (site.folder / path).read_text("utf-8").strip()
