"""The dashboards: fresh, whole, and no query names what no point has."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.generate.asked import asked_of, queries_of
from deploy.grafana.generate.files import files
from deploy.grafana.generate.looks import UNITS
from tests.deploy.influx_lines import MEASUREMENTS, TEXTS, lines
from tests.influxdb import INFLUXDB, InfluxDb
from transforms.model.quantity import QUANTITIES

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
BOARDS: dict[str, dict[str, Any]] = {
    name: json.loads(text) for name, text in files().items()
}
QUERIES = [
    pytest.param(query, id=f"{name.removesuffix('.json')}: {title}")
    for name, board in BOARDS.items()
    for title, query in queries_of(board)
]
PANELS = [
    pytest.param(panel, id=f"{name.removesuffix('.json')}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
]

every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS)
every_query = pytest.mark.parametrize("query", QUERIES)


# -- the files ---------------------------------------------------------------------


def test_the_dashboards_are_fresh() -> None:
    folder = GRAFANA / "dashboards"
    written = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert written == files(), "stale: run `python -m deploy.grafana.generate`"


def test_days_begin_in_the_time_zone_that_is_asked_for() -> None:
    board = json.loads(files("Europe/Berlin")["site-overview.json"])
    (zone,) = (v for v in board["templating"]["list"] if v["name"] == "zone")
    assert (board["timezone"], zone["query"]) == ("Europe/Berlin", "Europe/Berlin")


def test_links_lead_to_a_dashboard_that_is_there() -> None:
    text = "".join(files().values())
    assert set(re.findall(r"/d/([\w-]+)", text)) == {"pm500-asset"}
    assert {board["uid"] for board in BOARDS.values()} == {"pm500-site", "pm500-asset"}


def test_every_variable_of_the_environment_has_a_default() -> None:
    settings = "".join(
        re.sub(r"^ *#.*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
        for path in GRAFANA.rglob("*.yaml")
    )
    named = set(re.findall(r"\$(\w+)", settings))
    given = GRAFANA.joinpath("grafana.env").read_text("utf-8")
    assert named == set(re.findall(r"^(\w+)=", given, re.MULTILINE))
    assert "${" not in settings


# -- what Grafana expects ----------------------------------------------------------


@every_board
def test_panels_have_ids_of_their_own_and_do_not_overlap(board: dict[str, Any]) -> None:
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert cells & taken == set()
        assert max(x for x, _ in cells) < 24
        taken |= cells


@every_board
def test_every_variable_that_is_used_is_there(board: dict[str, Any]) -> None:
    known = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board)
    used = set(re.findall(r"\$\{(\w+)(?:[.:]\w+)*\}", text))
    assert {name for name in used if not name.startswith("__")} - known == set()


@every_panel
def test_a_panel_is_whole(panel: dict[str, Any]) -> None:
    if panel["type"] == "row":
        assert panel["panels"] == []
        return
    assert panel["description"]
    assert panel["datasource"] == {"type": "influxdb", "uid": "${datasource}"}
    targets = panel["targets"]
    assert len({target["refId"] for target in targets}) == len(targets) > 0
    chart = panel["type"] in ("timeseries", "state-timeline")
    wanted = "time_series" if chart else "table"
    assert {target["resultFormat"] for target in targets} == {wanted}
    if chart:
        assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False
        assert re.fullmatch(r"\d+[smhd]", panel["interval"])


@every_panel
def test_a_panel_has_units_that_grafana_knows(panel: dict[str, Any]) -> None:
    config = panel.get("fieldConfig", {"defaults": {"unit": "none"}, "overrides": []})
    given = {config["defaults"]["unit"]} | {
        each["value"]
        for override in config["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    }
    known = {"none", "percent", "short", "locale", "s", "dateTimeFromNow"}
    known |= {"dateTimeAsIso", *UNITS.values()}
    assert {unit for unit in given if not unit.startswith("suffix:")} - known == set()


# -- what the queries name ---------------------------------------------------------


@every_query
def test_every_query_names_measurements_tags_and_fields_that_exist(query: str) -> None:
    asked = asked_of(query)
    tags, fields = MEASUREMENTS[asked.measurement]
    assert asked.names - tags - fields - {"time"} == set()


@every_query
def test_every_query_asks_for_values_that_exist(query: str) -> None:
    known = TEXTS | {
        "quantity": set(QUANTITIES),
        "window": {"${window:raw}"},
        "interval": {"${interval:raw}"},
    }
    wrong = [(k, v) for k, v in asked_of(query).values if v not in known[k]]
    assert wrong == []


@every_query
def test_every_query_is_of_what_is_chosen(query: str) -> None:
    if query.startswith("SHOW"):
        return
    chosen = [f'"{tag}" =~ /^${{{tag}:regex}}$/' for tag in ("site", "area", "asset")]
    assert [part for part in chosen if query.count(part) != 1] == []
    assert query.count("$timeFilter") + query.count("now() - ") == 1


def test_a_name_that_is_not_there_is_found() -> None:
    asked = asked_of(
        'SELECT "asset", "kW", "kw" FROM (SELECT last("kW") AS "kW" FROM '
        '"powermonitor_500" WHERE "Phase" = \'total\' GROUP BY "asset")'
    )
    tags, fields = MEASUREMENTS[asked.measurement]
    assert asked.names - tags - fields == {"Phase", "kw"}


# -- against a server --------------------------------------------------------------


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDb]:
    if INFLUXDB is None:
        pytest.skip("no influxdb")
    with InfluxDb(tmp_path_factory.mktemp("influx")) as server:
        server.write("\n".join(lines(time.time_ns())))
        yield server


def filled_in(query: str, asset: str = ".*") -> str:
    """The query as Grafana sends it, of the last three days."""
    now_ms = time.time_ns() // 1_000_000
    since_ms = now_ms - 3 * 86_400_000
    texts = {
        "$timeFilter": f"time >= {since_ms}ms and time <= {now_ms}ms",
        "$__interval": "1m",
        "${site:regex}": "plant",
        "${area:regex}": "press",
        "${asset:regex}": asset,
        "${window:raw}": "60",
        "${interval:raw}": "900",
        "${zone:raw}": "Europe/Berlin",
    }
    for name, text in texts.items():
        query = query.replace(name, text)
    assert "$" not in query.replace("$/", "")
    return query


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
@every_query
def test_every_query_has_an_answer(influx: InfluxDb, query: str) -> None:
    rows = [
        row for series in influx.series(filled_in(query)) for row in series["values"]
    ]
    assert any(value is not None for row in rows for value in row[1:])


def query_of(name: str, title: str) -> str:
    """The query of a panel, by its title and letter."""
    return dict(queries_of(BOARDS[name]))[title]


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
def test_a_missing_poll_is_a_hole_in_the_chart(influx: InfluxDb) -> None:
    query = query_of("asset-detail.json", "Frequency A").replace("$__interval", "1s")
    (series,) = influx.series(filled_in(query, "line1"))
    values = [value for _, value in series["values"]]
    first = values.index(50)
    assert values[first : first + 90] == [50] * 50 + [None] + [50] * 39


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
def test_a_failed_poll_has_its_status_and_no_power(influx: InfluxDb) -> None:
    query = query_of("site-overview.json", "Meters: the last poll A")
    (series,) = influx.series(filled_in(query))
    named = [dict(zip(series["columns"], row, strict=True)) for row in series["values"]]
    told = {row["asset"]: (row["quality"], row["kW"], row["status"]) for row in named}
    assert told == {"line1": (192, 30, None), "oven": (0, None, 2)}


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
def test_the_account_of_polls_is_even(influx: InfluxDb) -> None:
    query = query_of(
        "asset-detail.json", "Account of polls: due = good + failed + missing A"
    )
    (series,) = influx.series(filled_in(query, "oven"))
    ((_, *counted),) = series["values"]
    assert counted == [21600, 21540, 36, 24, 0]


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
def test_an_alert_that_lasts_is_told_though_its_point_has_an_end(
    influx: InfluxDb,
) -> None:
    query = query_of(
        "asset-detail.json", "Lasting now: alerts, frozen values, wiring, clock A"
    )
    (series,) = influx.series(filled_in(query, "oven"))
    place = series["columns"].index("kind")
    assert [row[place] for row in series["values"]] == ["alert", "alert"]


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
@pytest.mark.parametrize("interval", ["900", "3600"])
def test_energy_of_one_length_of_intervals_is_summed(
    influx: InfluxDb, interval: str
) -> None:
    query = query_of("site-overview.json", "Energy by day A")
    asked = query.replace("${interval:raw}", interval).replace("OFFSET 1", "")
    (series,) = influx.series(filled_in(asked, "oven"))
    assert 100 in [energy for _, energy in series["values"]]


def test_every_query_of_energy_is_of_the_chosen_interval() -> None:
    asked = [
        asked_of(query).values
        for board in BOARDS.values()
        for title, query in queries_of(board)
        if not title.startswith("variable ")
        and asked_of(query).measurement == "pm500_energy"
    ]
    assert len(asked) == 6
    assert [v for v in asked if ("interval", "${interval:raw}") not in v] == []


@pytest.mark.integration
@pytest.mark.xdist_group("influx")
def test_only_the_block_that_runs_is_told(influx: InfluxDb) -> None:
    query = query_of("asset-detail.json", "The running block A")
    (series,) = influx.series(filled_in(query, "oven"))
    ((_, *told),) = series["values"]
    assert told == [30, 33]
