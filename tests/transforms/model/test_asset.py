from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.model.asset import RESERVED, Asset, problem_with_part

parts = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True).filter(
    lambda part: part not in RESERVED
)


@given(parts, parts, parts)
def test_a_name_comes_back_from_its_text(site: str, area: str, name: str) -> None:
    asset = Asset(site, area, name)
    assert Asset.parse(str(asset)) == asset


def test_sparkplugs_message_types_are_reserved() -> None:
    types = {"NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA", "NCMD", "DCMD"}
    assert types | {"STATE"} == RESERVED


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_a_message_type_is_no_part_of_a_name(word: str) -> None:
    assert problem_with_part(word) == f"{word!r} is a Sparkplug message type"


@pytest.mark.parametrize(
    "part",
    [
        "",
        " ",
        "a b",
        "a\tb",
        "a\n",
        "a\0",
        "\x7f",
        "a+b",
        "a/b",
        "#",
        "a=b",
        "a%b",
        "a*b",
        ".",
        "..",
        ".hidden",
    ],
)
def test_a_part_that_breaks_a_topic_or_a_path_is_refused(part: str) -> None:
    assert problem_with_part(part) == (
        f"{part!r} must not be empty, hold space, control characters, '+', '/', '#', "
        "'=', '%' or '*', or start with '.'"
    )


@pytest.mark.parametrize("part", ["m1", "Zähler-3", "a.b", "state", "123", "_"])
def test_other_parts_are_allowed(part: str) -> None:
    assert problem_with_part(part) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not of the form site/area/asset"),
        ("plant/m1", "'plant/m1' is not of the form site/area/asset"),
        ("a/b/c/d", "'a/b/c/d' is not of the form site/area/asset"),
        ("NDATA/hall/m1", "site: 'NDATA' is a Sparkplug message type"),
        ("plant/hall.1/m1", "area: 'hall.1' must not hold '.'"),
        ("pl.ant/hall/m1", "site: 'pl.ant' must not hold '.'"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        Asset.parse(text)
    assert str(raised.value) == message


def test_only_the_last_part_may_hold_a_dot() -> None:
    assert Asset.parse("plant/hall/m.1") == Asset("plant", "hall", "m.1")


def test_the_uuid_is_the_same_for_ever() -> None:
    # uuid5 of the URL namespace and "pm500:plant/hall/m1".
    assert Asset("plant", "hall", "m1").uuid == UUID(
        "4b2f81fb-e238-5843-8855-2cdc35fa09a1"
    )
