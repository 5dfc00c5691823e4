"""What `make` installs: pinned, complete, and without an address of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_layers import imports

ROOT = Path(__file__).parents[1]


def pins() -> dict[str, str]:
    lines = ROOT.joinpath("constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


DOCUMENT = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))
PROJECT = DOCUMENT["project"]
TO_RUN = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["demo"]]
TO_TEST = DOCUMENT["dependency-groups"]["dev"]
TO_BUILD = DOCUMENT["build-system"]["requires"]
WANTED = [*TO_RUN, *TO_TEST, *TO_BUILD]
OURS = ("connectors", "dataflows", "sinks", "transforms")


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def everything() -> set[str]:
    """The names of what is wanted, and of what that needs in turn."""
    found: set[str] = set()
    rest = [(Requirement(text), "") for text in WANTED]
    while rest:
        requirement, extra = rest.pop()
        marker = requirement.marker
        if marker and not marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        try:
            below = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # the build's own packages need not be installed
        rest += [(r, extra) for r in below for extra in ("", *requirement.extras)]
    return found


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    lines = ROOT.joinpath("constraints.txt").read_text("utf-8").splitlines()
    pin = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.]*")
    assert [n for n in lines if not n.startswith("#") and not pin.fullmatch(n)] == []


def test_every_package_that_is_needed_is_pinned() -> None:
    assert everything() - set(pins()) == set()


def test_every_pin_is_one_that_pyproject_allows() -> None:
    versions = pins()
    wrong = [
        text
        for text in WANTED
        if versions[canonicalize_name(Requirement(text).name)]
        not in Requirement(text).specifier
    ]
    assert wrong == []


def test_no_script_of_ours_names_a_download_address() -> None:
    files = [ROOT / "Makefile", ROOT / "constraints.txt", *ROOT.glob("deploy/**/*.sh")]
    elsewhere = re.compile("https?://(?!127[.]0[.]0[.]1:)", re.IGNORECASE)
    found = [file.name for file in files if elsewhere.search(file.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("rooms", "asked"),
    [((*OURS, "deploy"), TO_RUN), (("tests",), [*TO_RUN, *TO_TEST])],
)
def test_every_library_that_is_imported_is_asked_for(
    rooms: tuple[str, ...], asked: list[str]
) -> None:
    # What only another package brings may be gone with that package's next version.
    brought_by = packages_distributions()
    paths = [
        path
        for room in rooms
        for path in ROOT.joinpath(room).rglob("*.py")
        if path.parent.name != "peers"  # each in an environment of its own
    ]
    found = {module.partition(".")[0] for path in paths for module in imports(path)}
    unasked = [
        name
        for name in sorted(
            found - {*OURS, "deploy", "tests"} - set(sys.stdlib_module_names)
        )
        if not names(asked) & {canonicalize_name(d) for d in brought_by.get(name, ())}
    ]
    assert unasked == []


def test_the_wheel_holds_our_rooms_and_the_profiles(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run([*build, "-d", str(tmp_path)], cwd=ROOT, check=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == set(OURS)
    profiles = {n for n in names if n.startswith("connectors/profiles/")}
    assert {
        "connectors/profiles/em24.toml",
        "connectors/profiles/pm500.toml",
    } <= profiles
