"""The shipped meter models, one TOML each, checked at load."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from transforms.model.profile import Profile
from transforms.model.profile_check import ProfileError, parse_profile

__all__ = ["load_profile", "profile_names", "read_profile"]


def profile_names() -> tuple[str, ...]:
    """The names of all shipped profiles, sorted."""
    names = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


@cache
def load_profile(name: str) -> Profile:
    """The shipped profile; ProfileError where there is none or it has mistakes."""
    if name not in profile_names():
        known = ", ".join(profile_names())
        raise ProfileError(name, [f"no such profile; there are: {known}"])
    text = files(__name__).joinpath(f"{name}.toml").read_text("utf-8")
    return _parse(name, text)


def read_profile(path: Path) -> Profile:
    """A profile from a file of the user's own."""
    return _parse(str(path), path.read_text("utf-8"))


def _parse(name: str, text: str) -> Profile:
    try:
        raw: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(name, [f"not TOML: {error}"]) from error
    return parse_profile(name, raw)
