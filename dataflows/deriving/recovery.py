"""Where derive keeps the state of one log partition, and whether it is of this log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import structlog
from bytewax.recovery import RecoveryConfig, init_db_dir

from dataflows.deriving.seed import States, write_seed
from dataflows.state import StateError

__all__ = ["make_again", "open_recovery", "recovery_folder"]

# The layout of the folder; of what is in it each part has a version of its own.
_VERSION = 1
_NOTE = "state.json"


def recovery_folder(data: Path, topic: str, partition: int) -> Path:
    """The folder of one partition; it can be moved with the partition, as it is."""
    return data / "derive" / f"{topic}-{partition}"


def open_recovery(folder: Path, log_id: str) -> RecoveryConfig:
    """The engine's store in this folder, made where it is not there.

    A state of another log counts for nothing: it is put aside and begun anew.
    StateError for one of another version; OSError.
    """
    note = _note(log_id)
    found = _note_in(folder)
    if found is not None:
        if found.get("version") != _VERSION:
            known = f"a state of version {found.get('version')} is not known"
            _refuse(folder, known if found else "the state is damaged")
        if found.get("log") == log_id and not (folder / "part-0.sqlite3").exists():
            _refuse(folder, "a part of the state is not there")
    if found is None or found.get("log") != log_id:
        if found is not None:
            structlog.get_logger().warning(
                "state_of_another_log", folder=str(folder), log=found.get("log")
            )
        _make(folder, note, {})
    return RecoveryConfig(str(folder))  # type: ignore[no-untyped-call]


def make_again(
    folder: Path, log_id: str, wish: str, history: Callable[[], States]
) -> None:
    """A new store that begins with what ``history`` gives; the old one stays until then.

    Once for each ``wish``: a process that is started again has it still. Whatever
    ``history`` raises; OSError.
    """
    found = _note_in(folder)
    if found is None or found.get("wish") != wish:
        _make(folder, {**_note(log_id), "wish": wish}, history())


def _refuse(folder: Path, why: str) -> NoReturn:
    raise StateError(
        f"{folder}: {why}; `pm500 run derive --rebuild` makes the state again"
    )


def _note(log_id: str) -> dict[str, object]:
    return {"version": _VERSION, "log": log_id}


def _note_in(folder: Path) -> dict[str, object] | None:
    try:
        found = json.loads((folder / _NOTE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _make(folder: Path, note: dict[str, object], states: States) -> None:
    """A new, empty store; the note comes last, so that half of one is made again."""
    if folder.exists():
        aside = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        folder.replace(aside)
    folder.mkdir(parents=True)
    init_db_dir(folder, 1)  # type: ignore[no-untyped-call]
    write_seed(folder, states)
    draft = folder / f"{_NOTE}.draft"
    draft.write_text(json.dumps(note), "utf-8")
    draft.replace(folder / _NOTE)
