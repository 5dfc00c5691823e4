"""README.md and docs/*.md: what they show is run, what they list is all there is."""

from __future__ import annotations

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest
import tomli_w

from connectors.log.contract import EVENTS
from connectors.log.embedded import EmbeddedLog
from connectors.simulator.faults import KINDS
from connectors.simulator.fleet import read_fleet
from dataflows.site import load_site
from tests import test_cases
from tests.blocks import Block, blocks_of, without_blocks
from tests.kafka_broker import KafkaBroker
from tests.reference.commands import commands, options
from tests.reference.pages import PARTS, ROOT, filled, pages
from tests.reference.settings import flat_fields
from tests.stage import (
    Stage,
    moved_to_kafka,
    shell,
    staged,
    stop_when_it_says,
    with_flows,
)
from transforms.codec.records import Event, decode_record
from transforms.model.profile_check import parse_profile
from transforms.model.wire import WireType

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
CODE = [block for block in BLOCKS if block.language != "text"]


def text_of(page: str) -> str:
    return ROOT.joinpath(page).read_text("utf-8")


# -- what the pages list -----------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_generated_parts_of_a_page_are_fresh(page: Path) -> None:
    text = page.read_text("utf-8")
    assert filled(text) == text, "stale: run `make docs`"


def test_every_generated_part_stands_on_a_page() -> None:
    found = re.findall(
        r"<!-- generated: ([a-z-]+) -->", "".join(p.read_text("utf-8") for p in PAGES)
    )
    assert sorted(name for name in found if name != "end") == sorted(PARTS)


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_has_help(name: str) -> None:
    command = commands()[name]
    assert command.help
    assert [p.name for p in command.params if not p.help] == []


def test_every_key_of_a_site_and_of_a_profile_has_a_meaning() -> None:
    assert [name for name, field in flat_fields() if not field.description] == []


def test_every_type_of_the_profile_language_is_told() -> None:
    told = text_of("docs/meters.md").partition("The types of a value:")[2]
    rows = re.findall(r"^\| (`.*?`) \|", told.partition("EtherNet/IP")[0], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(get_args(WireType))


def test_every_kind_of_fault_is_told() -> None:
    told = text_of("docs/meters.md").partition("| fault |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", told, re.MULTILINE)) == sorted(KINDS)


def told_events() -> set[str]:
    told = text_of("docs/data.md").partition("\n## Events")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \| (?:info|warning|error)", told, re.MULTILINE))


def test_every_kind_of_event_is_told() -> None:
    made: set[str] = set()
    words: set[str] = set()
    for room in ("transforms", "connectors", "sinks", "dataflows"):
        for path in ROOT.joinpath(room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                words |= strings(node)
                if not isinstance(node, ast.Call):
                    continue
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                kinds = [k.value for k in node.keywords if k.arg == "kind"]
                if name == "_event" and node.args:
                    made |= strings(node.args[0])
                elif name == "Event":
                    inner = chain.from_iterable(ast.walk(kind) for kind in kinds)
                    made = made.union(*map(strings, inner))
    told = told_events()
    # The counter's kinds are a beginning and a word; docs/derived.md has each.
    made -= {"counter_"}
    assert len(made) > 4
    assert made - told == set()
    assert told - words == set()


def strings(node: ast.AST) -> set[str]:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return {str(node.value)} if is_text else set()  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def test_the_readme_leads_to_every_page() -> None:
    readme = text_of("README.md")
    written = [
        page for page in PAGES if page.name not in ("README.md", "benchmarks.md")
    ]
    assert [p.name for p in written if f"docs/{p.name}" not in readme] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_that_a_sentence_names_is_there(page: Path) -> None:
    known = commands()
    unknown = []
    for said in re.findall(r"`pm500 ([^`]+)`", page.read_text("utf-8")):
        name, *words = said.split()
        given = {word for word in words if word.startswith("-")}
        if name not in known or given - options(known[name]) - {"[OPTIONS]", "--help"}:
            unknown.append(said)
    assert unknown == []


# -- what the pages show -----------------------------------------------------------


def test_every_block_says_what_it_is() -> None:
    known = {"sh", "python", "text"} | {
        f"toml {kind}" for kind in ("site", "profile", "case", "fleet")
    }
    odd = [
        f"{block}: {block.language} {block.kind}"
        for block in BLOCKS
        if f"{block.language} {block.kind}".strip() not in known | {"json tail"}
        or block.note.partition(":")[0] not in ("", "not run", "runs until", "needs")
    ]
    assert odd == []


def test_nothing_is_shown_outside_of_a_block() -> None:
    indented = re.compile(r"\n\n(?: {4}|\t)\S")
    assert [p.name for p in PAGES if indented.search(without_blocks(p))] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("docs")) as made:
        yield made


@pytest.fixture(scope="module")
def kafka_stage(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("docs-kafka")
    with KafkaBroker(folder / "kafka") as broker:
        yield moved_to_kafka(stage, folder / "plant", broker.bootstrap_servers)


@pytest.mark.integration
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize("block", CODE, ids=str)
def test_a_block_does_what_it_shows(
    block: Block,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if block.noted("not run"):
        return
    if block.language == "toml":
        hold_toml(block, tmp_path, monkeypatch)
        return
    needs = {word.strip() for word in block.noted("needs").split(",")} - {""}
    assert needs <= {"flows", "mosquitto", "curl", "kafka"}
    wanted_stage = "kafka_stage" if "kafka" in needs else "stage"
    stage: Stage = request.getfixturevalue(wanted_stage)
    if "mosquitto" in needs and stage.mqtt_port is None:
        pytest.skip("mosquitto is not installed")
    if "curl" in needs and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    here = stage.copy(tmp_path / "plant")
    if block.language == "json":
        line = shell("pm500 tail --no-follow --count 1", here)
        assert json.loads(block.text).keys() == json.loads(line).keys()
    elif wanted := block.noted("runs until"):
        stop_when_it_says(wanted, block.text, here)
    elif "flows" in needs:
        assert with_flows(block.text, block.language, here, stage.mqtt_port)
    else:
        text = block.text
        if stage.kafka is not None:
            text = text.replace("127.0.0.1:9092", stage.kafka)
        assert shell(text, here, block.language)


def hold_toml(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a site is completed to a whole one; a case is of the page's profile."""
    shown = tomllib.loads(block.text)
    match block.kind:
        case "site":
            rest = {
                "site": {"name": "plant"},
                "meter": [{"asset": "a/b", "host": "192.0.2.1"}],
            }
            path = tmp_path / "site.toml"
            path.write_text(tomli_w.dumps(rest | shown), "utf-8")
            load_site(path)
        case "profile":
            assert parse_profile(shown["name"], shown).title
        case "fleet":
            path = tmp_path / "fleet.toml"
            path.write_text(block.text, "utf-8")
            assert read_fleet(path).meters
        case "case":
            (whole,) = (b for b in blocks_of(block.page) if b.kind == "profile")
            profile = parse_profile("shown", tomllib.loads(whole.text))
            monkeypatch.setattr(test_cases, "load_profile", lambda _: profile)
            path = tmp_path / profile.name / "realtime" / "case.toml"
            path.parent.mkdir(parents=True)
            path.write_text(block.text, "utf-8")
            test_cases.test_a_case_reads_as_expected(path)


@pytest.mark.integration
@pytest.mark.xdist_group("docs")
def test_every_event_of_the_plant_is_told(stage: Stage) -> None:
    log = EmbeddedLog(stage.folder / "data" / "log" / "edge.sqlite", create=False)
    events = [decode_record(record.value) for record in log.read(EVENTS, 0, 0, 1000)]
    log.close()
    kinds = {event.kind for event in events if isinstance(event, Event)}
    assert kinds
    assert kinds - told_events() == set()
