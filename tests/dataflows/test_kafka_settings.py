"""What flows do with ``[kafka]`` settings that no client takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataflows.processes import PM500, SITE, process, write_site

pytestmark = pytest.mark.integration

KAFKA = """
[kafka]
bootstrap_servers = "127.0.0.1:1"
[kafka.client]
"""


@pytest.mark.parametrize("flow", ["forward", "archive"])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('"no.such.thing" = 1', 'No such configuration property: "no.such.thing"'),
        # Only a consumer refuses this one.
        ('"max.poll.interval.ms" = 500', "`max.poll.interval.ms`must be >= `session"),
    ],
)
def test_a_setting_that_no_client_takes_ends_the_flow_for_good(
    tmp_path: Path, flow: str, setting: str, said: str
) -> None:
    site = write_site(tmp_path, f"{SITE}{KAFKA}{setting}\n")
    with process((*PM500, "run", flow), site) as running:
        assert running.wait(30) == 2
    text = (tmp_path / "stderr.log").read_text("utf-8")
    assert f"{site}: 1 mistake(s)\n  kafka.client: " in text
    assert said in text
    assert "Traceback" not in text
