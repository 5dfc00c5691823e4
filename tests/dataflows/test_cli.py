from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataflows.cli import COMMANDS, app
from tests.dataflows.processes import SITE, write_site

THERE = [name for name, module in COMMANDS.items() if find_spec(module)]


def pm500(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words, prog_name="pm500", terminal_width=200)
    return result.exit_code, result.output


def test_the_help_lists_every_command() -> None:
    code, text = pm500("--help")
    assert code == 0
    assert [each for each in THERE if f" {each} " not in text] == []


@pytest.mark.parametrize("command", THERE)
def test_every_command_has_help(command: str) -> None:
    code, text = pm500(command, "--help")
    assert code == 0
    assert f"Usage: pm500 {command}" in text


def test_an_unknown_command_is_refused() -> None:
    code, text = pm500("rum")
    assert code == 2
    assert "No such command 'rum'" in text


def test_version_says_ours_and_the_engines() -> None:
    code, text = pm500("version")
    assert code == 0
    assert f"pm500 {version('pm500')} (bytewax 0.21.1" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["run", "nosuch"],
            "there are: acquire, publish, forward, derive, historian, archive",
        ),
        (["run", "acquire", "--log-file", "x"], "goes with supervised flows"),
    ],
)
def test_run_refuses_what_it_cannot_do(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataflows.commands.run.install_stop_signals", lambda: None)
    code, text = pm500(*words)
    assert code == 2
    assert said in re.sub(r"[\s│]+", " ", text)


def test_check_prints_what_the_site_makes_pm500_do(tmp_path: Path) -> None:
    site = write_site(tmp_path, SITE.replace("base_port = 0", ""))
    code, text = pm500("check", "--site", str(site))
    assert code == 0
    assert text.splitlines() == [
        f"site      plant1, time zone UTC ({site})",
        f"log       {tmp_path}/data/log/edge.sqlite, normal (survives kill -9), "
        "kept 168 h or 10 GB",
        "mqtt      none: publish does not run",
        "kafka     none: forward does not run",
        f"archive   {tmp_path}/data/archive, commits every 300 s, 500000 rows or "
        "128000000 bytes",
        "influx    none: historian does not run",
        "observe   127.0.0.1, ports from 9500",
        "",
        "plant1/hall1/m1  pm500 at 127.0.0.1",
        "  realtime   every      1 s  2 request(s) by ethernet_ip",
        "  energy     every     10 s  1 request(s) by ethernet_ip",
        "  demand     every     60 s  2 request(s) by ethernet_ip",
        "  maximum    every     60 s  2 request(s) by ethernet_ip",
        "  status     every      1 s  1 request(s) by ethernet_ip",
        "  budget     3.17 of 10 requests/s, one connection at a time",
        "",
        "total     1 meter(s), 2.13 frames/s, 3.17 requests/s",
    ]


def test_check_lists_all_mistakes_with_their_paths(tmp_path: Path) -> None:
    text = """
        [site]
        name = "plant1"
        time_zone = "Mars/Olympus"
        [[meter]]
        asset = "hall1/m1"
        host = "10.0.0.1"
        groups = { realtime = 0.2, status = 0.2, nosuch = 1 }
        [[meter]]
        asset = "hall1/m1"
        host = ""
        groups = {}
    """
    site = write_site(tmp_path, text)
    code, said = pm500("check", "--site", str(site))
    assert code == 2
    assert said.splitlines() == [
        f"{site}: 6 mistake(s)",
        "  site.time_zone: 'Mars/Olympus' is no time zone of the IANA database",
        "  meter[1].host: '' must not be empty or hold space or '/'",
        "  meter[0].groups.nosuch: profile pm500 has no such group; it has: realtime, "
        "energy, demand, maximum, status",
        "  meter[0].groups: 15.00 requests/s is over the profile's limit of 10",
        "  meter[1].asset: 'hall1/m1' stands already at meter[0]",
        "  meter[1].groups: nothing to poll",
    ]


def test_check_says_that_there_is_no_file(tmp_path: Path) -> None:
    code, text = pm500("check", "--site", str(tmp_path / "none.toml"))
    assert code == 2
    assert "none.toml: 1 mistake(s)\n  no such file" in text


def test_profiles_are_listed() -> None:
    code, text = pm500("profiles")
    assert code == 0
    assert "pm500        Allen-Bradley PowerMonitor 500" in text.splitlines()


def test_a_profile_shows_its_points_and_their_markings() -> None:
    code, text = pm500("profiles", "pm500")
    assert code == 0
    assert "speaks    EtherNet/IP (port 44818), Modbus TCP (port 502)" in text
    assert "group energy, every 10 s" in text
    assert "voltageAN                  V      assembly 101 byte 0 real [inf" in text


def test_an_unknown_profile_is_refused() -> None:
    code, text = pm500("profiles", "nosuch")
    assert code == 2
    assert "no such profile; there are: " in text


@pytest.mark.integration
def test_commands_import_no_heavy_library_before_they_need_it() -> None:
    program = (
        "import json, sys; from dataflows.cli import app\n"
        "try: app(['check', '--site', 'none.toml'])\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert loaded & {"bytewax", "deltalake", "polars", "pyarrow", "pymodbus"} == set()
