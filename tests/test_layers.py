"""Who may know whom: the tables of the architecture, held for every module."""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "transforms": set[str](),
    "connectors": {"transforms"},
    "sinks": {"transforms"},
    "dataflows": {"transforms", "connectors", "sinks"},
    "deploy": {"transforms"},
}
# The one arrow between sinks and connectors: the log's storage is both ends' business.
EXTRA = {("sinks/log.py", "connectors.log")}
# The only libraries of transforms/, and what of Python's own would make it impure.
PURE = {"fastavro", "numpy", "orjson", "polars", "pydantic"}
IMPURE = {
    "asyncio",
    "concurrent",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, in its functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import could hide an arrow.
            yield "." if node.level else str(node.module)


def wrong_imports(root: Path) -> list[str]:
    """Each import that goes against the tables, as ``path: module``."""
    found = []
    for room, allowed in ALLOWED.items():
        for path in sorted((root / room).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            for module in imports(path):
                top = module.partition(".")[0]
                ours = top in ALLOWED and top not in {room, *allowed}
                extra = any(name == n and module.startswith(m) for n, m in EXTRA)
                library = top not in {*ALLOWED, *sys.stdlib_module_names, *PURE}
                impure = room == "transforms" and (library or top in IMPURE)
                if (ours and not extra) or impure or top in ("", "tests"):
                    found.append(f"{name}: {module}")
    return found


def test_every_import_goes_along_an_arrow() -> None:
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "line", "module"),
    [
        ("transforms/planted.py", "import connectors.stop", "connectors.stop"),
        ("transforms/planted.py", "def f(): import time", "time"),
        ("transforms/planted.py", "from os import environ", "os"),
        ("transforms/planted.py", "import structlog", "structlog"),
        ("transforms/planted.py", "from bytewax import operators", "bytewax"),
        ("transforms/deep/planted.py", "from ..model import frame", "."),
        ("connectors/planted.py", "from sinks import log", "sinks"),
        ("connectors/planted.py", "import dataflows", "dataflows"),
        ("sinks/planted.py", "from connectors.log import contract", "connectors.log"),
        ("sinks/log.py", "from connectors.polling import plan", "connectors.polling"),
        ("sinks/planted.py", "import dataflows.site", "dataflows.site"),
        ("dataflows/planted.py", "from tests import conftest", "tests"),
        ("dataflows/planted.py", "import deploy.grafana", "deploy.grafana"),
    ],
)
def test_a_planted_import_is_found(
    tmp_path: Path, path: str, line: str, module: str
) -> None:
    for room in ALLOWED:
        shutil.copytree(ROOT / room, tmp_path / room)
    planted = tmp_path / path
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a") as file:
        file.write(f"\n{line}\n")
    assert wrong_imports(tmp_path) == [f"{path}: {module}"]


def test_the_sink_of_the_log_may_know_the_log(tmp_path: Path) -> None:
    path = tmp_path / "sinks" / "log.py"
    path.parent.mkdir()
    path.write_text("from connectors.log.contract import Log\n")
    assert wrong_imports(tmp_path) == []


# Calls that read a clock, a file or a terminal without any import.
CALLS = {"open", "input", "print", "now", "utcnow", "today"}


def test_no_transform_calls_for_a_clock_or_a_file() -> None:
    found = []
    for path in sorted((ROOT / "transforms").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in CALLS:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert found == []
