from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import transforms

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(transforms.__path__, "transforms.")
)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_docstring_shows_is_what_happens(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
