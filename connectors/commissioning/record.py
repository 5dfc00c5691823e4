"""The file of recorded checks: one entry per asset, written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import structlog

from transforms.model.outcome import Meaning
from transforms.model.profile import Profile

__all__ = ["CommissioningRecord", "Entry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One check: what was found, on which device, against which profile.

    ``serials`` are all texts by which the device named itself (CIP serial number,
    serial text): a meter with another one is another meter. ``energy_high_multiplier``
    is the radix of the split counters where it could be shown, else None.
    """

    passed: bool
    checked_at: str
    profile: str
    profile_version: int
    serials: tuple[str, ...]
    firmware: str
    system: str | None = None
    energy_high_multiplier: float | None = None
    findings: tuple[str, ...] = field(default=())


class CommissioningRecord:
    """Reads the file again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._entries: dict[str, Entry] = {}
        self._damaged = False

    def entry(self, asset: str) -> Entry | None:
        """The asset's last check; None where there was none."""
        self._refresh()
        return self._entries.get(asset)

    def meaning(self, asset: str, profile: Profile, serial: str) -> Meaning:
        """What the record lets us say of the device that answers as ``serial``.

        A failed check, another device or another version of the profile counts for
        nothing: the meter has to be checked again.
        """
        entry = self.entry(asset)
        if (
            entry is None
            or not entry.passed
            or (entry.profile, entry.profile_version) != (profile.name, profile.version)
            or (serial and serial not in entry.serials)
        ):
            return Meaning()
        return Meaning(True, entry.system, entry.energy_high_multiplier)

    def completed(self, asset: str, entry: Entry) -> Entry:
        """A check with what an earlier one of the same device showed and it did not ask.

        A later check without Modbus must not take the radix away.
        """
        before = self.entry(asset)
        if (
            before is None
            or not set(before.serials) & set(entry.serials)
            or before.profile != entry.profile
            or before.profile_version != entry.profile_version
        ):
            return entry
        return replace(
            entry,
            serials=tuple(dict.fromkeys(entry.serials + before.serials)),
            firmware=entry.firmware or before.firmware,
            system=entry.system or before.system,
            energy_high_multiplier=entry.energy_high_multiplier
            or before.energy_high_multiplier,
        )

    def store(self, asset: str, entry: Entry) -> None:
        """Keep a check; the file is replaced whole, a damaged one is put aside."""
        self._refresh()
        if self._damaged:
            self._path.replace(self._path.with_suffix(".damaged"))
            self._damaged = False
        self._entries[asset] = entry
        text = json.dumps(
            {name: asdict(kept) for name, kept in sorted(self._entries.items())},
            indent=2,
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except OSError:
            self._entries, self._stamp = {}, None
            return
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._stamp:
            return
        try:
            raw = json.loads(self._path.read_text("utf-8"))
            self._entries = {
                name: Entry(
                    **entry
                    | {
                        "serials": tuple(entry["serials"]),
                        "findings": tuple(entry["findings"]),
                    }
                )
                for name, entry in raw.items()
            }
            self._damaged = False
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._damaged = True
            structlog.get_logger().error(
                "commissioning_record_unreadable",
                path=str(self._path),
                error=str(error),
            )
            self._entries = {}
        self._stamp = stamp
