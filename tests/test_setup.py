"""What the set-up scripts say where something is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = "/usr/bin:/bin"

pytestmark = pytest.mark.integration


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the scripts need of the project, in a folder whose name has a space."""
    folder = tmp_path / "our meters"
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def python_that_is(folder: Path, version: str) -> Path:
    """A stand-in for an interpreter: it knows its version and suits nobody."""
    path = folder / "python"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}" || exit 1\n'
    )
    path.chmod(0o755)
    return path


def make(clone: Path, target: str, **environment: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        ["make", target],
        cwd=clone,
        env={"PATH": PATH, "HOME": str(clone), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    return done.returncode, [line.strip() for line in done.stderr.splitlines()]


@pytest.mark.skipif(shutil.which("uv", path=PATH) is not None, reason="uv would help")
@pytest.mark.parametrize("version", ["3.10.4", "3.13.5"])
def test_a_python_too_old_or_too_new_is_refused_and_named(
    clone: Path, version: str
) -> None:
    python = python_that_is(clone, version)
    code, said = make(clone, "demo", PYTHON=str(python))
    assert code != 0
    assert said[:3] == [
        "pm500: Python 3.11 or 3.12 is needed, and there is none",
        f"{python} is Python {version}",
        "do one of these and call this again:",
    ]


@pytest.mark.skipif(shutil.which("uv", path=PATH) is not None, reason="uv would help")
def test_a_python_that_is_not_there_is_said(clone: Path) -> None:
    code, said = make(clone, "test", PYTHON="/nowhere/python3.12")
    assert code != 0
    assert said[1] == "there is no /nowhere/python3.12"


def test_a_folder_that_is_no_environment_is_left_alone(clone: Path) -> None:
    precious = clone / ".venv" / "precious"
    precious.parent.mkdir()
    precious.touch()
    code, said = make(clone, "demo")
    assert code != 0
    assert said[0] == "pm500: .venv is no virtual environment: move it away"
    assert precious.exists()


def test_make_alone_lists_every_target(clone: Path) -> None:
    help_text = subprocess.run(
        ["make"],
        cwd=clone,
        env={"PATH": PATH},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert [line.split()[0] for line in help_text.splitlines()] == [
        "help", "demo", "test", "check", "lint", "types", "format", "docs",
        "services",
        "services-stop", "bench", "chaos", "clean",
    ]  # fmt: skip
